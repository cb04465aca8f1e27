"""Cut-outs on disk: a PNG with transparency that says what it shows, where it was, and in which light."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from clothseg.errors import DataError, PhotoError
from clothseg.files import atomic_file, atomic_write, require_absent, safe_file_name
from clothseg.garments.cutout import Cutout, cut_out
from clothseg.garments.light import Light
from clothseg.instances import Instances
from clothseg.photos import RgbImage, try_read_photo

Finder = Callable[[RgbImage], Instances]
_KEY = "clothseg"
LIST = "cutouts.json"


@dataclass(frozen=True)
class CutoutsWritten:
    """What came of cutting out garments.

    Attributes:
        photos: how many were read.
        garments: how many were cut out.
        failed: a message for each photo that could not be read.
    """

    photos: int
    garments: int
    failed: list[str]


def write_cutouts(
    find: Finder,
    names: Sequence[str],
    paths: Sequence[Path],
    out: Path,
    *,
    classes: Sequence[str] = (),
    full_frame: bool = False,
    overwrite: bool = False,
    track: Callable[[Sequence[Path]], Iterable[Path]] = iter,
) -> CutoutsWritten:
    """Write a PNG for every garment on the photos into `out`, and `cutouts.json`, the list of them.

    A photo that cannot be read is passed over. Where none can be read, nothing is written.

    Args:
        find: gives the instances on a photo `[H, W, 3]`, those alone that are sure enough.
        names: of the classes 1..K.
        paths: photos.
        out: folder.
        classes: only these; all if empty.
        full_frame: whether a PNG has the photo's size, with the garment at its place, or is trimmed to the garment.
        overwrite: whether the cut-outs that are in `out` may be replaced.
        track: walks through the photos, for a progress bar.

    Raises:
        ClothsegError: `out` holds something, and `overwrite` is not set; or a class is not known.
    """
    wanted = {class_id(name, names) for name in classes or names}
    require_absent(out, overwrite=overwrite)
    rows: list[dict[str, Any]] = []
    failed: list[str] = []
    read = 0
    for number, path in enumerate(track(paths), start=1):
        photo = try_read_photo(path)
        if isinstance(photo, PhotoError):
            failed.append(str(photo))
            continue
        if not read:
            _clear(out)
        read += 1
        found = find(photo)
        found = found[torch.isin(found.classes, torch.tensor(sorted(wanted)))]
        for position in range(len(found)):
            cutout = cut_out(photo, found, position, names[int(found.classes[position]) - 1])
            if cutout is not None:
                name = f"{number:04d}-{path.stem}-{position + 1}-{safe_file_name(cutout.class_name)}.png"
                save_cutout(cutout, out / name, full_frame=full_frame)
                rows.append({"file_name": name, "photo": path.as_posix(), **_facts(cutout)})
    if read:
        atomic_write(out / LIST, json.dumps({"cutouts": rows}, indent=1))
    return CutoutsWritten(read, len(rows), failed)


def class_id(name: str, names: Sequence[str]) -> int:
    """The number 1..K of a class, capitals or not.

    Raises:
        DataError: no such class.
    """
    lower = [known.lower() for known in names]
    if name.lower() not in lower:
        raise DataError(f"the network knows no class {name!r}; it knows {', '.join(names)}")
    return lower.index(name.lower()) + 1


def save_cutout(cutout: Cutout, path: Path, *, full_frame: bool = False) -> None:
    """Write a PNG with what is known of the cut-out in its text."""
    text = PngInfo()
    text.add_text(_KEY, json.dumps(_facts(cutout) | {"light": cutout.light}))
    picture = cutout.full_frame() if full_frame else cutout.picture
    with atomic_file(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG", pnginfo=text)


def _facts(cutout: Cutout) -> dict[str, Any]:
    height, width = cutout.picture.shape[:2]
    return {
        "class": cutout.class_name,
        "score": round(cutout.score, 4),
        "box": [cutout.left, cutout.top, width, height],
        "photo_width": cutout.size[1],
        "photo_height": cutout.size[0],
    }


def has_transparency(path: Path) -> bool:
    """Whether a file is a picture with transparency; False where it cannot be read."""
    try:
        with Image.open(path) as picture:
            return picture.has_transparency_data
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False


def read_cutout(path: Path) -> Cutout:
    """A cut-out from any picture with transparency, trimmed to what is visible.

    Class and light are known of those that this program made.

    Raises:
        PhotoError: the file is missing or no picture, or has no transparency, or nothing in it is visible.
    """
    if not path.is_file():
        raise PhotoError(f"{path}: no such cut-out")
    try:
        with Image.open(path) as picture:
            picture.load()
            transparent = picture.has_transparency_data
            pixels = np.array(picture.convert("RGBA"))
            facts = _told(picture.info.get(_KEY))
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise PhotoError(f"{path}: not a picture that can be read ({error})") from error
    if not transparent:
        raise PhotoError(f"{path}: the picture has no transparency; make a cut-out of it with `clothseg cutout`")
    ys, xs = np.flatnonzero(pixels[..., 3].any(axis=1)), np.flatnonzero(pixels[..., 3].any(axis=0))
    if not len(ys):
        raise PhotoError(f"{path}: nothing in this picture is visible; all of it is transparent")
    trimmed = pixels[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]
    name = facts.get("class")
    return Cutout(trimmed, class_name=name if isinstance(name, str) else "", light=_light(facts.get("light")))


def _told(text: object) -> dict[str, Any]:
    """What the PNG's text says; nothing if it is not ours."""
    try:
        facts = json.loads(text) if isinstance(text, str) else {}
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}


def _light(value: object) -> Light | None:
    if not isinstance(value, list) or len(value) != 3 or not all(isinstance(v, float) and 0 < v <= 1 for v in value):
        return None
    return float(value[0]), float(value[1]), float(value[2])


def _clear(out: Path) -> None:
    """Delete the cut-outs that are in `out`, so that no old one stands among the new ones."""
    if (out / LIST).is_file():
        for row in _told((out / LIST).read_text(encoding="utf-8")).get("cutouts", []):
            if isinstance(row, dict) and isinstance(row.get("file_name"), str):
                (out / Path(row["file_name"]).name).unlink(missing_ok=True)
        (out / LIST).unlink()
