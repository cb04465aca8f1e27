"""Numbers with their things, and lists of names, for people; positions spread over a list."""

from collections.abc import Sequence

_NAMED = 10  # names of a long list


def counted(number: int, thing: str, things: str = "") -> str:
    """`1 photo`, `3 photos`, `1,200 photos`; `things` is a plural that is not made with an s."""
    return f"{number:,} {thing if number == 1 else things or f'{thing}s'}"


def first_names(names: Sequence[str]) -> str:
    """The names with commas; of more than ten, the first ones and how many there are besides."""
    rest = len(names) - _NAMED
    return f"{', '.join(names[:_NAMED])} and {rest:,} more" if rest > 1 else ", ".join(names)


def spread(count: int, wanted: int) -> list[int]:
    """At most `wanted` positions out of `count`, evenly spaced, including the first and the last."""
    if count <= wanted:
        return list(range(count))
    step = (count - 1) / max(wanted - 1, 1)
    return [round(number * step) for number in range(wanted)]
