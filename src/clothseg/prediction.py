"""From photos on disk to files that say what is on them."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from clothseg.dataset.prelabel_files import SHOWN_FROM
from clothseg.errors import PhotoError
from clothseg.evaluation.results import coco_results
from clothseg.files import refuse_existing, whole_file, write_whole
from clothseg.models import MaskRCNN
from clothseg.photos import read_photo
from clothseg.pictures import draw_instances


@dataclass(frozen=True)
class Predicted:
    """What came of a prediction.

    Attributes:
        photos: how many were read.
        instances: how many the pictures show.
        failed: a message for each photo that could not be read.
    """

    photos: int
    instances: int
    failed: Sequence[str]


def predict_photos(
    model: MaskRCNN,
    paths: Sequence[Path],
    out: Path,
    *,
    min_confidence: float | None = None,
    overwrite: bool = False,
    track: Callable[[Sequence[Path]], Iterable[Path]] = iter,
) -> Predicted:
    """Write `predictions.json` (COCO results), `images.json` (photos and classes by id) and a PNG a photo into `out`.

    A photo that cannot be read is passed over. Where none can be read, nothing is written.

    Args:
        model: with weights.
        paths: photos.
        out: folder.
        min_confidence: instances with a lower score are left out; None leaves none out, and pictures show those from
            `SHOWN_FROM` on.
        overwrite: whether the prediction that is in `out` may be replaced.
        track: walks through the photos, for a progress bar.

    Raises:
        ClothsegError: `out` holds something, and `overwrite` is not set.
    """
    refuse_existing(out, overwrite=overwrite)
    names = dict(enumerate(model.classes, start=1))
    images: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    failed: list[str] = []
    instances = 0
    for number, path in enumerate(track(paths), start=1):
        try:
            photo = read_photo(path)
        except PhotoError as error:
            failed.append(str(error))
            continue
        if not images:
            _clear(out)
        found = model.predict(photo)
        if min_confidence is not None:
            found = found[found.scores >= min_confidence]
        shown = found[found.scores >= (SHOWN_FROM if min_confidence is None else min_confidence)]
        instances += len(shown)
        picture = f"{number:04d}-{path.stem}.png"
        with whole_file(out / picture) as temporary:
            Image.fromarray(draw_instances(photo, shown, names)).save(temporary, format="PNG")
        height, width = photo.shape[:2]
        images.append({"id": number, "file_name": str(path), "width": width, "height": height, "picture": picture})
        results += coco_results(number, found, lambda label: label)
    if images:
        write_whole(out / "predictions.json", json.dumps(results))
        categories = [{"id": number, "name": name} for number, name in names.items()]
        write_whole(out / "images.json", json.dumps({"images": images, "categories": categories}, indent=1))
    return Predicted(len(images), instances, failed)


def _clear(out: Path) -> None:
    """Delete the prediction that is in `out`, so that no old picture stands among the new ones."""
    for old in (
        *out.glob("[0-9][0-9][0-9][0-9]-*.png"),
        *out.glob("labels-*"),
        out / "predictions.json",
        out / "images.json",
    ):
        old.unlink(missing_ok=True)
