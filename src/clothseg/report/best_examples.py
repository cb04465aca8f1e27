"""The best detections of each class, beside the ground truth: the report's Figures 13 to 17."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from clothseg.errors import PhotoError, RunError
from clothseg.evaluation.stored import checked_results, require_evaluated_on, shared_data, truth_for, validation_split
from clothseg.evaluation.truth import GroundTruth
from clothseg.files import OutputNames, atomic_file, atomic_folder, require_outside_inputs
from clothseg.instances import (
    CocoImage,
    CocoResult,
    Instances,
    Selection,
    class_number,
    mask_iou,
    resize_instances,
)
from clothseg.photos import RgbImage
from clothseg.pictures import contact_sheet, draw_instances
from clothseg.pictures.embed import shrink
from clothseg.progress import ProgressBar, no_progress
from clothseg.report.figures import read_sized_photo
from clothseg.report.reading import results_by_photo, to_instances

_CELL = 380 * 560  # pixels of a photo on a sheet; lines and letters are drawn for this size
_MIN_IOU = 0.5  # of a detection that counts as correct


@dataclass(frozen=True)
class BestExample:
    """A photo with a correct detection of a class.

    Attributes:
        image: the photo.
        iou: of the best mask with its object.
        score: of that detection.
    """

    image: CocoImage
    iou: float
    score: float


@dataclass(frozen=True)
class FiguresWritten:
    """The result of `write_figures`.

    Attributes:
        examples: number of examples on each class's sheet, by class name; 0 if there is no sheet.
        photos: number of photos that were drawn one by one.
        unread: a message for each photo that could not be read.
    """

    examples: Mapping[str, int]
    photos: int
    unread: Sequence[str]


def write_figures(
    run: Path | str,
    out: Path | str,
    data: Path | str | None = None,
    *,
    split: str | None = None,
    score_threshold: float = 0.5,
    class_thresholds: Mapping[str, float] | None = None,
    best: int = 6,
    every_photo: bool = False,
    overwrite: bool = False,
    progress: ProgressBar = no_progress,
) -> FiguresWritten:
    """Draws the detections of an evaluated run: `CLASS.png`, a sheet of the best examples, and `photos/NAME.png`.

    Args:
        run: the run's folder; `predictions.json` is drawn, the network is not needed.
        out: a new folder.
        data: the dataset that the run was evaluated on; by default the run's own.
        split: another split of it than `val`.
        score_threshold: detections with a lower score are not drawn.
        class_thresholds: other score thresholds, by class name.
        best: examples on a sheet, at most one per photo, by the IoU of the mask with the ground truth.
        every_photo: whether to draw all validation photos one by one, or only those of the sheets.
        overwrite: whether the folder `out` may be replaced.
        progress: wraps the photos that are drawn one by one, for a progress bar.

    Raises:
        RunError: the run was not evaluated, or on other photos; its dataset is not found; or nothing can be drawn.
        DataError: a file of the run or the dataset is broken.
        ConfigError: there is no class of a name in `class_thresholds`.
    """
    run, out = Path(run), Path(out)
    data = Path(data) if data is not None else shared_data([run])
    truth = truth_for(data, split, [run])
    predictions = checked_results(require_evaluated_on(run, truth).predictions, truth)
    select = Selection(score_threshold, _by_id(truth, class_thresholds or {}))
    shown = [row for row in predictions if row["score"] >= select.least(row["category_id"])]
    results = results_by_photo(truth.images, shown)
    chosen = {c: best_examples(truth, results, c)[:best] for c in truth.names}
    wanted = {example.image["id"] for examples in chosen.values() for example in examples}
    images = [image for image in truth.images if every_photo or image["id"] in wanted]
    photos = [truth.photo_path(image, data / "images") for image in truth.images]
    require_outside_inputs(out, [run, validation_split(data, split, [run]).annotations, *photos], allow_inside=True)
    unread: dict[str, str] = {}
    drawn, photo_names, sheet_names = 0, OutputNames(), OutputNames()
    with atomic_folder(out, overwrite=overwrite) as folder:
        for image in progress(images, len(images), "drawing"):
            photo = _photo(data, truth, image, unread)
            if photo is not None:
                picture = draw_instances(photo, to_instances(results[image["id"]], image), truth.names)
                name = Path(image.get("file_name", str(image["id"]))).stem
                _save(picture, folder / "photos" / photo_names.name(name, ".png"))
                drawn += 1
        counts = {}
        for class_id, examples in chosen.items():
            pictures, captions = _pairs(data, truth, results, examples, unread)
            counts[truth.names[class_id]] = len(pictures) // 2
            if pictures:
                name = sheet_names.name(truth.names[class_id], ".png")
                _save(contact_sheet(pictures, columns=4, captions=captions), folder / name)
        if not drawn:
            raise RunError(f"{run}: no detection is correct on a photo that can be read, so there is nothing to draw")
    return FiguresWritten(counts, drawn, list(unread.values()))


def best_examples(truth: GroundTruth, results: Mapping[int, Sequence[CocoResult]], class_id: int) -> list[BestExample]:
    """Photos on which an object of the class was found with IoU 0.5 or more, the highest IoU first."""
    examples, masks = [], truth.for_masks.by_photo
    for image in truth.images:
        objects = [a for a in masks[image["id"]] if a["category_id"] == class_id and not a["iscrowd"]]
        found = [row for row in results[image["id"]] if row["category_id"] == class_id]
        if not objects or not found:
            continue
        iou = mask_iou(to_instances(found, image).masks.rle(), to_instances(objects, image).masks.rle())
        if iou.size and iou.max() >= _MIN_IOU:
            closest = found[int(iou.max(axis=1).argmax())]
            examples.append(BestExample(image, float(iou.max()), float(closest["score"])))
    return sorted(examples, key=lambda example: -example.iou)


def _by_id(truth: GroundTruth, thresholds: Mapping[str, float]) -> dict[int, float]:
    """Score thresholds by category id instead of class name."""
    ids, names = list(truth.names), list(truth.names.values())
    return {ids[class_number(name, names) - 1]: score for name, score in thresholds.items()}


def _pairs(
    data: Path,
    truth: GroundTruth,
    results: Mapping[int, Sequence[CocoResult]],
    examples: Sequence[BestExample],
    unread: dict[str, str],
) -> tuple[list[RgbImage], list[str]]:
    """Ground truth and detections of each example, alternating, with a caption for each."""
    pictures, captions = [], []
    for example in examples:
        photo = _photo(data, truth, example.image, unread)
        if photo is None:
            continue
        objects = to_instances(truth.by_photo[example.image["id"]], example.image)
        found = to_instances(results[example.image["id"]], example.image)
        pictures += [_small(photo, objects, truth.names, scores=False), _small(photo, found, truth.names, scores=True)]
        captions += [f"truth: {example.image['file_name']}", f"found: IoU {example.iou:.2f}, score {example.score:.2f}"]
    return pictures, captions


def _photo(data: Path, truth: GroundTruth, image: CocoImage, unread: dict[str, str]) -> RgbImage | None:
    """A photo; None, and a message in `unread`, if it cannot be read or has another size than its annotations."""
    path = truth.photo_path(image, data / "images")
    try:
        return read_sized_photo(path, (image["height"], image["width"]))
    except PhotoError as error:
        unread[str(path)] = str(error)
        return None


def _small(photo: RgbImage, instances: Instances, names: Mapping[int, str], *, scores: bool) -> RgbImage:
    small = shrink(photo, _CELL)
    size = (small.shape[0], small.shape[1])
    return draw_instances(small, resize_instances(instances, size), names, scores=scores)


def _save(picture: RgbImage, path: Path) -> None:
    with atomic_file(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")
