"""Numbers with their things, for people: `1 photo`, `3 photos`."""


def counted(number: int, thing: str, things: str = "") -> str:
    """`1 photo`, `3 photos`, `1,200 photos`; `things` is a plural that is not made with an s."""
    return f"{number:,} {thing if number == 1 else things or f'{thing}s'}"
