"""From photos and videos on disk to a folder of results."""

import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from PIL import Image

from clothseg.distributed import SINGLE_PROCESS, DistributedContext
from clothseg.errors import PhotoError
from clothseg.evaluation.results import coco_results
from clothseg.files import atomic_file, require_absent
from clothseg.instances import Instances
from clothseg.photos import RgbImage, try_read_photo
from clothseg.pictures import draw_instances
from clothseg.pictures.maps import class_map, class_palette, instance_map, instance_palette, save_map
from clothseg.prediction.options import Find, OutputFormat, PredictOptions, ProgressBar, no_progress
from clothseg.prediction.videos import predict_video
from clothseg.prediction.writers import Predicted, PredictionRecord, merged_parts, write_part, write_records
from clothseg.videos import check_library, is_video, open_video

_OURS = re.compile(r"\d{4,}-.+\.(png|mp4|json|csv)|labels-.+|predictions\.json|images\.json|detections\.csv|\.part-\d+")
_ABOUT_PHOTOS = frozenset({OutputFormat.COCO, OutputFormat.CSV})
Work = tuple[int, Path]


def predict_files(
    find: Find,
    names: Mapping[int, str],
    paths: Sequence[Path],
    out: Path,
    options: PredictOptions | None = None,
    *,
    distributed: DistributedContext = SINGLE_PROCESS,
    overwrite: bool = False,
    track: ProgressBar = no_progress,
) -> Predicted | None:
    """Write results of photos and videos into a folder.

    `images.json` lists photos (with their number among the inputs as id), videos and classes; `predictions.json` are
    COCO results. A file that cannot be read is passed over. Where none can be read, nothing is written.

    Args:
        find: gives the instances that count on some photos; see `detect_batch`.
        names: of classes by id.
        paths: photos and videos.
        out: folder.
        wanted: what is written.
        distributed: the ranks that share the work, all with the same arguments.
        overwrite: whether the prediction that is in `out` may be replaced.
        track: for a progress bar.

    Returns:
        what came of it; None on every rank but the first.

    Raises:
        ClothsegError: `out` holds something, and `overwrite` is not set; or there are videos, and PyAV is not there.
    """
    options = options or PredictOptions()
    if any(is_video(path) for path in paths):
        check_library()
    if distributed.is_first:
        require_absent(out, overwrite=overwrite)
    if problems := _unreadable(paths):
        return Predicted(0, 0, 0, problems) if distributed.is_first else None
    if distributed.is_first:
        _clear(out)
    distributed.barrier()
    work = distributed.strided_shard(list(enumerate(paths, start=1)))
    records = _answers(find, names, work, out, options, track)
    formats = options.formats if not all(is_video(path) for path in paths) else options.formats - _ABOUT_PHOTOS
    if distributed.world_size == 1:
        return write_records(records, out, names, formats)
    parts = [out / f".part-{rank}" for rank in range(distributed.world_size)]
    write_part(records, parts[distributed.rank])
    distributed.barrier()
    if distributed.rank:
        return None
    with merged_parts(parts) as merged:
        return write_records(merged, out, names, formats)


def _unreadable(paths: Sequence[Path]) -> list[str]:
    """A message for each file if none of them can be read; nothing as soon as one can."""
    problems = []
    for path in paths:
        try:
            if is_video(path):
                with open_video(path):
                    return []
            if not isinstance(problem := try_read_photo(path), PhotoError):
                return []
            problems.append(str(problem))
        except PhotoError as error:
            problems.append(str(error))
    return problems


def _answers(
    find: Find, names: Mapping[int, str], work: Sequence[Work], out: Path, options: PredictOptions, track: ProgressBar
) -> Iterator[PredictionRecord]:
    """An answer for each photo and video, in their order."""
    with ThreadPoolExecutor(max_workers=options.batch) as pool:
        waiting: list[Work] = []
        for number, path in track(work, len(work), "predicting"):
            if not is_video(path):
                waiting.append((number, path))
            if waiting and (is_video(path) or len(waiting) == options.batch):
                yield from _photos(find, names, waiting, out, options, pool)
                waiting = []
            if is_video(path):
                try:
                    yield predict_video(number, path, out, find, names, options, track)
                except PhotoError as error:
                    yield PredictionRecord(number, problem=str(error))
        yield from _photos(find, names, waiting, out, options, pool)


def _photos(
    find: Find,
    names: Mapping[int, str],
    work: Sequence[Work],
    out: Path,
    options: PredictOptions,
    pool: ThreadPoolExecutor,
) -> Iterator[PredictionRecord]:
    """Answers for some photos that are in memory together: read side by side, looked at, written side by side."""
    read = list(pool.map(try_read_photo, [path for _, path in work]))
    found = iter(find([photo for photo in read if not isinstance(photo, PhotoError)]))

    def answer(place: Work, photo: RgbImage | PhotoError, instances: Instances | None) -> PredictionRecord:
        if instances is None or isinstance(photo, PhotoError):
            return PredictionRecord(place[0], problem=str(photo))
        return _write(*place, photo, instances, out, names, options)

    instances = [None if isinstance(photo, PhotoError) else next(found) for photo in read]
    yield from pool.map(answer, work, read, instances)


def _write(
    number: int,
    path: Path,
    photo: RgbImage,
    found: Instances,
    out: Path,
    names: Mapping[int, str],
    options: PredictOptions,
) -> PredictionRecord:
    """Write the files of one photo."""
    sure = options.shown.sure(found).cpu()
    shown = found[sure]
    name = f"{number:04d}-{path.stem}.png"
    entry: dict[str, Any] = {
        "id": number,
        "file_name": path.as_posix(),
        "width": photo.shape[1],
        "height": photo.shape[0],
    }
    if OutputFormat.PICTURES in options.formats:
        with atomic_file(out / name) as temporary:
            Image.fromarray(draw_instances(photo, shown, names)).save(temporary, format="PNG")
        entry["picture"] = name
    if OutputFormat.CLASS_MAPS in options.formats:
        save_map(class_map(shown), class_palette(max(names)), out / "class-maps" / name)
        entry["class_map"] = f"class-maps/{name}"
    if OutputFormat.INSTANCE_MAPS in options.formats:
        numbers = (sure.nonzero()[:, 0] + 1).tolist()
        save_map(instance_map(shown, numbers), instance_palette(found.classes.tolist()), out / "instance-maps" / name)
        entry["instance_map"] = f"instance-maps/{name}"
    needed = _ABOUT_PHOTOS & options.formats
    rows = coco_results(number, found, lambda label: label) if needed else []
    return PredictionRecord(number, entry, rows, len(shown))


def _clear(out: Path) -> None:
    """Delete the prediction that is in `out`, so that nothing old stands among what is new."""
    for folder, pattern in ((out, _OURS), (out / "class-maps", _OURS), (out / "instance-maps", _OURS)):
        for old in sorted(folder.iterdir()) if folder.is_dir() else ():
            if old.is_file() and pattern.fullmatch(old.name):
                old.unlink()
