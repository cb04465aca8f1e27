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
from clothseg.http import HttpClient, RangesNotSupportedError, RetryPolicy
from clothseg.openimages.download.job import (
    Advance,
    DownloadJob,
    OpenBar,
    exclusive_lock,
    map_concurrently,
    state_folder,
)
from clothseg.openimages.download.ledger import Ledger
from clothseg.openimages.download.lists import (
    ClassSelection,
    fetch_mask_list,
    fetch_photo_labels,
    fetch_tables,
    plan_tables,
    save_class_files,
    select_classes,
)
from clothseg.openimages.download.masks import ArchiveEntry, fetch_block, fetch_whole, plan_archive
from clothseg.openimages.download.photos import Original, fetch_photo, plan_photos, read_originals
from clothseg.openimages.download.plan import ArchivePlan, DownloadPlan, DownloadSummary, Failure, PhotoPlan
from clothseg.openimages.download.request import SplitRequest, read_split_request
from clothseg.openimages.download.sources import SPLITS, Publisher
from clothseg.openimages.partitions import parse_partitions
from clothseg.openimages.tables import read_photos_without
from clothseg.writable import require_writable

FAILED = "download-failed.csv"


@contextmanager
def _no_bar(text: str, total: int, *, in_bytes: bool) -> Iterator[Advance]:
    yield lambda _: None


def download(
    out: Path,
    classes: Sequence[str],
    *,
    include_children: bool = False,
    splits: Sequence[str] = ("train", "validation"),
    partitions: str | None = None,
    limit: int | None = None,
    keep_empty: bool = False,
    source_url: str | None = None,
    workers: int = 8,
    retry_policy: RetryPolicy | None = None,
    dry_run: bool = False,
    show_plan: Callable[[DownloadPlan], None] = lambda _: None,
    open_bar: OpenBar = _no_bar,
) -> DownloadSummary:
    """Fetches what `build_dataset` needs for some classes: the tables, the masks, and the photos with such a mask.

    The same call again fetches only what is missing, and resumes large files.

    Args:
        out: folder for the files, in the layout that `build_dataset` reads. It is created if it does not exist.
        classes: names or ids.
        include_children: a class includes all kinds below it in the class tree, as in `build_dataset`.
        splits: some of `train`, `validation`, `test`.
        partitions: first hex digits of the image ids, as `f`, `0,f` or `0-3`; None for all.
        limit: the maximum number of photos in a split, the first by id; None for all.
        keep_empty: also fetch the photos that `build_dataset` takes with this option, and the list that names them.
        source_url: a mirror of all files; None for the public addresses.
        workers: number of simultaneous requests, 1 to 64.
        retry_policy: attempts and waits.
        dry_run: fetch only the class names and the lists of masks and of photo labels, which the plan needs.
        show_plan: gets the plan before anything of it is fetched.
        open_bar: opens progress bars.

    Returns:
        What was fetched, what was there, and what failed. `download-failed.csv` lists the failures too.

    Raises:
        DataError: a class or option is wrong, no mask matches, or the disk is too small.
        DownloadError: class names or a mask list cannot be fetched, or another download is running in `out`.
        InterruptedRun: Ctrl-C.
    """
    begun = time.monotonic()
    _check_options(out, splits, limit, workers)
    digits = parse_partitions(partitions)
    publisher = Publisher.at(source_url)
    with HttpClient(retry_policy, workers) as client:
        selection = select_classes(client, publisher, classes, include_children=include_children)
        state_folder(out).mkdir(parents=True, exist_ok=True)
        with exclusive_lock(out), Ledger(out, state_folder(out) / "ledger.jsonl") as ledger:
            job = DownloadJob(out, client, publisher, ledger, workers, open_bar)
            try:
                save_class_files(out, selection.files, ledger)
                requests = [
                    _read_request(job, split, selection, digits, limit, keep_empty=keep_empty) for split in splits
                ]
                plan = _plan(job, selection, requests)
                show_plan(plan)
                fetched = Counter[str]()
                if not dry_run:
                    _check_space(plan)
                    fetched = _fetch(job, plan, requests)
                    _write_failed(job)
            except KeyboardInterrupt:
                client.cancel()
                raise InterruptedRun("the download; the same command resumes it") from None
            except OSError as error:
                raise DataError(f"{out}: cannot be written ({error}); the same command resumes") from error
        return _summary(job, plan, fetched, time.monotonic() - begun, done=not dry_run)


def _check_options(out: Path, splits: Sequence[str], limit: int | None, workers: int) -> None:
    unknown = [split for split in splits if split not in SPLITS]
    if unknown or not splits or len(set(splits)) < len(splits):
        raise DataError(f"splits {','.join(splits)!r}: give some of {', '.join(SPLITS)}, each once")
    if limit is not None and limit < 1:
        raise DataError(f"limit is {limit}, but must be 1 or more")
    if not 1 <= workers <= 64:
        raise DataError(f"workers is {workers}, but must be 1 to 64")
    require_writable(out, folder=True)


def _read_request(
    job: DownloadJob,
    split: str,
    selection: ClassSelection,
    digits: Collection[str] | None,
    limit: int | None,
    *,
    keep_empty: bool,
) -> SplitRequest:
    labels = fetch_photo_labels(job, split) if keep_empty else None
    empty: Collection[str] = ()
    if labels is not None:
        empty, broken = read_photos_without(labels, [c.mid for c in selection.classes], digits)
        job.failed += [Failure("row", split, labels.name, str(row)) for row in broken]
    request = read_split_request(fetch_mask_list(job, split), split, selection.mids, digits, limit, empty)
    for message in request.broken:
        job.failed.append(Failure("row", split, f"{split}-annotations-object-segmentation.csv", message))
    return request


def _plan(job: DownloadJob, selection: ClassSelection, requests: Sequence[SplitRequest]) -> DownloadPlan:
    names = [c.name for c in selection.classes]
    if not any(r.photos for r in requests):
        splits = ", ".join(r.split for r in requests)
        raise DataError(f"no mask of {', '.join(names)} in {splits} matches; choose other classes or partitions")
    archives = []
    for request in requests:
        with job.open_bar(f"{request.split} zips", len(request.masks), in_bytes=False) as advance:
            for partition, masks in request.masks.items():
                plan, failed = plan_archive(job, ArchiveEntry(job.out, request.split, partition), masks)
                archives.append(plan)
                job.failed += failed
                advance(1)
    return DownloadPlan(
        folder=job.out,
        classes=tuple(names),
        rows={r.split: {c.name: selection.count(c, r.rows) for c in selection.classes} for r in requests},
        tables=plan_tables(job, [r.split for r in requests]),
        archives=archives,
        photos=[plan_photos(job, r) for r in requests],
    )


def _check_space(plan: DownloadPlan) -> None:
    free = shutil.disk_usage(plan.folder).free
    if plan.bytes_to_fetch > free:
        raise DataError(
            f"{plan.folder}: the download needs {plan.bytes_to_fetch / 1e9:.1f} GB, but only {free / 1e9:.1f} GB are "
            "free; choose fewer classes or partitions, or set a limit"
        )


def _fetch(job: DownloadJob, plan: DownloadPlan, requests: Sequence[SplitRequest]) -> Counter[str]:
    """Fetches everything in the plan. Returns the number of fetched files by kind."""
    for request in requests:
        (job.out / request.split).mkdir(exist_ok=True)
        (job.out / f"{request.split}-masks").mkdir(exist_ok=True)
    fetched = Counter[str]({"tables": fetch_tables(job, plan.tables)})
    names = {(r.split, partition): masks for r in requests for partition, masks in r.masks.items()}
    for archive in plan.archives:
        if archive.remote is not None:
            fetched["masks"] += _fetch_archive(job, archive, names[archive.split, archive.partition])
    fetched["photos"] = sum(_fetch_photos(job, plan, photos) for photos in plan.photos)
    if not job.failed:
        shutil.rmtree(job.parts, ignore_errors=True)
    return fetched


def _fetch_archive(job: DownloadJob, plan: ArchivePlan, names: Sequence[str]) -> int:
    entry = ArchiveEntry(job.out, plan.split, plan.partition)
    failed: list[Failure] = []
    no_ranges = plan.whole
    fetched = 0
    if not plan.whole:
        count = sum(len(block.members) for block in plan.blocks)
        with job.open_bar(f"{plan.split} masks {plan.partition}", count, in_bytes=False) as advance:
            for block, result in map_concurrently(job, plan.blocks, lambda b: fetch_block(job, plan, entry, b)):
                no_ranges |= isinstance(result, RangesNotSupportedError)
                if isinstance(result, Exception):
                    lost = [Failure("mask", plan.split, member.name, str(result)) for member in block.members]
                else:
                    lost = result
                failed += lost
                fetched += len(block.members) - len(lost)
                advance(len(block.members))
    if no_ranges:
        missing = entry.missing(names, job.ledger)
        with job.open_bar(plan.name, plan.size or 0, in_bytes=True) as advance:
            failed = fetch_whole(job, plan, entry, missing, advance)
        fetched += len(missing) - sum(f.kind == "mask" for f in failed)
    job.failed += failed
    return fetched


def _fetch_photos(job: DownloadJob, plan: DownloadPlan, photos: PhotoPlan) -> int:
    if not photos.missing:
        return 0
    originals = _originals(job, plan, photos)

    def fetch(image_id: str) -> None:
        fetch_photo(job, photos.split, image_id, originals.get(image_id))

    fetched = 0
    with job.open_bar(f"{photos.split} photos", len(photos.missing), in_bytes=False) as advance:
        for image_id, error in map_concurrently(job, photos.missing, fetch):
            if isinstance(error, Exception):
                job.failed.append(Failure("photo", photos.split, f"{image_id}.jpg", str(error)))
            fetched += error is None
            advance(1)
    return fetched


def _originals(job: DownloadJob, plan: DownloadPlan, photos: PhotoPlan) -> dict[str, Original]:
    path = next((t.path for t in plan.tables if t.name.startswith(f"{photos.split}-images")), None)
    if path is None or not path.is_file():
        return {}
    try:
        return read_originals(path, photos.missing)
    except DataError as error:
        job.failed.append(Failure("table", photos.split, path.name, str(error)))
        return {}


def _write_failed(job: DownloadJob) -> None:
    path = job.out / FAILED
    if not job.failed:
        path.unlink(missing_ok=True)
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["kind", "split", "file", "reason"])
    writer.writerows((f.kind, f.split, f.file, f.reason) for f in _unique(job.failed))
    atomic_write(path, text.getvalue())


def _unique(failed: Sequence[Failure]) -> tuple[Failure, ...]:
    """Sorted, each file once: a mask may be missing by ranges and again in the whole zip. Table rows are kept apart."""
    by_file = {(f.kind, f.split, f.file, f.reason if f.kind == "row" else ""): f for f in failed}
    return tuple(by_file[key] for key in sorted(by_file))


def _summary(
    job: DownloadJob, plan: DownloadPlan, fetched: Counter[str], seconds: float, *, done: bool
) -> DownloadSummary:
    existing = {
        "tables": sum(t.existing for t in plan.tables),
        "masks": sum(a.existing for a in plan.archives),
        "photos": sum(p.requested - len(p.missing) for p in plan.photos),
    }
    return DownloadSummary(
        plan=plan,
        fetched={kind: fetched[kind] for kind in existing},
        existing=existing,
        failed=_unique(job.failed),
        requests=job.client.requests,
        received=job.client.received,
        seconds=seconds,
        done=done,
    )
