"""COCO results as columns: half a million rows in a third of the memory that Python's objects need.

Most files are in the standard form: every row has the same fields, and masks are compressed RLE. Columns hold only this
form, so that checks and evaluators work on whole arrays. Rows in other forms stay rows.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from operator import itemgetter
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from clothseg.instances import CocoResult, Rle

_BLOCK = 4096  # rows made at once


@dataclass(frozen=True, eq=False, repr=False)
class ResultColumns(Sequence[CocoResult]):
    """COCO results in the standard form. A sequence of rows; each row is made when it is asked for.

    Attributes:
        photos: `[N]` int, the `image_id`.
        classes: `[N]` int, the `category_id`.
        scores: `[N]` float, finite.
        boxes: `[N, 4]` float, x y width height in pixels, finite, the last two 0 or more; None if no row has a box.
        counts: N strings, the `counts` of the masks; None if no row has a mask.
        sizes: `[N, 2]` int, the `size` of the masks, height and width; None if no row has a mask.
        ids: `[N]` int, the `id` of the rows; None if no row has one. The evaluation does not use them.
        areas: `[N]` int, the pixels of the masks, if they are known already.
    """

    photos: NDArray[np.int64]
    classes: NDArray[np.int64]
    scores: NDArray[np.float64]
    boxes: NDArray[np.float64] | None = None
    counts: Sequence[str] | None = None
    sizes: NDArray[np.int64] | None = None
    ids: NDArray[np.int64] | None = None
    areas: NDArray[np.int64] | None = None

    @classmethod
    def from_rows(cls, rows: Sequence[Any]) -> "ResultColumns | None":
        """The columns of parsed JSON; None if there is no row, or if the rows are not in the standard form."""
        if not rows or not _all_are(rows, dict):
            return None
        try:
            photos, classes, scores = (list(map(itemgetter(key), rows)) for key in ("image_id", "category_id", "score"))
            if not (_all_are(photos, int) and _all_are(classes, int) and _all_are(scores, int, float)):
                return None
            counts, sizes = _masks(_field(rows, "segmentation"))
            columns = cls(
                np.array(photos, dtype=np.int64),
                np.array(classes, dtype=np.int64),
                np.array(scores, dtype=np.float64),
                _boxes(_field(rows, "bbox")),
                counts,
                sizes,
                _ids(_field(rows, "id")),
            )
        except (KeyError, ValueError, OverflowError):  # a field is missing, or a number is too large for an array
            return None
        useful = columns.boxes is not None or columns.counts is not None
        return columns if useful and np.isfinite(columns.scores).all() else None

    @classmethod
    def join(cls, parts: Iterable["ResultColumns | None"]) -> "ResultColumns | None":
        """All rows of the parts, without `areas`; None if there is no part, a part is None, or their fields differ."""
        known: list[ResultColumns] = []
        for part in parts:
            if part is None or (known and part._fields != known[0]._fields):
                return None
            known.append(part)
        if not known:
            return None
        arrays = {
            name: np.concatenate([getattr(part, name) for part in known])
            for name in ("photos", "classes", "scores", *(known[0]._fields - {"counts"}))
        }
        counts = None if known[0].counts is None else list(chain.from_iterable(part.counts or () for part in known))
        return cls(**arrays, counts=counts)

    @property
    def _fields(self) -> frozenset[str]:
        return frozenset(n for n in ("boxes", "counts", "sizes", "ids") if getattr(self, n) is not None)

    def take(self, positions: NDArray[np.int64]) -> "ResultColumns":
        """The rows at `positions`, in this order."""
        names = ("photos", "classes", "scores", "boxes", "sizes", "ids", "areas")
        arrays: dict[str, Any] = {n: value[positions] for n in names if (value := getattr(self, n)) is not None}
        counts = None if self.counts is None else [self.counts[place] for place in positions.tolist()]
        return ResultColumns(**arrays, counts=counts)

    def masks(self) -> list[Rle]:
        """The `segmentation` of each row; an empty list without masks. Neighbours of one size share its list."""
        if not self.counts or self.sizes is None:
            return []
        new = np.append(True, (self.sizes[1:] != self.sizes[:-1]).any(axis=1))
        first = np.flatnonzero(new)
        lengths = np.diff(first, append=len(self))
        sizes = chain.from_iterable(map(repeat, self.sizes[first].tolist(), lengths.tolist()))
        return [{"size": size, "counts": counts} for size, counts in zip(sizes, self.counts, strict=True)]

    def __len__(self) -> int:
        return len(self.photos)

    def __iter__(self) -> Iterator[CocoResult]:
        for start in range(0, len(self), _BLOCK):
            yield from self[start : start + _BLOCK]

    @overload
    def __getitem__(self, place: int) -> CocoResult: ...
    @overload
    def __getitem__(self, place: slice) -> list[CocoResult]: ...
    def __getitem__(self, place: int | slice) -> CocoResult | list[CocoResult]:
        """One row, or the rows of a slice as a list."""
        if isinstance(place, int):
            return self.take(np.array([range(len(self))[place]]))[:][0]
        rows: list[CocoResult] = [
            {"image_id": photo, "category_id": label, "score": score}
            for photo, label, score in zip(*(c[place].tolist() for c in self._numbers), strict=True)
        ]
        if self.boxes is not None:
            for row, box in zip(rows, self.boxes[place].tolist(), strict=True):
                row["bbox"] = box
        if self.sizes is not None and self.counts is not None:
            for row, size, counts in zip(rows, self.sizes[place].tolist(), self.counts[place], strict=True):
                row["segmentation"] = {"size": size, "counts": counts}
        return rows

    @property
    def _numbers(self) -> tuple[NDArray[Any], ...]:
        return self.photos, self.classes, self.scores

    def __repr__(self) -> str:
        return f"ResultColumns({len(self)} rows with {', '.join(sorted(self._fields))})"


def all_have(rows: Sequence[CocoResult], key: str) -> bool:
    """Whether every row has `key`, which is `bbox` or `segmentation`."""
    if isinstance(rows, ResultColumns):
        return (rows.boxes if key == "bbox" else rows.counts) is not None
    return all(row.get(key) for row in rows)


def photos_and_scores(rows: Sequence[CocoResult]) -> Iterable[tuple[int, float]]:
    """The photo's id and the score of each row."""
    if isinstance(rows, ResultColumns):
        return zip(rows.photos.tolist(), rows.scores.tolist(), strict=True)
    return ((row["image_id"], row["score"]) for row in rows)


def _all_are(values: Iterable[Any], *kinds: type) -> bool:
    return set(map(type, values)) <= set(kinds)


def _field(rows: Sequence[Mapping[str, Any]], key: str) -> list[Any] | None:
    """The values of a field that rows may lack; None if all lack it. KeyError if only some do."""
    if key not in rows[0] and not any(key in row for row in rows):
        return None
    return list(map(itemgetter(key), rows))


def _boxes(values: list[Any] | None) -> NDArray[np.float64] | None:
    """`[N, 4]` float; ValueError if a value is not a box."""
    if values is None:
        return None
    if not _all_are(values, list) or set(map(len, values)) != {4}:
        raise ValueError("not lists of 4 numbers")
    sides = list(chain.from_iterable(values))
    boxes = np.array(sides, dtype=np.float64).reshape(-1, 4) if _all_are(sides, int, float) else None
    if boxes is None or not np.isfinite(boxes).all() or (boxes[:, 2:] < 0).any():
        raise ValueError("not boxes")
    return boxes


def _masks(values: list[Any] | None) -> tuple[list[str] | None, NDArray[np.int64] | None]:
    """The counts and the `[N, 2]` sizes; ValueError or KeyError if a value is not compressed RLE."""
    if values is None:
        return None, None
    if not _all_are(values, dict):
        raise ValueError("not RLE")
    sizes, counts = (list(map(itemgetter(key), values)) for key in ("size", "counts"))
    if not _all_are(counts, str) or not _all_are(sizes, list) or set(map(len, sizes)) != {2}:
        raise ValueError("not compressed RLE")
    sides = list(chain.from_iterable(sizes))
    if not _all_are(sides, int):
        raise ValueError("not whole numbers")
    return counts, np.array(sides, dtype=np.int64).reshape(-1, 2)


def _ids(values: list[Any] | None) -> NDArray[np.int64] | None:
    if values is None:
        return None
    if not _all_are(values, int):
        raise ValueError("not whole numbers")
    return np.array(values, dtype=np.int64)
