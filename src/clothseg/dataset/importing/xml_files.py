"""XML files of labelling tools, with errors that name the file."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

from clothseg.errors import DataError

_BROKEN = (OSError, ET.ParseError, LookupError, ValueError)
"""What the parser raises. The last two are for encodings that it does not know, or that do not fit the bytes."""


def first_tag(path: Path) -> str | None:
    """The tag of a file's first element; None if the file cannot be read as XML."""
    try:
        return next(xml_events(path))[1].tag
    except (DataError, StopIteration):
        return None


def xml_events(path: Path) -> Iterator[tuple[str, ET.Element]]:
    """`start` and `end` with the element, for each element of a file while it is read.

    Raises:
        DataError: the file cannot be read as XML.
    """
    try:
        with path.open("rb") as stream:
            yield from ET.iterparse(stream, events=("start", "end"))
    except _BROKEN as error:
        raise DataError(f"{path}: cannot be read as XML ({error})") from error


def xml_root(path: Path) -> ET.Element:
    """The first element of a file, with all elements in it.

    Raises:
        DataError: the file cannot be read as XML.
    """
    try:
        return ET.parse(path).getroot()
    except _BROKEN as error:
        raise DataError(f"{path}: cannot be read as XML ({error})") from error
