"""Partitions: the first hex digits of image ids, by which a part of Open Images is chosen."""

from clothseg.errors import DataError


def parse_partitions(text: str | None) -> frozenset[str] | None:
    """The first hex digits of image ids that `f`, `0f`, `0,f` or `0-3` means. None means all of them.

    Raises:
        DataError: it is none of these.
    """
    if text is None:
        return None
    digits, selected = "0123456789abcdef", set[str]()
    for part in text.lower().replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        if dash and len(first) == len(last) == 1 and set(first + last) <= set(digits) and first <= last:
            selected.update(digits[int(first, 16) : int(last, 16) + 1])
        elif part and not dash and set(part) <= set(digits):
            selected.update(part)
        else:
            raise DataError(f"partitions {text!r}: give the first hex digits of image ids, as f, 0f, e,f or 0-3")
    return frozenset(selected)
