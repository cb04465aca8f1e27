"""Cut-outs on disk: a PNG with transparency that also stores class, place and light."""

import io
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from clothseg.errors import DataError, InterruptedRun, PhotoError, is_out_of_memory
from clothseg.files import atomic_write, require_absent, require_outside_inputs, safe_file_name
from clothseg.garments.cutout import DEFAULTS, Cutout, CutoutSettings, cut_out
from clothseg.garments.light import Light
from clothseg.instances import ArrayInstances, class_number
from clothseg.journal import Journal, Record, folder_lock, work_key
from clothseg.photos import RgbImage, open_picture, read_photo, try_read_photo
from clothseg.stop import StopRequest

if TYPE_CHECKING:  # it needs torch
    from clothseg.instances import Instances

Predict = Callable[[RgbImage], "Instances | ArrayInstances"]
"""Returns the detections on a photo `[H, W, 3]`."""
_KEY = "clothseg"
LIST = "cutouts.json"


@dataclass(frozen=True)
class CutoutsWritten:
    """The result of `write_cutouts`.

    Attributes:
        photos: the number of photos that were read.
        garments: the number of cut-outs.
        failed: a message for each photo that could not be read.
    """

    photos: int
    garments: int
    failed: list[str]


def write_cutouts(
    predict: Predict,
    names: Sequence[str],
    paths: Sequence[Path],
    out: Path,
    *,
    classes: Sequence[str] = (),
    full_frame: bool = False,
    settings: CutoutSettings = DEFAULTS,
    overwrite: bool = False,
    track: Callable[[Sequence[Path]], Iterable[Path]] = iter,
    work: object = None,
    notify: Callable[[str], object] = lambda message: None,
) -> CutoutsWritten:
    """Writes a PNG for every garment on the photos, and `cutouts.json` with a list of them, to `out`.

    Photos that cannot be read are skipped. If none can be read, nothing is written. Ctrl-C or SIGTERM ends it after the
    current photo, and `cutouts.json` lists what is done. The same call continues there, also after a kill.

    Args:
        predict: returns the detections on a photo, already filtered by score.
        names: the names of the classes 1..K.
        paths: photos.
        out: a folder.
        classes: only garments of these classes; all if empty. Upper and lower case do not matter.
        full_frame: whether a PNG has the photo's size, with the garment at its place, or is trimmed to the garment.
        settings: how garments are cut out.
        overwrite: whether the cut-outs in `out` may be replaced.
        track: wraps the photos, for a progress bar.
        work: identifies the network and its settings: unfinished cut-outs are continued if it is equal, and so are the
            other arguments.
        notify: receives messages.

    Raises:
        ClothsegError: `out` is not empty and `overwrite` is not set, or contains a photo, or a class is not known.
        InterruptedRun: Ctrl-C or SIGTERM; all that was cut out is listed.
    """
    wanted = {class_number(name, names, option="--class", ignore_case=True) for name in classes or names}
    key = {"of": work, "inputs": paths, "classes": sorted(wanted), "full": full_frame, "settings": asdict(settings)}
    journal = Journal(out, work_key(key))
    require_outside_inputs(out, paths)
    continues = journal.begin(overwrite=overwrite)
    if unread := _unreadable(paths):
        return CutoutsWritten(0, 0, unread)
    with folder_lock(out):
        if not continues:
            _clear(journal)
        done = journal.done()
        if continues:
            notify(f"continuing: {len(done)} of {len(paths)} photos were done before")
        left = [(number, path) for number, path in enumerate(paths, start=1) if number not in done]
        with StopRequest() as stop, journal.writer() as add:
            for (number, _), path in zip(left, track([path for _, path in left]), strict=True):
                add({"number": number, **_cut_photo(predict, path, names, wanted, out, number, full_frame, settings)})
                if stop.asked:
                    break
        return _finish(journal, len(paths))


def _unreadable(paths: Sequence[Path]) -> list[str]:
    """A message for each photo if none of them can be read; an empty list if one can."""
    problems = []
    for path in paths:
        if not isinstance(photo := try_read_photo(path), PhotoError):
            return []
        problems.append(str(photo))
    return problems


def _cut_photo(
    predict: Predict,
    path: Path,
    names: Sequence[str],
    wanted: Collection[int],
    out: Path,
    number: int,
    full_frame: bool,
    settings: CutoutSettings,
) -> Record:
    """Writes the cut-outs of a photo; returns their rows in `cutouts.json`, or why the photo could not be done."""
    photo = try_read_photo(path)
    if isinstance(photo, PhotoError):
        return {"read": False, "problem": str(photo), "rows": []}
    rows: list[dict[str, Any]] = []
    problem = ""
    try:
        for position, cutout in cut_out_all(predict, photo, names, wanted, settings):
            stem = f"{number:04d}-{safe_file_name(path.stem)}-{position + 1}"
            name = f"{stem}-{safe_file_name(cutout.class_name)}.png"
            save_cutout(cutout, out / name, full_frame=full_frame)
            rows.append({"file_name": name, "photo": path.as_posix(), **_facts(cutout)})
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        problem = f"{path}: memory ran out for this photo; make it smaller"
    return {"read": True, "problem": problem, "rows": rows}


def _finish(journal: Journal, photos: int) -> CutoutsWritten:
    """Writes the list of cut-outs from the records, and deletes the records if nothing is left to do."""
    with journal.records() as records:
        done = list(records)
    rows = [row for record in done for row in record["rows"]]
    atomic_write(journal.folder / LIST, json.dumps({"cutouts": rows}, indent=1))
    if len(done) < photos:
        raise InterruptedRun(
            f"{len(done)} of {photos} photos are done, and their cut-outs are in {journal.folder}; the same command "
            "continues there (without --overwrite)"
        )
    journal.remove()
    failed = [record["problem"] for record in done if record["problem"]]
    return CutoutsWritten(sum(record["read"] for record in done), len(rows), failed)


def write_one_cutout(
    predict: Predict,
    names: Sequence[str],
    photo: Path,
    out: Path,
    *,
    classes: Sequence[str] = (),
    full_frame: bool = False,
    settings: CutoutSettings = DEFAULTS,
    overwrite: bool = False,
) -> Cutout:
    """Writes the garment with the highest score on a photo to the file `out`; the arguments are as above.

    Raises:
        ClothsegError: `out` exists and `overwrite` is not set, or a class is not known.
        PhotoError: the photo cannot be read.
        DataError: there is no such garment on it.
    """
    wanted = {class_number(name, names, option="--class", ignore_case=True) for name in classes or names}
    require_absent(out, overwrite=overwrite)
    require_outside_inputs(out, [photo])
    best = next(cut_out_all(predict, read_photo(photo), names, wanted, settings), None)
    if best is None:
        what = " or ".join(classes) or "garment"
        raise DataError(f"{photo}: no {what} found above the score threshold; lower --score-threshold to find more")
    save_cutout(best[1], out, full_frame=full_frame)
    return best[1]


def cut_out_all(
    predict: Predict, photo: RgbImage, names: Sequence[str], wanted: Collection[int], settings: CutoutSettings
) -> Iterator[tuple[int, Cutout]]:
    """Yields the position and the cut-out of every garment on a photo, the highest score first.

    Args:
        predict: returns the detections.
        photo: `[H, W, 3]` uint8 RGB.
        names: the names of the classes 1..K.
        wanted: only garments of these classes 1..K.
        settings: how they are cut out.
    """
    found = predict(photo)
    found = found[[position for position, label in enumerate(found.classes.tolist()) if label in wanted]]
    for position in range(len(found)):
        cutout = cut_out(photo, found, position, names[int(found.classes[position]) - 1], settings)
        if cutout is not None:
            yield position, cutout


def save_cutout(cutout: Cutout, path: Path, *, full_frame: bool = False) -> None:
    """Writes a PNG. Class, score, place and light are stored in its text chunk."""
    atomic_write(path, encode_cutout(cutout, full_frame=full_frame))


def encode_cutout(cutout: Cutout, *, full_frame: bool = False) -> bytes:
    """The PNG that `save_cutout` writes."""
    text = PngInfo()
    text.add_text(_KEY, json.dumps(_facts(cutout) | {"light": cutout.light}))
    picture = cutout.full_frame() if full_frame else cutout.picture
    target = io.BytesIO()
    Image.fromarray(picture).save(target, format="PNG", pnginfo=text)
    return target.getvalue()


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
    """Whether a file is a picture with transparency. False if it cannot be read."""
    try:
        with open_picture(path) as picture:
            return picture.has_transparency_data
    except PhotoError:
        return False


def read_cutout(path: Path) -> Cutout:
    """Reads a cut-out from any picture with transparency, trimmed to the visible part.

    Class and light are known only for files of `save_cutout`.

    Raises:
        PhotoError: the file does not exist, is not a picture, has no transparency, or is completely transparent.
    """
    with open_picture(path) as picture:
        return decode_cutout(picture, str(path))


def decode_cutout(picture: Image.Image, what: str) -> Cutout:
    """The cut-out in an open picture; see `read_cutout`. `what` names it in errors."""
    picture.load()
    if not picture.has_transparency_data:
        raise PhotoError(f"{what}: the picture has no transparency; make a cut-out with `clothseg cutout`")
    pixels = np.array(picture.convert("RGBA"))
    facts = _parse_object(picture.info.get(_KEY))
    ys, xs = np.flatnonzero(pixels[..., 3].any(axis=1)), np.flatnonzero(pixels[..., 3].any(axis=0))
    if not len(ys):
        raise PhotoError(f"{what}: the picture is completely transparent")
    trimmed = pixels[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]
    name = facts.get("class")
    return Cutout(trimmed, class_name=name if isinstance(name, str) else "", light=_light(facts.get("light")))


def _parse_object(text: object) -> dict[str, Any]:
    """Parses a JSON object; empty if the text is anything else."""
    try:
        facts = json.loads(text) if isinstance(text, str) else {}
    except (ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _light(value: object) -> Light | None:
    if not isinstance(value, list) or len(value) != 3 or not all(isinstance(v, float) and 0 < v <= 1 for v in value):
        return None
    return float(value[0]), float(value[1]), float(value[2])


def _clear(journal: Journal) -> None:
    """Deletes the cut-outs that `cutouts.json` or records list, so that old and new ones do not mix."""
    listed = journal.folder / LIST
    known = _parse_object(listed.read_text(encoding="utf-8")).get("cutouts", []) if listed.is_file() else []
    with journal.records() as records:
        rows = [*known, *(row for record in records for row in record.get("rows", []))]
    for row in rows:
        if isinstance(row, dict) and isinstance(row.get("file_name"), str):
            (journal.folder / Path(row["file_name"]).name).unlink(missing_ok=True)
    listed.unlink(missing_ok=True)
    journal.remove()
