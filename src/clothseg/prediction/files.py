"""Predicts on photos and videos on disk: reads, detects and writes some at a time, and can be continued."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from clothseg.errors import InterruptedRun, PhotoError, RunError, is_out_of_memory
from clothseg.files import require_outside_inputs
from clothseg.gallery import require_own_page
from clothseg.journal import Journal, Record, folder_lock
from clothseg.photos import RgbImage, try_read_photo
from clothseg.prediction.gallery import write_prediction_gallery
from clothseg.prediction.options import Find, OutputFormat, PredictOptions
from clothseg.prediction.videos import predict_video
from clothseg.prediction.writers import (
    TABLES,
    Predicted,
    PredictionRecord,
    clear_outputs,
    write_photo,
    write_records,
)
from clothseg.progress import ProgressBar, no_progress
from clothseg.stop import StopRequest
from clothseg.videos import check_library, is_video, open_video

if TYPE_CHECKING:  # they need torch
    from clothseg.distributed import DistributedContext
    from clothseg.instances import ArrayInstances, Instances
    from clothseg.models import Model

Work = tuple[int, Path]
"""The number of an input, from 1, and its path."""


def predict_files(
    find: Find,
    names: Mapping[int, str],
    paths: Sequence[Path | str],
    out: Path | str,
    options: PredictOptions | None = None,
    *,
    distributed: "DistributedContext | None" = None,
    overwrite: bool = False,
    progress: ProgressBar = no_progress,
    work: object = None,
    notify: Callable[[str], object] = lambda message: None,
) -> Predicted | None:
    """Writes the results of photos and videos into a folder.

    `images.json` lists photos (their number among the inputs is their id), videos and classes; `predictions.json` are
    COCO results. A file that cannot be read, or for which memory runs out, is skipped. If all are, nothing is written.

    Ctrl-C or SIGTERM ends it after the current photo or frame, and what was found is written. The same call continues
    there; so it does after a kill, from the records beside the results.

    Args:
        find: returns the instances on some photos, such as `functools.partial(detect_batch, model)`.
        names: class names by id 1..K.
        paths: photos and videos.
        out: the folder.
        options: what to write.
        distributed: the ranks that share the work, all with the same arguments; None for this process alone.
        overwrite: whether an earlier prediction in `out` may be replaced.
        progress: wraps the inputs and the frames of a video, for a progress bar.
        work: identifies the network and its settings: unfinished results are continued if it is equal, and so are
            inputs and options.
        notify: receives messages.

    Returns:
        Counts and problems; None on every rank except the first.

    Raises:
        ClothsegError: `out` is not empty and `overwrite` is not set, or it contains an input, or an `index.html` of
            something else; or there are videos, but PyAV is not installed.
        InterruptedRun: Ctrl-C or SIGTERM; all that was found is written.
    """
    options = options or PredictOptions()
    inputs, out = [Path(path) for path in paths], Path(out)
    if any(is_video(path) for path in inputs):
        check_library()
    journal = Journal.of(out, work, inputs, _named_options(options, names))
    continues = False
    is_first = distributed is None or distributed.is_first
    barrier = distributed.barrier if distributed is not None else lambda: None
    if is_first:
        require_outside_inputs(out, inputs)
        if options.gallery:
            require_own_page(out)
        journal.begin(overwrite=overwrite)
    if problems := _unreadable(inputs):
        return Predicted(0, 0, 0, problems) if is_first else None
    with folder_lock(out) if is_first else nullcontext():
        if is_first:
            continues = journal.begin(overwrite=overwrite)  # again: another command may have ended in between
            if not continues:
                clear_outputs(out)
        barrier()
        done = journal.done()
        barrier()  # before a rank adds to the records
        if continues:
            notify(f"continuing: {len(done)} of {len(inputs)} were done before")
        left = [place for place in enumerate(inputs, start=1) if place[0] not in done]
        own = left if distributed is None else list(distributed.strided_shard(left))
        with StopRequest() as request, journal.writer() as add:
            for record in _records(find, names, own, out, options, progress, lambda: request.asked):
                add(asdict(record))
        barrier()
        if not is_first:
            return None
        formats = options.formats if not all(is_video(path) for path in inputs) else options.formats - TABLES
        return _finish(journal, names, len(inputs), formats, options)


def _named_options(options: PredictOptions, names: Mapping[int, str]) -> dict[str, object]:
    """What the files in the folder depend on, besides the network and the inputs."""
    shown = options.shown
    return {
        "class": list(names.values()),
        "format": sorted(options.formats),
        "frame_stride": options.frame_stride,
        "gallery": options.gallery,
        "lowest score in pictures": shown.score_threshold,
        **{
            f"lowest score of {names.get(label, str(label))} in pictures": score
            for label, score in shown.thresholds.items()
        },
        "class_agnostic_nms_iou in pictures": shown.class_agnostic_nms_iou,
    }


def _finish(
    journal: Journal,
    names: Mapping[int, str],
    inputs: int,
    formats: frozenset[OutputFormat],
    options: PredictOptions,
) -> Predicted:
    """Writes the files for all photos from the records, and deletes the records if nothing is left to do."""
    finished = 0

    def parsed(records: Iterator[Record]) -> Iterator[PredictionRecord]:
        nonlocal finished
        for record in records:
            finished += not record["stopped"]
            yield PredictionRecord(**record)

    with journal.records() as records:
        predicted = write_records(parsed(records), journal.folder, names, formats)
    if options.gallery:
        write_prediction_gallery(journal, (predicted.photos, predicted.instances), names, options.shown, options.labels)
    if finished < inputs:
        raise InterruptedRun(
            f"{finished} of {inputs} photos and videos are done, and their results are in {journal.folder}; the same "
            "command continues there (without --overwrite)"
        )
    journal.remove()
    if not predicted.photos and not predicted.videos:
        clear_outputs(journal.folder)
    return predicted


def _unreadable(paths: Sequence[Path]) -> list[str]:
    """A message for each file if none of them can be read; an empty list if one can."""
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


def _records(
    find: Find,
    names: Mapping[int, str],
    work: Sequence[Work],
    out: Path,
    options: PredictOptions,
    progress: ProgressBar,
    stop: Callable[[], bool],
) -> Iterator[PredictionRecord]:
    """Yields a record for each photo and video, in their order, until `stop` returns True."""
    with ThreadPoolExecutor(max_workers=options.batch) as pool:
        waiting: list[Work] = []
        for number, path in progress(work, len(work), "predicting"):
            if stop():
                return
            if not is_video(path):
                waiting.append((number, path))
            if waiting and (is_video(path) or len(waiting) == options.batch):
                yield from _photos(find, names, waiting, out, options, pool)
                waiting = []
            if is_video(path):
                try:
                    yield predict_video(number, path, out, find, names, options, progress, stop)
                except PhotoError as error:
                    yield PredictionRecord(number, problem=str(error))
        if not stop():
            yield from _photos(find, names, waiting, out, options, pool)


def _photos(
    find: Find,
    names: Mapping[int, str],
    work: Sequence[Work],
    out: Path,
    options: PredictOptions,
    pool: ThreadPoolExecutor,
) -> Iterator[PredictionRecord]:
    """Yields a record for each photo; reads them in parallel, detects, and writes them in parallel."""
    read = list(pool.map(try_read_photo, [path for _, path in work]))
    good = [(p, photo) for (_, p), photo in zip(work, read, strict=True) if not isinstance(photo, PhotoError)]
    found = iter(find_each(find, good))

    def record(
        place: Work, photo: RgbImage | PhotoError, instances: "Instances | ArrayInstances | PhotoError"
    ) -> PredictionRecord:
        if isinstance(instances, PhotoError) or isinstance(photo, PhotoError):
            return PredictionRecord(place[0], problem=str(instances))
        return write_photo(*place, photo, instances, out, names, options)

    instances = [photo if isinstance(photo, PhotoError) else next(found) for photo in read]
    yield from pool.map(record, work, read, instances)


def find_each(
    find: Find, photos: Sequence[tuple[object, RgbImage]]
) -> "Sequence[Instances | ArrayInstances | PhotoError]":
    """The instances on each photo; an error for one that does not fit in memory, even alone.

    Args:
        find: finds on several photos at once.
        photos: the name of each photo, for errors, and its pixels `[H, W, 3]`.
    """
    try:
        return list(find([photo for _, photo in photos]))
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    # not within `except`, where the error still holds the tensors
    if len(photos) == 1:
        return [too_large(*photos[0])]
    return [found for one in photos for found in find_each(find, [one])]


def too_large(name: object, photo: RgbImage) -> PhotoError:
    """The error for a photo for which memory ran out."""
    size = f"{photo.shape[1]} x {photo.shape[0]} pixels"
    return PhotoError(f"{name}: memory ran out for this photo ({size}); make it smaller")


def detect_batch(
    model: "Model", photos: Sequence[RgbImage], *, score_threshold: float = 0.0, together: bool | None = None
) -> "list[Instances]":
    """The instances on each photo.

    Only photos with the same input size go through the network together. Beside a larger one, a photo would be padded,
    and detections near its edge would change. On a CPU photos go one by one: a batch adds numbers in another order,
    which changes last digits, and it saves no time.

    Args:
        model: with a network.
        photos: `[H, W, 3]` uint8 RGB each, of any sizes.
        score_threshold: see `Model.predict`.
        together: whether photos may go together; by default, if the network is not on a CPU.

    Raises:
        RunError: the model has no network yet.
    """
    from clothseg.networks import to_tensor  # noqa: PLC0415 - torch; an exported network goes without it

    if model.network is None:
        raise RunError("the model has no network yet; call build() first")
    if together is None:
        together = next(model.network.parameters()).device.type != "cpu"
    groups: dict[object, list[int]] = defaultdict(list)
    for position, photo in enumerate(photos):
        groups[_input_size(model, photo) if together else position].append(position)
    records: dict[int, Instances] = {}
    for group in groups.values():
        found = model.detect([to_tensor(photos[p]) for p in group], score_threshold=score_threshold)
        records |= dict(zip(group, found, strict=True))
    return [records[position] for position in range(len(photos))]


def _input_size(model: "Model", photo: RgbImage) -> tuple[int, int]:
    """Height and width of the network's input for this photo alone."""
    assert model.network is not None
    return model.network.transform.place((photo.shape[0], photo.shape[1])).padded
