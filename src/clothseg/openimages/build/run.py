"""All photos through the conversion: in chunks, on all cores, taking up what an earlier build left."""

import concurrent.futures
import itertools
import multiprocessing
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from clothseg.openimages.archives import MaskArchive
from clothseg.openimages.build.convert import Clock, PhotoJob, Settings, convert_photo
from clothseg.openimages.build.options import BuildOptions
from clothseg.openimages.build.plan import Source
from clothseg.openimages.build.summary import Speed
from clothseg.openimages.build.work_folder import WorkFolder, chunk_key, read_chunk, write_chunk

Progress = Callable[[Iterable[Any], str, int], Iterable[Any]]


@dataclass(frozen=True)
class Task:
    """A chunk: where its answer goes, and what is to be done."""

    path: Path
    settings: Settings
    jobs: Sequence[PhotoJob]


def _jobs(source: Source, image_ids: Iterable[str]) -> list[PhotoJob]:
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
    sources: Sequence[Source],
    settings: Callable[[Source], Settings],
    work: WorkFolder,
    options: BuildOptions,
    progress: Progress,
) -> tuple[Speed, list[tuple[Source, Path]]]:
    """Convert what is not converted yet. The chunks' files, in order of source and photo."""
    begun = time.perf_counter()
    chunks: list[tuple[Source, Path]] = []
    todo: list[tuple[Source, Path, list[str]]] = []
    for source in sources:
        own = settings(source)
        with MaskArchive(own.source, own.split) as archive:
            for start in range(0, len(source.wanted), options.chunk_photos):
                ids = source.wanted[start : start + options.chunk_photos]
                path = work.chunk(chunk_key(_jobs(source, ids), own, archive))
                chunks.append((source, path))
                if not _is_done(path, work.images):
                    todo.append((source, path, ids))
    count = sum(len(ids) for _, _, ids in todo)
    workers = 1 if count < options.min_parallel_photos else options.workers
    seconds: dict[str, float] = defaultdict(float)
    tasks = (Task(path, settings(source), _jobs(source, ids)) for source, path, ids in todo)
    if workers == 1:
        done = _run_here(tasks, work.images, seconds)
    else:
        done = _run_in_workers(tasks, work.images, workers, seconds)
    for _ in progress(done, "photos", count):
        pass
    return Speed(dict(seconds), time.perf_counter() - begun, workers), chunks


def _is_done(path: Path, images: Path) -> bool:
    """A chunk counts only with the photos that it has written."""
    return path.is_file() and all((images / f"{p.image_id}.jpg").is_file() for p in read_chunk(path) if p.kept)


def _run_here(tasks: Iterable[Task], images: Path, seconds: dict[str, float]) -> Iterator[str]:
    """Convert chunks; yields the id of each photo when it is done, and adds up the seconds by kind of work."""
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


def _run_in_workers(tasks: Iterable[Task], images: Path, workers: int, seconds: dict[str, float]) -> Iterator[str]:
    """The same in several processes; few chunks wait at a time, so that rows need not all be in memory."""
    context = multiprocessing.get_context("spawn")
    waiting = iter(tasks)
    workers = min(workers, 61) if sys.platform == "win32" else workers  # the most that Windows can wait for
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent) as pool:
        running: dict[Future[dict[str, float]], Task] = {}
        try:
            while True:
                for task in itertools.islice(waiting, 3 * workers - len(running)):
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


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever."""

    def watch() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            wait([parent.sentinel])
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _convert_chunk(task: Task, images: Path) -> dict[str, float]:
    """In a worker: one chunk. Seconds by kind of work, and the number of masks."""
    seconds: dict[str, float] = defaultdict(float)
    for _ in _run_here([task], images, seconds):
        pass
    return dict(seconds)
