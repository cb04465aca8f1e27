"""From files to a file: pastes a cut-out, or a garment of a photo, on another photo."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from clothseg.errors import ClothsegError, DataError, PhotoError
from clothseg.files import atomic_file, require_absent, require_outside_inputs
from clothseg.garments.compose import Box, best_garment, box_at, compose, keep_shape
from clothseg.garments.cutout import Cutout, cut_out
from clothseg.garments.cutout_reading import has_transparency, read_cutout
from clothseg.instances import class_number
from clothseg.photos import RgbImage, read_photo
from clothseg.suggestions import near_path

if TYPE_CHECKING:  # it needs torch
    from clothseg.instances import Instances

Predict = Callable[[RgbImage], "Instances"]
"""Returns the detections on a photo `[H, W, 3]`."""
_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp"}
_LONGEST_SIDE = {"WEBP": 16383, "JPEG": 65500}
"""In pixels, as the libraries of these formats have it."""


@dataclass(frozen=True)
class Placement:
    """The place of a garment on a photo. The default is the middle of the photo, at the garment's own size.

    Attributes:
        at: x,y of the garment's middle: pixels, or parts of the photo such as `50%`.
        scale: factor for the garment's size.
        box: x1,y1,x2,y2 that the garment fills, written as in `at`.
        keep_shape: whether the garment keeps its proportions in the box.
    """

    at: str | None = None
    scale: float | None = None
    box: str | None = None
    keep_shape: bool = False

    def box_for(self, cutout: Cutout, size: tuple[int, int]) -> Box:
        """The box x1 y1 x2 y2 in pixels on a photo of `size` (height, width).

        Raises:
            DataError: a text is not numbers, or `box` is given together with `at` or `scale`.
        """
        if self.box is None:
            centre = read_numbers(self.at, 2, size) if self.at is not None else None
            return box_at(cutout, size, centre=(centre[0], centre[1]) if centre else None, scale=self.scale)
        if self.at is not None or self.scale is not None:
            raise DataError("--box sets place and size; remove --at and --scale, or remove --box")
        x1, y1, x2, y2 = read_numbers(self.box, 4, size)
        return keep_shape(cutout, (x1, y1, x2, y2)) if self.keep_shape else (x1, y1, x2, y2)


def read_numbers(text: str, count: int, size: tuple[int, int]) -> list[float]:
    """Reads numbers separated by commas, x and y in turn: pixels, or with `%` a part of the width or height.

    Args:
        text: for example `120,50%`.
        count: how many numbers there must be.
        size: height and width of the photo.

    Raises:
        DataError: the text has another form, or a number is too large.
    """
    parts = [part.strip() for part in text.split(",")]
    try:
        if len(parts) != count:
            raise ValueError
        values = [
            float(part[:-1]) / 100 * size[1 - position % 2] if part.endswith("%") else float(part)
            for position, part in enumerate(parts)
        ]
    except ValueError:
        shape = "x,y" if count == 2 else "x1,y1,x2,y2"
        raise DataError(f"{text!r}: expected {shape} in pixels or with %, for example 120,300 or 50%,60%") from None
    if not all(abs(value) < 1e6 for value in values):
        raise DataError(f"{text!r}: a number is too large for a place on a photo")
    return values


def compose_files(
    garment: Path,
    background: Path,
    out: Path,
    where: Placement,
    *,
    match_light: bool = True,
    overwrite: bool = False,
) -> None:
    """Pastes the cut-out `garment` on `background` and writes the result to `out`.

    Args:
        garment: a picture with transparency.
        background: a photo.
        out: the file to write.
        where: the place of the garment.
        match_light: see `compose`.
        overwrite: whether `out` may be replaced.

    Raises:
        ClothsegError: a file cannot be read, the place is impossible, or `out` exists or has an unknown suffix.
    """
    check_out(out, [garment, background], overwrite=overwrite)
    cutout, photo = read_cutout(garment), read_photo(background)
    box = where.box_for(cutout, (photo.shape[0], photo.shape[1]))
    save_picture(compose(cutout, photo, box, match_light=match_light), out)


@dataclass(frozen=True)
class Replaced:
    """The garment that was covered.

    Attributes:
        class_name: its class.
        box: x1 y1 x2 y2 in pixels.
        score: its score, in 0..1.
    """

    class_name: str
    box: Box
    score: float


def replace_files(
    garment: Path,
    background: Path,
    out: Path,
    predict: Predict,
    names: Sequence[str],
    *,
    class_name: str | None = None,
    same_shape: bool = False,
    match_light: bool = True,
    overwrite: bool = False,
) -> Replaced:
    """Pastes `garment` over the garment of the same class on `background` and writes the result to `out`.

    Args:
        garment: a cut-out, or a photo from which the garment is cut out.
        background: a photo.
        out: the file to write.
        predict: returns the detections on a photo, already filtered by score.
        names: the names of the classes 1..K.
        class_name: the class to replace. None: the class that is stored in the cut-out.
        same_shape: whether the garment keeps its proportions. Parts of the old one may then stay visible.
        match_light: see `compose`.
        overwrite: whether `out` may be replaced.

    Returns:
        The garment that was covered.

    Raises:
        ClothsegError: as in `compose_files`, or one of the photos has no garment of the class.
    """
    check_out(out, [garment, background], overwrite=overwrite)
    photo = read_photo(background)
    cutout = _garment(garment, predict, names, class_name)
    wanted = class_name or cutout.class_name
    if not wanted:
        raise DataError(f"{garment}: the picture does not contain the name of its class; give it with --class")
    label = class_number(wanted, names, option="--class", ignore_case=True)
    old = best_garment(photo, predict(photo), label)
    if old is None:
        raise DataError(
            f"{background}: no {wanted} found above the score threshold; lower --score-threshold to find more"
        )
    box = keep_shape(cutout, old.box) if same_shape else old.box
    save_picture(compose(cutout, photo, box, match_light=match_light), out)
    return Replaced(names[label - 1], old.box, old.score)


def _garment(path: Path, predict: Predict, names: Sequence[str], class_name: str | None) -> Cutout:
    """Reads a cut-out. From a photo, cuts out the garment (of the class) with the highest score."""
    if has_transparency(path):
        return read_cutout(path)
    photo = read_photo(path)
    found = predict(photo)
    if class_name is not None:
        found = found[found.classes == class_number(class_name, names, option="--class", ignore_case=True)]
    order = found.scores.argsort(descending=True, stable=True).tolist()
    cutouts = (cut_out(photo, found, position, names[int(found.classes[position]) - 1]) for position in order)
    cutout = next((c for c in cutouts if c is not None), None)
    if cutout is None:
        what = class_name or "garment"
        raise DataError(f"{path}: no {what} found above the score threshold; lower --score-threshold to find more")
    return cutout


def check_files(garment: Path, background: Path, out: Path, *, overwrite: bool) -> None:
    """Checks that both pictures exist and that `out` can be written.

    Raises:
        ClothsegError: they do not, or it cannot; see `check_out`.
    """
    check_out(out, [garment, background], overwrite=overwrite)
    for path in (garment, background):
        if not path.is_file():
            raise PhotoError(f"{path}: no such photo{near_path(path)}")


def check_out(out: Path, inputs: Sequence[Path], *, overwrite: bool) -> None:
    """Checks that `out` can be written.

    Raises:
        ClothsegError: `out` is a folder, exists without `overwrite`, is one of `inputs`, or has an unknown suffix.
    """
    if out.suffix.lower() not in _SUFFIXES:
        raise PhotoError(f"{out}: unknown suffix; choose one of the suffixes {', '.join(sorted(_SUFFIXES))}")
    if out.is_dir():
        raise ClothsegError(f"{out} is a folder; name a file")
    require_outside_inputs(out, inputs, allow_inside=True)
    require_absent(out, overwrite=overwrite)


def save_picture(picture: RgbImage, out: Path) -> None:
    """Writes `[H, W, 3]` uint8 in the format of the suffix, with little loss.

    Raises:
        DataError: a side is longer than the format allows.
    """
    form = {".png": "PNG", ".webp": "WEBP"}.get(out.suffix.lower(), "JPEG")
    longest = _LONGEST_SIDE.get(form)
    if longest is not None and max(picture.shape[:2]) > longest:
        raise DataError(
            f"{out}: the picture has {picture.shape[1]} x {picture.shape[0]} pixels (width x height), and those of "
            f"this format are at most {longest} pixels long; name a file that ends in .png"
        )
    with atomic_file(out) as temporary:
        Image.fromarray(picture).save(temporary, format=form, quality=93)
