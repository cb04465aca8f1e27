"""Writes COCO files row by row, so that memory does not grow with the number of annotations."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from clothseg.files import atomic_file


def write_coco(
    path: Path,
    *,
    info: Mapping[str, Any],
    categories: Sequence[object],
    images: Iterable[object],
    annotations: Iterable[object],
    licenses: Sequence[object] = (),
) -> None:
    """Writes a COCO instances file in one step. Source: https://cocodataset.org/#format-data.

    Args:
        path: the file. Its folder is created.
        info: about the dataset.
        categories, images, annotations, licenses: the rows.
    """
    with (
        atomic_file(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as stream,
    ):
        stream.write("{")
        _write(stream, "info", info)
        _write(stream, "licenses", licenses)
        _write(stream, "categories", categories)
        _write_list(stream, "images", images)
        _write_list(stream, "annotations", annotations, last=True)
        stream.write("}\n")


def _write(stream: TextIO, key: str, value: object) -> None:
    stream.write(f"{json.dumps(key)}:{_compact(value)},")


def _write_list(stream: TextIO, key: str, items: Iterable[object], *, last: bool = False) -> None:
    stream.write(f"{json.dumps(key)}:[")
    for number, item in enumerate(items):
        stream.write(("," if number else "") + _compact(item))
    stream.write("]" if last else "],")


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
