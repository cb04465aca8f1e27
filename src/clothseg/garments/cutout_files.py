"""Cut-outs on disk: a PNG with transparency that also stores class, place and light."""

import io
import json
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from clothseg.errors import DataError, InterruptedRun, PhotoError, is_out_of_memory
from clothseg.files import atomic_write, require_absent, require_outside_inputs, safe_file_name
from clothseg.gallery import clear_gallery, require_own_page, write_thumbnail
from clothseg.garments.cutout import DEFAULTS, Cutout, CutoutSettings, cut_out
from clothseg.garments.cutout_gallery import cutout_thumbnail, write_cutout_gallery
from clothseg.garments.cutout_reading import TEXT_KEY, parse_object
from clothseg.instances import ArrayInstances, class_number
from clothseg.journal import Journal, Record, folder_lock
from clothseg.photos import RgbImage, read_photo, try_read_photo
from clothseg.progress import ProgressBar, no_progress
from clothseg.stop import StopRequest

if TYPE_CHECKING:  # it needs torch
    from clothseg.instances import Instances

Predict = Callable[[RgbImage], "Instances | ArrayInstances"]
"""Returns the detections on a photo `[H, W, 3]`."""
LIST = "cutouts.json"


@dataclass(frozen=True)
class CutoutsWritten:
    """The result of `write_cutouts`.

    Attributes:
        photos: the number of photos that were processed, completely or in part.
        garments: the number of cut-outs.
        failed: a message for each photo that could not be read, or not be processed completely.
    """

    photos: int
    garments: int
    failed: list[str]


def write_cutouts(
    predict: Predict,
    names: Sequence[str],
    paths: Sequence[Path | str],
    out: Path | str,
    *,
    classes: Sequence[str] = (),
    full_frame: bool = False,
    settings: CutoutSettings = DEFAULTS,
    overwrite: bool = False,
    gallery: bool = False,
    progress: ProgressBar = no_progress,
    work: object = None,
    notify: Callable[[str], object] = lambda message: None,
) -> CutoutsWritten:
    """Writes a PNG for every garment on the photos, and `cutouts.json` with a list of them, to `out`.

    Photos that cannot be read, or for which memory runs out, are skipped. If all are, nothing is written. Ctrl-C or
    SIGTERM ends it after the current photo, and `cutouts.json` lists what is done. The same call continues there, also
    after a kill.

    Args:
        predict: returns the detections on a photo, already filtered by score.
        names: the names of the classes 1..K.
        paths: photos.
        out: a folder.
        classes: only garments of these classes; all if empty. Upper and lower case do not matter.
        full_frame: whether a PNG has the photo's size, with the garment at its place, or is trimmed to the garment.
        settings: how garments are cut out.
        overwrite: whether the cut-outs in `out` may be replaced.
        gallery: whether `index.html` is written too, a page with all cut-outs.
        progress: wraps the photos, for a progress bar.
        work: identifies the network and its settings: unfinished cut-outs are continued if it is equal, and so are the
            other arguments.
        notify: receives messages.

    Raises:
        ClothsegError: `out` is not empty and `overwrite` is not set, or contains a photo, or a class is not known.
        InterruptedRun: Ctrl-C or SIGTERM; all that was cut out is listed.
    """
    photos, out = [Path(path) for path in paths], Path(out)
    wanted = {class_number(name, names, option="--class", ignore_case=True) for name in classes or names}
    options = {"class": [names[label - 1] for label in sorted(wanted)], "full_frame": full_frame, **asdict(settings)}
    journal = Journal.of(out, work, photos, options | {"gallery": gallery})
    require_outside_inputs(out, photos)
    if gallery:
        require_own_page(out)
    journal.begin(overwrite=overwrite)
    if unread := _unreadable(photos):
        return CutoutsWritten(0, 0, unread)
    with folder_lock(out):
        continues = journal.begin(overwrite=overwrite)  # again: another command may have ended in between
        if not continues:
            _clear(journal)
        done = journal.done()
        if continues:
            notify(f"continuing: {len(done)} of {len(photos)} photos were done before")
        left = [(number, path) for number, path in enumerate(photos, start=1) if number not in done]
        with StopRequest() as stop, journal.writer() as add:
            for (number, _), path in zip(
                left, progress([path for _, path in left], len(left), "cutting out"), strict=True
            ):
                row = _cut_photo(predict, path, names, wanted, out, number, full_frame, settings, gallery)
                add({"number": number, **row})
                if stop.asked:
                    break
        return _finish(journal, len(photos), names if gallery else ())


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
    gallery: bool,
) -> Record:
    """Writes the cut-outs of a photo; returns their rows in `cutouts.json`, or why the photo could not be done."""
    photo = try_read_photo(path)
    if isinstance(photo, PhotoError):
        return {"problem": str(photo), "rows": []}
    rows: list[dict[str, Any]] = []
    problem = ""
    try:
        for position, cutout in cut_out_all(predict, photo, names, wanted, settings):
            stem = f"{number:04d}-{safe_file_name(path.stem)}-{position + 1}"
            name = f"{stem}-{safe_file_name(cutout.class_name)}.png"
            save_cutout(cutout, out / name, full_frame=full_frame)
            if gallery:
                write_thumbnail(cutout.picture, out / cutout_thumbnail(name))
            rows.append({"file_name": name, "photo": path.as_posix(), **_facts(cutout)})
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        problem = f"{path}: memory ran out for this photo; make it smaller"
    return {"problem": problem, "rows": rows}


def _finish(journal: Journal, photos: int, names: Sequence[str]) -> CutoutsWritten:
    """Writes the list of cut-outs from the records, and deletes the records if nothing is left to do.

    With `names`, those of the classes, it writes a gallery too.
    """
    with journal.records() as records:
        done = list(records)
    rows = [row for record in done for row in record["rows"]]
    atomic_write(journal.folder / LIST, json.dumps({"cutouts": rows}, indent=1))
    if names and rows:
        write_cutout_gallery(journal.folder, LIST, rows, names)
    if len(done) < photos:
        raise InterruptedRun(
            f"{len(done)} of {photos} photos are done, and their cut-outs are in {journal.folder}; the same command "
            "continues there (without --overwrite)"
        )
    journal.remove()
    failed = [record["problem"] for record in done if record["problem"]]
    processed = sum(not record["problem"] or bool(record["rows"]) for record in done)
    if not processed:
        _clear(journal)
    return CutoutsWritten(processed, len(rows), failed)


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


def save_cutout(cutout: Cutout, path: Path | str, *, full_frame: bool = False) -> None:
    """Writes a PNG. Class, score, place and light are stored in its text chunk."""
    atomic_write(Path(path), encode_cutout(cutout, full_frame=full_frame))


def encode_cutout(cutout: Cutout, *, full_frame: bool = False) -> bytes:
    """The PNG that `save_cutout` writes."""
    text = PngInfo()
    text.add_text(TEXT_KEY, json.dumps(_facts(cutout) | {"light": cutout.light}))
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


def _clear(journal: Journal) -> None:
    """Deletes the cut-outs that `cutouts.json` or records list, so that old and new ones do not mix."""
    listed = journal.folder / LIST
    text = listed.read_text(encoding="utf-8", errors="replace") if listed.is_file() else ""
    known = parse_object(text).get("cutouts")
    with journal.records() as records:
        rows = [*(known if isinstance(known, list) else []), *(row for r in records for row in r.get("rows", []))]
    for row in rows:
        name = row.get("file_name") if isinstance(row, dict) else None
        if isinstance(name, str) and name.endswith(".png"):
            path = journal.folder / Path(name).name
            if os.path.isfile(path):  # `Path.is_file` raises for a name that no file can have
                path.unlink()
    listed.unlink(missing_ok=True)
    clear_gallery(journal.folder)
    journal.remove()
