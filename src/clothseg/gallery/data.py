"""The compact form of a gallery's data, which `page/entries.js` reads.

An entry is a list: name, width, height, thumbnail, photo, drawn, links, text, objects. An object is a list: class from
0, score and share in 1/10,000, box, outlines. Boxes and outlines lie on the grid of `outlines.LONG_SIDE` steps. The
outlines of an object are rings with a blank between; a ring is the steps from point to point as base-64 VLQ numbers,
those of source maps (https://tc39.es/ecma426/, "Base64 VLQ"): a point takes two to four characters.
"""

import json
import math
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clothseg.gallery.entries import Entry, GalleryInfo, GalleryObject
from clothseg.gallery.outlines import grid_scale

Row = list[Any]
"""An entry in the compact form; JSON keeps it as it is."""
_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_PARTS = 10_000
_FARTHEST = 8192  # steps of the grid; a wrong outline may be anywhere


def entry_row(entry: Entry) -> Row:
    """An entry in the compact form."""
    scale = grid_scale(entry.width, entry.height)
    links = [list(link) for link in entry.links]
    objects = [_object_row(one, scale) for one in entry.objects]
    pictures = [entry.thumbnail, entry.photo, entry.drawn]
    return [entry.name, entry.width, entry.height, *pictures, links, entry.text, objects]


def data_text(info: GalleryInfo, rows: Iterable[Row]) -> Iterator[str]:
    """The data as the parts of a JSON text, one row a line; few rows are in memory. No `<` is in it."""
    head = {
        "things": info.things,
        "scored": info.scored,
        "frames": info.frames,
        "lines": not info.checks,
        "classes": [[one.name, one.colour, _floor(one.score_threshold) / _PARTS] for one in info.classes],
    }
    yield _json(head)[:-1] + ',"entries":['
    for number, row in enumerate(rows):
        yield ("," if number else "") + "\n" + _json(row)
    yield "\n]}"


def encode_numbers(numbers: Iterable[int]) -> str:
    """Integers as base-64 VLQ."""
    text = []
    for number in numbers:
        rest = -number << 1 | 1 if number < 0 else number << 1
        while True:
            digit, rest = rest & 31, rest >> 5
            text.append(_DIGITS[digit | 32 if rest else digit])
            if not rest:
                break
    return "".join(text)


def _object_row(one: GalleryObject, scale: float) -> Row:
    share = min(max(round(one.share * _PARTS), 1), _PARTS)
    box = [round(min(max(side * scale, -_FARTHEST), _FARTHEST)) for side in one.box]
    rings = [ring for ring in (_ring(points, scale) for points in one.outlines) if ring]
    return [one.class_id - 1, _floor(one.score), share, box, " ".join(rings)]


def _ring(points: NDArray[np.float64], scale: float) -> str:
    """The steps from point to point, the first from 0 0; empty if nothing is left on the grid."""
    grid = np.rint(np.clip(points * scale, -_FARTHEST, _FARTHEST)).astype(int)
    steps = np.diff(grid, axis=0, prepend=0)
    kept = [step for number, step in enumerate(steps.tolist()) if number == 0 or any(step)]
    return encode_numbers(chain.from_iterable(kept)) if len(kept) > 2 else ""


def _floor(score: float) -> int:
    """A score in 1/10,000, rounded down, so that no score passes a threshold that it does not reach."""
    return math.floor(score * _PARTS + 1e-6)


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")
