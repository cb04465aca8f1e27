"""The whole download: class names and mask lists, the plan, then tables, masks and photos."""

import csv
import io
import shutil
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from clothseg.errors import DataError, InterruptedRun
from clothseg.files import atomic_write
from clothseg.openimages.download.fetch import Advance
from clothseg.openimages.download.ledger import Ledger
from clothseg.openimages.download.lists import Choice, choose, fetch_mask_list, fetch_tables, keep, plan_tables
from clothseg.openimages.download.masks import ArchiveEntry, fetch_whole, plan_archive, take_block
from clothseg.openimages.download.photos import Original, fetch_photo, plan_photos, read_originals
from clothseg.openimages.download.plan import ArchivePlan, DownloadPlan, DownloadSummary, Failure, PhotoPlan
from clothseg.openimages.download.remote_zip import Block
from clothseg.openimages.download.sources import SPLITS, Publisher
from clothseg.openimages.download.wanted import SplitRequest, read_split_request
from clothseg.openimages.download.web import NoRangesError, RetryPolicy, Web
from clothseg.openimages.download.work import DownloadJob, Progress, exclusive_lock, map_concurrently, state_folder
from clothseg.openimages.tables import parse_partitions

FAILED = "download-failed.csv"


@contextmanager
def _no_bar(what: str, total: int, *, in_bytes: bool) -> Iterator[Advance]:
    yield lambda _: None


def download(
    out: Path,
    classes: Sequence[str],
    *,
    include_children: bool = False,
    splits: Sequence[str] = ("train", "validation"),
    partitions: str | None = None,
    limit: int | None = None,
    source_url: str | None = None,
    workers: int = 8,
    retry_policy: RetryPolicy | None = None,
    dry_run: bool = False,
    show_plan: Callable[[DownloadPlan], None] = lambda _: None,
    progress: Progress = _no_bar,
) -> DownloadSummary:
    """Fetch what `build_dataset` needs for some classes: the tables, the masks, and the photos with such a mask.

    The same call again fetches what is still missing, and goes on in the middle of large files.

    Args:
        out: a folder, made if need be, in the layout that `build_dataset` reads.
        classes: names or ids.
        include_children: a class takes in all kinds below it in the class tree, as in `build_dataset`.
        splits: of `train`, `validation`, `test`.
        partitions: first hex digits of the photos wanted, as `f`, `0,f` or `0-3`; all without it.
        limit: at most so many photos a split, the first by id.
        source_url: a mirror for everything; without it the public addresses.
        workers: requests at a time.
        patience: tries and waiting times.
        dry_run: fetch only the class names and mask lists, which the plan needs.
        show_plan: is given the plan before anything of it is done.
        progress: makes the bars.

    Returns:
        What came, what was there, and what failed; the failed things stand in `download-failed.csv`, too.

    Raises:
        DataError: a class or option is wrong, nothing fits, or the disk is too small.
        DownloadError: class names or a mask list cannot be had; another download is at work in `out`.
        InterruptedRun: Ctrl-C.
    """
    begun = time.monotonic()
    _check_options(out, splits, limit, workers)
    digits = parse_partitions(partitions)
    publisher = Publisher.at(source_url)
    with Web(retry_policy or RetryPolicy(), workers) as web:
        choice = choose(web, publisher, classes, include_children=include_children)
        state_folder(out).mkdir(parents=True, exist_ok=True)
        with exclusive_lock(out), Ledger(out, state_folder(out) / "ledger.jsonl") as ledger:
            job = DownloadJob(out, web, publisher, ledger, workers, progress)
            try:
                keep(out, choice.files, ledger)
                wanted = [_wanted(job, split, choice, digits, limit) for split in splits]
                plan = _plan(job, choice, wanted)
                show_plan(plan)
                fetched = Counter[str]()
                if not dry_run:
                    _check_space(plan)
                    fetched = _fetch(job, plan, wanted)
                    _note_failed(job)
            except KeyboardInterrupt:
                web.stop()
                raise InterruptedRun("the download; the same command goes on from here") from None
            except OSError as error:
                raise DataError(f"{out}: cannot be written ({error}); the same command goes on from here") from error
        return _summary(job, plan, fetched, time.monotonic() - begun, done=not dry_run)


def _check_options(out: Path, splits: Sequence[str], limit: int | None, workers: int) -> None:
    wrong = [split for split in splits if split not in SPLITS]
    if wrong or not splits or len(set(splits)) < len(splits):
        raise DataError(f"splits {','.join(splits)!r}: give some of {', '.join(SPLITS)}, each once")
    if limit is not None and limit < 1:
        raise DataError(f"limit is {limit}, but must be 1 or more")
    if not 1 <= workers <= 64:
        raise DataError(f"workers is {workers}, but must be 1 to 64")
    if out.exists() and not out.is_dir():
        raise DataError(f"{out}: is a file; give a folder")


def _wanted(
    job: DownloadJob, split: str, choice: Choice, digits: Collection[str] | None, limit: int | None
) -> SplitRequest:
    found = read_split_request(fetch_mask_list(job, split), split, choice.mids, digits, limit)
    for message in found.broken:
        job.failed.append(Failure("row", split, f"{split}-annotations-object-segmentation.csv", message))
    return found


def _plan(job: DownloadJob, choice: Choice, wanted: Sequence[SplitRequest]) -> DownloadPlan:
    names = [c.name for c in choice.classes]
    if not any(w.photos for w in wanted):
        raise DataError(f"no mask of {', '.join(names)} in {', '.join(w.split for w in wanted)} fits the choice")
    archives = []
    for split in wanted:
        with job.progress(f"{split.split} zips", len(split.masks), in_bytes=False) as advance:
            for partition, masks in split.masks.items():
                place = ArchiveEntry(job.out, split.split, partition)
                plan, failed = plan_archive(job.web, job.publisher, place, masks, job.ledger)
                archives.append(plan)
                job.failed += failed
                advance(1)
    return DownloadPlan(
        folder=job.out,
        classes=tuple(names),
        rows={w.split: {c.name: choice.count(c, w.rows) for c in choice.classes} for w in wanted},
        tables=plan_tables(job, [w.split for w in wanted]),
        archives=archives,
        photos=[plan_photos(job.web, job.publisher, w, job.out, job.ledger) for w in wanted],
    )


def _check_space(plan: DownloadPlan) -> None:
    free = shutil.disk_usage(plan.folder).free
    if plan.bytes_to_fetch > free:
        raise DataError(
            f"{plan.folder}: {plan.bytes_to_fetch / 1e9:.1f} GB are to be fetched, but only {free / 1e9:.1f} GB are "
            "free; choose fewer classes or partitions, or set a limit"
        )


def _fetch(job: DownloadJob, plan: DownloadPlan, wanted: Sequence[SplitRequest]) -> Counter[str]:
    """Do what is planned; how much came, by kind."""
    for split in wanted:
        (job.out / split.split).mkdir(exist_ok=True)
        (job.out / f"{split.split}-masks").mkdir(exist_ok=True)
    fetched = Counter[str]({"tables": fetch_tables(job, plan.tables)})
    names = {(w.split, partition): masks for w in wanted for partition, masks in w.masks.items()}
    for archive in plan.archives:
        if archive.remote is not None:
            fetched["masks"] += _fetch_archive(job, archive, names[archive.split, archive.partition])
    fetched["photos"] = sum(_fetch_photos(job, plan, photos) for photos in plan.photos)
    if not job.failed:
        shutil.rmtree(job.parts, ignore_errors=True)
    return fetched


def _fetch_archive(job: DownloadJob, plan: ArchivePlan, names: Sequence[str]) -> int:
    place = ArchiveEntry(job.out, plan.split, plan.partition)
    failed: list[Failure] = []
    no_ranges = plan.whole
    came = 0
    if not plan.whole:
        count = sum(len(block.members) for block in plan.blocks)
        with job.progress(f"{plan.split} masks {plan.partition}", count, in_bytes=False) as advance:
            work = lambda block: take_block(job.web, plan, place, block, job.parts, job.ledger)  # noqa: E731
            for block, result in map_concurrently(job, plan.blocks, work):
                no_ranges |= isinstance(result, NoRangesError)
                lost = _lost(place, block, result) if isinstance(result, Exception) else result
                failed += lost
                came += len(block.members) - len(lost)
                advance(len(block.members))
    if no_ranges:
        missing = place.missing(names, job.ledger)
        with job.progress(plan.name, plan.size or 0, in_bytes=True) as advance:
            failed = fetch_whole(job.web, plan, place, missing, job.parts, job.ledger, advance)
        came += len(missing) - sum(f.kind == "mask" for f in failed)
    job.failed += failed
    return came


def _lost(place: ArchiveEntry, block: Block, error: Exception) -> list[Failure]:
    return [Failure("mask", place.split, member.name, str(error)) for member in block.members]


def _fetch_photos(job: DownloadJob, plan: DownloadPlan, photos: PhotoPlan) -> int:
    if not photos.missing:
        return 0
    originals = _originals(job, plan, photos)

    def take(image_id: str) -> None:
        original = originals.get(image_id)
        md5 = fetch_photo(job.web, job.publisher, photos.split, image_id, job.out, job.parts, original)
        job.ledger.add(job.out / photos.split / f"{image_id}.jpg", md5)

    came = 0
    with job.progress(f"{photos.split} photos", len(photos.missing), in_bytes=False) as advance:
        for image_id, result in map_concurrently(job, photos.missing, take):
            if isinstance(result, Exception):
                job.failed.append(Failure("photo", photos.split, f"{image_id}.jpg", str(result)))
            came += result is None
            advance(1)
    return came


def _originals(job: DownloadJob, plan: DownloadPlan, photos: PhotoPlan) -> dict[str, Original]:
    path = next((t.path for t in plan.tables if t.name.startswith(f"{photos.split}-images")), None)
    if path is None or not path.is_file():
        return {}
    try:
        return read_originals(path, photos.missing)
    except DataError as error:
        job.failed.append(Failure("table", photos.split, path.name, str(error)))
        return {}


def _note_failed(job: DownloadJob) -> None:
    path = job.out / FAILED
    if not job.failed:
        path.unlink(missing_ok=True)
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["kind", "split", "file", "reason"])
    writer.writerows((f.kind, f.split, f.file, f.reason) for f in _in_order(job.failed))
    atomic_write(path, text.getvalue())


def _in_order(failed: Sequence[Failure]) -> tuple[Failure, ...]:
    """Sorted, each thing once: an absent mask may have been missed by ranges and in the whole zip. Rows stay apart."""
    once = {(f.kind, f.split, f.file, f.reason if f.kind == "row" else ""): f for f in failed}
    return tuple(once[key] for key in sorted(once))


def _summary(
    job: DownloadJob, plan: DownloadPlan, fetched: Counter[str], seconds: float, *, done: bool
) -> DownloadSummary:
    there = {
        "tables": sum(t.there for t in plan.tables),
        "masks": sum(a.there for a in plan.archives),
        "photos": sum(p.wanted - len(p.missing) for p in plan.photos),
    }
    return DownloadSummary(
        plan=plan,
        fetched={kind: fetched[kind] for kind in there},
        there=there,
        failed=_in_order(job.failed),
        requests=job.web.requests,
        received=job.web.received,
        seconds=seconds,
        done=done,
    )
