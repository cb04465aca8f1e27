"""The results of `clothseg predict`, whose photos and classes are matched with a ground truth by name.

`predict` numbers photos by their place among its inputs, and classes as the network does. So its numbers mean other
photos and classes than those of a dataset. `images.json`, which it writes beside `predictions.json`, has the names.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from clothseg.counting import counted, first_names
from clothseg.errors import DataError
from clothseg.evaluation.columns import ResultColumns
from clothseg.evaluation.truth import GroundTruth
from clothseg.evaluation.validate_results import read_results
from clothseg.files import read_json

_MOST = 1 << 62  # ids are kept in 64 bits


class StoredResults(NamedTuple):
    """COCO results with the ids of a ground truth.

    Attributes:
        rows: as parsed JSON, not checked yet.
        notes: sentences on what was left out.
    """

    rows: Sequence[Any]
    notes: tuple[str, ...] = ()


def read_results_for(path: Path, truth: GroundTruth) -> StoredResults:
    """The rows of a COCO results file; of one that `predict` wrote, with the ids that the ground truth has for them.

    Detections on other photos and of other classes are left out then, which a note says.

    Raises:
        DataError: the file cannot be read; `images.json` beside it has none of the photos or none of the classes of the
            ground truth; or two of its photos can be the same one.
    """
    rows, listed = read_results(path), path.with_name("images.json")
    if path.name != "predictions.json" or not listed.is_file():
        return StoredResults(rows)
    photos, classes = _read_names(listed)
    of_photo, of_class = _numbers(rows, path)
    for thing, values, known in (("photo", of_photo, photos), ("class", of_class, classes)):
        if strange := set(values.tolist()) - known.keys():
            raise DataError(f"{path}: a detection of {thing} {min(strange)}, which {listed} does not have")
    where = f"{listed}, with whose names {path.name} is matched"
    photo_ids, class_ids = _match_photos(photos, truth, where), _match_classes(classes, truth, where)
    on_known_photo = _in(of_photo, photo_ids)
    kept = on_known_photo & _in(of_class, class_ids)
    notes = []
    if others := set(of_photo.tolist()) - photo_ids.keys():
        count = np.count_nonzero(~on_known_photo)
        which = f"{counted(len(others), 'photo')} that the ground truth does not have"
        notes.append(f"Detections on {which} are left out: {count}.")
    if missing := len(truth.images) - len(photo_ids):
        without = counted(missing, "photo")
        notes.append(f"No detections were made on {without} of the ground truth; objects there count as missed.")
    if unknown := set(of_class[on_known_photo].tolist()) - class_ids.keys():
        count = np.count_nonzero(on_known_photo & ~kept)
        names = first_names([classes[number] for number in sorted(unknown)])
        notes.append(f"Detections of classes that the ground truth does not have are left out: {count} ({names}).")
    return StoredResults(_with_ids(rows, np.flatnonzero(kept), photo_ids, class_ids), tuple(notes))


def _numbers(rows: Sequence[Any], path: Path) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The numbers of photo and class of each row."""
    if isinstance(rows, ResultColumns):
        return rows.photos, rows.classes
    pairs = []
    for place, row in enumerate(rows):
        pair = [row.get(key) for key in ("image_id", "category_id")] if isinstance(row, dict) else []
        if not pair or not all(isinstance(number, int) and abs(number) < _MOST for number in pair):
            raise DataError(f"{path}: result {place} has no image_id and category_id that are whole numbers")
        pairs.append(pair)
    photos, classes = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return photos, classes


def _with_ids(
    rows: Sequence[Any], places: NDArray[np.int64], photos: Mapping[int, int], classes: Mapping[int, int]
) -> Sequence[Any]:
    """The rows at `places` with other ids of photos and classes."""
    if not isinstance(rows, ResultColumns):
        chosen = [rows[place] for place in places.tolist()]
        return [
            row | {"image_id": photos[row["image_id"]], "category_id": classes[row["category_id"]]} for row in chosen
        ]
    kept = rows.take(places)
    new = [
        np.array([ids[n] for n in of.tolist()], dtype=np.int64)
        for of, ids in ((kept.photos, photos), (kept.classes, classes))
    ]
    return replace(kept, photos=new[0], classes=new[1])


def _read_names(path: Path) -> tuple[dict[int, str], dict[int, str]]:
    """File names of photos and names of classes by their numbers."""
    try:
        tree = read_json(path)
        photos = {_checked_id(photo): str(photo["file_name"]) for photo in tree["images"]}
        return photos, {_checked_id(one): str(one["name"]) for one in tree["categories"]}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(
            f"{path}: it should have the names of the photos and classes of predictions.json, but cannot be read "
            f"({type(error).__name__}: {error}); run `clothseg predict` again, or move predictions.json to another "
            "folder if its ids are those of the ground truth"
        ) from error


def _checked_id(row: Mapping[str, Any]) -> int:
    number = row["id"]
    if not isinstance(number, int) or abs(number) >= _MOST:
        raise ValueError(f"the id {number!r:.40} is not a number of a photo or class")
    return number


def _match_photos(photos: Mapping[int, str], truth: GroundTruth, where: str) -> dict[int, int]:
    """Ids of the ground truth by the numbers of photos: their paths end with its names, or the last parts agree."""
    numbers: defaultdict[str, list[int]] = defaultdict(list)
    for number, name in photos.items():
        numbers[_parts(name)[-1]].append(number)
    names = {image["id"]: _parts(str(image.get("file_name", image["id"]))) for image in truth.images}
    shared = Counter(parts[-1] for parts in names.values())
    found: dict[int, int] = {}
    for image_id, parts in names.items():
        same = numbers.get(parts[-1], [])
        whole = [number for number in same if _parts(photos[number])[-len(parts) :] == parts]
        if len(whole) > 1 or (not whole and len(same) > 1 and shared[parts[-1]] == 1):
            several = " and ".join(photos[number] for number in (whole or same)[:2])
            raise DataError(f"{where}: {several} can both be the photo {'/'.join(parts)}; predict one of them only")
        if whole or (same and shared[parts[-1]] == 1):
            found[(whole or same)[0]] = image_id
    if photos and truth.images and not found:
        raise DataError(
            f"{where}: it has no photo of {truth.source or 'the ground truth'}; the first there is "
            f"{'/'.join(next(iter(names.values())))}, and the first here {next(iter(photos.values()))}"
        )
    return found


def _parts(name: str) -> tuple[str, ...]:
    """The parts of a path, at least one, in one form of accented letters."""
    return PurePosixPath(normalize("NFC", name.replace("\\", "/"))).parts or ("",)


def _match_classes(classes: Mapping[int, str], truth: GroundTruth, where: str) -> dict[int, int]:
    known = {name: class_id for class_id, name in truth.names.items()}
    found = {number: known[name] for number, name in classes.items() if name in known}
    if classes and known and not found:
        raise DataError(
            f"{where}: it has no class of {truth.source or 'the ground truth'}; there they are "
            f"{first_names(list(known))}, and here {first_names(list(classes.values()))}"
        )
    return found


def _in(values: NDArray[np.int64], ids: Mapping[int, int]) -> NDArray[np.bool_]:
    return np.isin(values, np.fromiter(ids, dtype=np.int64, count=len(ids)))
