"""The conversion of all photos: in chunks, in several processes, with the finished chunks of an earlier build."""

import concurrent.futures
import itertools
import multiprocessing
import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path

from clothseg.cores import possible_processes
from clothseg.openimages.archives import MaskArchive
from clothseg.openimages.build.convert import Clock, ConvertSettings, PhotoJob, convert_photo
from clothseg.openimages.build.options import BuildOptions
from clothseg.openimages.build.plan import SplitSource
from clothseg.openimages.build.summary import Speed
from clothseg.openimages.build.work_folder import WorkFolder, chunk_key, read_chunk, write_chunk
from clothseg.progress import ProgressBar
from clothseg.stop import ignore_signals, starting_workers


@dataclass(frozen=True)
class ChunkTask:
    """A chunk to convert: the path of its result, the settings, and its photos."""

    path: Path
    settings: ConvertSettings
    jobs: Sequence[PhotoJob]


def _jobs(source: SplitSource, image_ids: Iterable[str]) -> list[PhotoJob]:
    return [
        PhotoJob(
            image_id,
            source.masks.of(image_id),
            source.boxes.of(image_id),
            source.credit[image_id].rotation if image_id in source.credit else None,
        )
        for image_id in image_ids
    ]


def convert_all(
    sources: Sequence[SplitSource],
    settings: Mapping[str, ConvertSettings],
    work: WorkFolder,
    options: BuildOptions,
    progress: ProgressBar,
) -> tuple[Speed, list[tuple[SplitSource, Path]]]:
    """Converts all photos that an earlier build has not converted.

    Args:
        sources: the splits.
        settings: by the name of the split.
        work: the folder for the results.
        options: `workers`, `chunk_photos` and `min_parallel_photos`.
        progress: wraps the ids of the photos.

    Returns:
        The speed, and the source and result file of each chunk, in the order of source and photo.
    """
    begun = time.perf_counter()
    chunks: list[tuple[SplitSource, Path]] = []
    todo: list[tuple[SplitSource, Path, list[str]]] = []
    for source in sources:
        own = settings[source.name]
        with MaskArchive(own.source, own.split) as archive:
            for start in range(0, len(source.selected), options.chunk_photos):
                ids = source.selected[start : start + options.chunk_photos]
                path = work.chunk(chunk_key(_jobs(source, ids), own, archive))
                chunks.append((source, path))
                if not _is_done(path, work.images):
                    todo.append((source, path, ids))
    count = sum(len(ids) for _, _, ids in todo)
    workers = 1 if count < options.min_parallel_photos else options.workers
    seconds: dict[str, float] = defaultdict(float)
    tasks = (ChunkTask(path, settings[source.name], _jobs(source, ids)) for source, path, ids in todo)
    if workers == 1:
        done = _run_here(tasks, work.images, seconds)
    else:
        done = _run_in_workers(tasks, work.images, workers, seconds)
    for _ in progress(done, count, "photos"):
        pass
    return Speed(dict(seconds), time.perf_counter() - begun, workers), chunks


def _is_done(path: Path, images: Path) -> bool:
    """Whether the result of a chunk exists, with all photos that it has written."""
    return path.is_file() and all((images / f"{p.image_id}.jpg").is_file() for p in read_chunk(path) if p.kept)


def _run_here(tasks: Iterable[ChunkTask], images: Path, seconds: dict[str, float]) -> Iterator[str]:
    """Converts chunks in this process. Yields the id of each finished photo, and adds up seconds by kind of work."""
    for task in tasks:
        clock = Clock()
        photos = []
        with MaskArchive(task.settings.source, task.settings.split) as archive:
            for job in task.jobs:
                photos.append(convert_photo(job, archive, task.settings, images, clock))
                yield job.image_id
        write_chunk(task.path, photos)
        _add(seconds, clock.seconds)
        seconds["masks"] += sum(len(job.masks) for job in task.jobs)


def _run_in_workers(tasks: Iterable[ChunkTask], images: Path, workers: int, seconds: dict[str, float]) -> Iterator[str]:
    """Converts chunks in several processes. Few chunks are prepared at a time, so that few rows are in memory."""
    context = multiprocessing.get_context("spawn")
    pending = iter(tasks)
    workers = possible_processes(workers)
    with starting_workers():  # its first lock starts a process too
        pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_worker)
    with pool:
        running: dict[Future[dict[str, float]], ChunkTask] = {}
        try:
            while True:
                for task in itertools.islice(pending, 3 * workers - len(running)):
                    with starting_workers():
                        running[pool.submit(_convert_chunk, task, images)] = task
                if not running:
                    return
                for future in concurrent.futures.wait(running, return_when=FIRST_COMPLETED).done:
                    _add(seconds, future.result())
                    yield from (job.image_id for job in running.pop(future).jobs)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _add(seconds: dict[str, float], more: dict[str, float]) -> None:
    for kind, value in more.items():
        seconds[kind] += value


def _begin_worker() -> None:
    """Makes a worker process ignore signals, and end when its parent is killed; it would wait for work for ever."""
    ignore_signals()

    def watch() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            wait([parent.sentinel])
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _convert_chunk(task: ChunkTask, images: Path) -> dict[str, float]:
    """Converts one chunk in a worker process. Returns the seconds by kind of work, and the number of masks."""
    seconds: dict[str, float] = defaultdict(float)
    for _ in _run_here([task], images, seconds):
        pass
    return dict(seconds)
