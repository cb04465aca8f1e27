"""The best that a run found of each class on its validation photos, beside the truth: the report's Figures 13 to 17."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clothseg.errors import PhotoError, RunError
from clothseg.evaluation.stored import stored_results
from clothseg.files import atomic_file, atomic_folder, safe_file_name
from clothseg.instances import Instances, Selection, mask_iou, resize_instances
from clothseg.photos import try_read_photo
from clothseg.pictures import contact_sheet, draw_instances
from clothseg.pictures.embed import shrink
from clothseg.report.reading import Row, Truth, by_photo, read_run, to_instances

_CELL = 380 * 560  # pixels of a photo on a sheet: lines and letters are drawn for the size that they are seen in
_FOUND = 0.5  # IoU from which on something counts as found


@dataclass(frozen=True)
class BestExample:
    """A photo on which something of a class was found.

    Attributes:
        image: the photo.
        iou: of the mask that fits best with its object.
        score: of that detection.
    """

    image: Row
    iou: float
    score: float


@dataclass(frozen=True)
class FiguresWritten:
    """What came of drawing figures.

    Attributes:
        examples: how many each class's sheet shows, by name; 0 where nothing was found and there is no sheet.
        photos: how many photos were drawn one by one.
        unread: a message for each photo that could not be read.
    """

    examples: Mapping[str, int]
    photos: int
    unread: Sequence[str]


def write_figures(
    run: Path,
    data: Path,
    out: Path,
    *,
    shown: Callable[[Mapping[int, str]], Selection],
    best: int = 6,
    every_photo: bool = False,
    overwrite: bool = False,
    track: Callable[[Sequence[Row]], Iterable[Row]] = iter,
) -> FiguresWritten:
    """Write `CLASS.png`, a sheet of the best examples, and `photos/NAME.png`, with labels, scores, boxes and masks.

    Args:
        run: the folder of an evaluated run; its `predictions.json` are drawn, the network is not needed.
        data: the data set that it was evaluated on.
        out: a new folder.
        shown: from class names by id to what is drawn of the detections.
        best: examples on a sheet, at most one a photo, by the IoU of the mask with the truth.
        every_photo: whether all validation photos are drawn one by one, or those of the sheets.
        overwrite: whether the folder `out` may be replaced.
        track: walks through the photos that are drawn one by one, for a progress bar.

    Raises:
        RunError: the run was not evaluated, or on something else.
        DataError: a file of run or data set is broken.
    """
    predictions = stored_results(run, data / "annotations" / "val.json")
    truth = read_run(run, data).val
    if truth is None:
        raise RunError(f"{data}: no annotations/val.json in it")
    select = replace(shown(truth.names), class_agnostic_nms_iou=None)
    results = by_photo(truth.images, [row for row in predictions if row["score"] >= select.least(row["category_id"])])
    chosen = {c: best_examples(truth, results, c)[:best] for c in truth.names}
    wanted = {example.image["id"] for examples in chosen.values() for example in examples}
    unread: dict[str, str] = {}
    drawn = 0
    with atomic_folder(out, overwrite=overwrite) as folder:
        for image in track([image for image in truth.images if every_photo or image["id"] in wanted]):
            photo = _photo(data, image, unread)
            if photo is not None:
                picture = draw_instances(photo, to_instances(results[image["id"]], image), truth.names)
                _save(picture, folder / "photos" / Path(str(image["file_name"])).with_suffix(".png"))
                drawn += 1
        counts = {}
        for class_id, examples in chosen.items():
            pictures, captions = _pairs(data, truth, results, examples, unread)
            counts[truth.names[class_id]] = len(pictures) // 2
            if pictures:
                name = safe_file_name(truth.names[class_id])
                _save(contact_sheet(pictures, columns=4, captions=captions), folder / f"{name}.png")
        if not drawn:
            raise RunError(f"{run}: nothing was found rightly on photos that can be read; there is nothing to show")
    return FiguresWritten(counts, drawn, list(unread.values()))


def best_examples(truth: Truth, results: Mapping[int, Sequence[Row]], class_id: int) -> list[BestExample]:
    """Photos on which an object of the class was found with IoU .5 or more, the best fitting mask first."""
    examples = []
    for image in truth.images:
        objects = [a for a in truth.by_photo[image["id"]] if a["category_id"] == class_id and not a.get("iscrowd")]
        found = [row for row in results[image["id"]] if row["category_id"] == class_id]
        if not objects or not found:
            continue
        iou = mask_iou(to_instances(found, image).masks.rle(), to_instances(objects, image).masks.rle())
        if iou.size and iou.max() >= _FOUND:
            surest = found[int(iou.max(axis=1).argmax())]
            examples.append(BestExample(image, float(iou.max()), float(surest["score"])))
    return sorted(examples, key=lambda example: -example.iou)


def _pairs(
    data: Path,
    truth: Truth,
    results: Mapping[int, Sequence[Row]],
    examples: Sequence[BestExample],
    unread: dict[str, str],
) -> tuple[list[NDArray[np.uint8]], list[str]]:
    """Truth and what was found, in turn, with a caption for each."""
    pictures, captions = [], []
    for example in examples:
        photo = _photo(data, example.image, unread)
        if photo is None:
            continue
        right = to_instances(truth.by_photo[example.image["id"]], example.image)
        found = to_instances(results[example.image["id"]], example.image)
        pictures += [_small(photo, right, truth.names, scores=False), _small(photo, found, truth.names, scores=True)]
        captions += [f"truth: {example.image['file_name']}", f"found: IoU {example.iou:.2f}, score {example.score:.2f}"]
    return pictures, captions


def _photo(data: Path, image: Row, unread: dict[str, str]) -> NDArray[np.uint8] | None:
    """A photo of the size that its annotations have; None, and a word on it, where there is no such."""
    path = data / "images" / str(image["file_name"])
    photo = try_read_photo(path)
    if isinstance(photo, PhotoError):
        unread[str(path)] = str(photo)
        return None
    if photo.shape[:2] != (image["height"], image["width"]):
        unread[str(path)] = f"{path}: the photo has {photo.shape[:2]} pixels (height, width), its annotations say other"
        return None
    return photo


def _small(
    photo: NDArray[np.uint8], instances: Instances, names: Mapping[int, str], *, scores: bool
) -> NDArray[np.uint8]:
    small = shrink(photo, _CELL)
    size = (small.shape[0], small.shape[1])
    return draw_instances(small, resize_instances(instances, size), names, scores=scores)


def _save(picture: NDArray[np.uint8], path: Path) -> None:
    with atomic_file(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")
