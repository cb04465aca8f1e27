"""From files to a file: a cut-out, or a garment of a photo, on another photo."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from clothseg.errors import ClothsegError, DataError, PhotoError
from clothseg.files import atomic_file, require_absent
from clothseg.garments.compose import Box, compose, keep_shape, place, worn
from clothseg.garments.cutout import Cutout, cut_out
from clothseg.garments.store import Finder, class_id, has_transparency, read_cutout
from clothseg.photos import RgbImage, read_photo

_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp"}


@dataclass(frozen=True)
class Placement:
    """Where a garment goes; nothing given is the middle of the photo, at its own size.

    Attributes:
        at: x y of the garment's middle; a number of pixels, or a part of the photo such as `50%`.
        scale: its size by its own.
        box: x1 y1 x2 y2 that it fills, as in `at`.
        keep_shape: whether it keeps its proportions in a box.
    """

    at: str | None = None
    scale: float | None = None
    box: str | None = None
    keep_shape: bool = False

    def box_for(self, cutout: Cutout, size: tuple[int, int]) -> Box:
        """x1 y1 x2 y2 on a photo of `size` (height, width).

        Raises:
            DataError: the words are no numbers, or exclude each other.
        """
        if self.box is None:
            centre = read_numbers(self.at, 2, size) if self.at is not None else None
            return place(cutout, size, centre=(centre[0], centre[1]) if centre else None, scale=self.scale)
        if self.at is not None or self.scale is not None:
            raise DataError("a box says where and how large; leave --at and --scale away, or leave --box away")
        x1, y1, x2, y2 = read_numbers(self.box, 4, size)
        return keep_shape(cutout, (x1, y1, x2, y2)) if self.keep_shape else (x1, y1, x2, y2)


def read_numbers(words: str, count: int, size: tuple[int, int]) -> list[float]:
    """Numbers with commas between, x and y in turn: pixels, or with `%` a part of the width or the height.

    Raises:
        DataError: they are not so.
    """
    parts = [part.strip() for part in words.split(",")]
    try:
        if len(parts) != count:
            raise ValueError
        values = [
            float(part[:-1]) / 100 * size[1 - position % 2] if part.endswith("%") else float(part)
            for position, part in enumerate(parts)
        ]
    except ValueError:
        shape = "x,y" if count == 2 else "x1,y1,x2,y2"
        raise DataError(f"{words!r}: expected {shape} in pixels or with %, as 120,300 or 50%,60%") from None
    if not all(abs(value) < 1e6 for value in values):
        raise DataError(f"{words!r}: a number is too large to be a place on a photo")
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
    """Write `background` with the cut-out `garment` on it.

    Raises:
        ClothsegError: a file cannot be read, the place makes no sense, or `out` exists or has an unknown suffix.
    """
    check_out(out, overwrite=overwrite)
    cutout, photo = read_cutout(garment), read_photo(background)
    box = where.box_for(cutout, (photo.shape[0], photo.shape[1]))
    save_picture(compose(cutout, photo, box, match_light=match_light), out)


@dataclass(frozen=True)
class Replaced:
    """What was put in the place of what.

    Attributes:
        class_name: of both garments.
        box: x1 y1 x2 y2 of the garment that was there, in pixels.
        score: how sure the network is of it.
    """

    class_name: str
    box: Box
    score: float


def replace_files(
    garment: Path,
    background: Path,
    out: Path,
    find: Finder,
    names: Sequence[str],
    *,
    class_name: str | None = None,
    same_shape: bool = False,
    match_light: bool = True,
    overwrite: bool = False,
) -> Replaced:
    """Write `background` with `garment` where it has one of the same class, stretched to that one's box.

    Args:
        garment: a cut-out, or a photo out of which the garment is cut.
        background: a photo.
        out: the file to write.
        find: gives the instances on a photo, those alone that are sure enough.
        names: of the classes 1..K.
        class_name: what is replaced; if None, what the cut-out says it is.
        same_shape: whether the garment keeps its proportions, and may leave something of the old one uncovered.
        match_light: see `compose`.
        overwrite: whether `out` may be replaced.

    Raises:
        ClothsegError: as `compose_files`; or one of the photos has no garment of the class.
    """
    check_out(out, overwrite=overwrite)
    photo = read_photo(background)
    cutout = _garment(garment, find, names, class_name)
    wanted = class_name or cutout.class_name
    if not wanted:
        raise DataError(f"{garment}: the picture does not say what it shows; name it with --class")
    old = worn(photo, find(photo), class_id(wanted, names))
    if old is None:
        raise DataError(f"{background}: no {wanted} found that is sure enough; a lower threshold finds more")
    box = keep_shape(cutout, old.box) if same_shape else old.box
    save_picture(compose(cutout, photo, box, match_light=match_light), out)
    return Replaced(names[class_id(wanted, names) - 1], old.box, old.score)


def _garment(path: Path, find: Finder, names: Sequence[str], class_name: str | None) -> Cutout:
    """The cut-out in a file; or where the file is a photo, its surest garment (of the class) cut out."""
    if has_transparency(path):
        return read_cutout(path)
    photo = read_photo(path)
    found = find(photo)
    if class_name is not None:
        found = found[found.classes == class_id(class_name, names)]
    order = found.scores.argsort(descending=True, stable=True).tolist()
    cutouts = (cut_out(photo, found, position, names[int(found.classes[position]) - 1]) for position in order)
    cutout = next((c for c in cutouts if c is not None), None)
    if cutout is None:
        what = class_name or "garment"
        raise DataError(f"{path}: no {what} found that is sure enough; a lower threshold finds more")
    return cutout


def check_out(out: Path, *, overwrite: bool) -> None:
    """Refuse a file that is there already, or whose suffix names no format that is written.

    Raises:
        ClothsegError: so it is.
    """
    if out.suffix.lower() not in _SUFFIXES:
        raise PhotoError(f"{out}: pictures are written as {', '.join(sorted(_SUFFIXES))}; choose one of these suffixes")
    if out.is_dir():
        raise ClothsegError(f"{out} is a folder; name a file")
    require_absent(out, overwrite=overwrite)


def save_picture(picture: RgbImage, out: Path) -> None:
    """Write `[H, W, 3]` in the format of the suffix, with little loss."""
    image = Image.fromarray(picture)
    with atomic_file(out) as temporary:
        if out.suffix.lower() == ".png":
            image.save(temporary, format="PNG")
        else:
            image.save(temporary, format="WEBP" if out.suffix.lower() == ".webp" else "JPEG", quality=93)
