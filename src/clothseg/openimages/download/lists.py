"""The tables: class names first, so that a wrong class leaves nothing behind, then the lists of each split."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clothseg.errors import ClothsegError, DataError, GoneError
from clothseg.files import atomic_write
from clothseg.http import HttpClient, TransferProgress, fetch_file, md5_of
from clothseg.openimages.build.plan import included_classes
from clothseg.openimages.classes import ClassName, choose_classes, read_classes
from clothseg.openimages.download import sources
from clothseg.openimages.download.job import DownloadJob, as_progress, map_concurrently, part_file
from clothseg.openimages.download.ledger import Ledger
from clothseg.openimages.download.plan import Failure, TablePlan
from clothseg.openimages.download.request import check_table
from clothseg.openimages.download.sources import FileSource, Publisher
from clothseg.openimages.hierarchy import read_hierarchy

MAX_CLASS_FILE_BYTES = 1 << 24


@dataclass(frozen=True)
class ClassSelection:
    """The classes to fetch.

    Attributes:
        classes: in the user's order.
        kinds: the classes that each of them includes, by its id.
        files: content of the tables that this needed, by name.
    """

    classes: list[ClassName]
    kinds: dict[str, list[ClassName]]
    files: dict[str, bytes]

    @property
    def mids(self) -> list[str]:
        """Ids of all classes, included ones too."""
        return [c.mid for parent in self.classes for c in (parent, *self.kinds[parent.mid])]

    def count(self, parent: ClassName, rows: Mapping[str, int]) -> int:
        """The mask rows of a class and the kinds that it includes; `rows` counts by class id."""
        return sum(rows.get(c.mid, 0) for c in (parent, *self.kinds[parent.mid]))


def select_classes(
    client: HttpClient, publisher: Publisher, requests: Sequence[str], *, include_children: bool
) -> ClassSelection:
    """Finds classes by the published names and, with `include_children`, their kinds in the class tree.

    Raises:
        DownloadError: a file cannot be fetched.
        DataError: a class is unknown.
    """
    with tempfile.TemporaryDirectory() as folder:
        names = _fetch_class_file(client, publisher.table(sources.CLASS_NAMES), Path(folder), read_classes)
        known = read_classes(names)
        classes = choose_classes(requests, known)
        kinds: dict[str, list[ClassName]] = {c.mid: [] for c in classes}
        paths = [names]
        if include_children:
            tree = _fetch_class_file(client, publisher.table(sources.HIERARCHY), Path(folder), read_hierarchy)
            paths.append(tree)
            kinds = included_classes(classes, known, read_hierarchy(tree))
        return ClassSelection(classes, kinds, {path.name: path.read_bytes() for path in paths})


def _fetch_class_file(client: HttpClient, source: FileSource, folder: Path, check: Callable[[Path], object]) -> Path:
    path = folder / source.name
    remote = client.probe_first(source.urls)
    fetch_file(client, remote, path, md5=source.md5, check=check, max_bytes=MAX_CLASS_FILE_BYTES)
    return path


def save_class_files(out: Path, files: Mapping[str, bytes], ledger: Ledger) -> None:
    """Writes the files of a `ClassSelection` to `out`, unless they are there."""
    for name, content in files.items():
        path = out / name
        if not path.is_file() or path.read_bytes() != content:
            atomic_write(path, content)
        ledger.add(path)


def fetch_mask_list(job: DownloadJob, split: str) -> Path:
    """Fetches the mask list of a split, which the plan needs.

    Raises:
        DownloadError: it cannot be fetched.
    """
    return _fetch_now(job, _plan_table(job, job.publisher.table((sources.MASK_LIST.format(split=split),)), "MaskPath"))


def fetch_photo_labels(job: DownloadJob, split: str) -> Path | None:
    """Fetches the list of classes that people verified on whole photos; None if that fails, or there is none."""
    source = job.publisher.table((sources.PHOTO_LABELS.format(split=split),))
    try:
        return _fetch_now(job, _plan_table(job, source, "ImageID"))
    except GoneError:
        return None
    except ClothsegError as error:
        job.failed.append(Failure("table", split, source.name, str(error)))
        return None


def _fetch_now(job: DownloadJob, plan: TablePlan) -> Path:
    if not plan.existing:
        with job.open_bar(plan.name, plan.size or 0, in_bytes=True) as advance:
            _fetch(job, plan, as_progress(advance))
    return plan.path


def plan_tables(job: DownloadJob, splits: Sequence[str]) -> list[TablePlan]:
    """Plans the other tables. The class tree and the list of classes with masks are optional."""
    plans = []
    for split in splits:
        for paths in (sources.BOX_LIST[split], sources.IMAGE_LIST[split]):
            source = job.publisher.table(paths)
            try:
                plans.append(_plan_table(job, source, "ImageID"))
            except ClothsegError as error:
                plans.append(TablePlan(source.name, job.out / source.name, None, existing=False, remote=None))
                job.failed.append(Failure("table", split, source.name, str(error)))
    for paths in (sources.SEGMENTABLE, sources.HIERARCHY):
        source = job.publisher.table(paths)
        try:
            plans.append(_plan_table(job, source, None))
        except GoneError:
            continue
        except ClothsegError as error:
            job.failed.append(Failure("table", "", source.name, str(error)))
    return plans


def fetch_tables(job: DownloadJob, plans: Sequence[TablePlan]) -> int:
    """Fetches the planned tables that are missing. Returns how many were fetched."""
    missing = [plan for plan in plans if not plan.existing and plan.remote is not None]
    if not missing:
        return 0
    fetched = 0
    with job.open_bar("tables", sum(plan.size or 0 for plan in missing), in_bytes=True) as advance:
        for plan, error in map_concurrently(job, missing, lambda plan: _fetch(job, plan, as_progress(advance))):
            if isinstance(error, Exception):
                job.failed.append(Failure("table", plan.name.partition("-")[0], plan.name, str(error)))
            else:
                fetched += 1
    return fetched


def _plan_table(job: DownloadJob, source: FileSource, first_column: str | None) -> TablePlan:
    """Finds whether a table exists, under any of its names. One without a ledger entry is compared with the server."""
    check = _check_for(first_column)
    names = dict.fromkeys(url.rpartition("/")[2] for url in source.urls)
    for path in (job.out / name for name in names):
        if job.ledger.holds(path):
            return TablePlan(path.name, path, path.stat().st_size, existing=True, remote=None)
    remote = job.client.probe_first(source.urls)
    path = job.out / remote.url.rpartition("/")[2]
    md5 = source.md5 if path.name == source.name else ""
    existing = not job.ledger.knows(path) and _is_same(path, remote.size, md5, check)
    if existing:
        job.ledger.add(path)
    return TablePlan(path.name, path, remote.size, existing=existing, remote=remote, md5=md5, first_column=first_column)


def _fetch(job: DownloadJob, plan: TablePlan, progress: TransferProgress) -> None:
    assert plan.remote is not None
    part, check = part_file(job.parts, plan.path), _check_for(plan.first_column)
    md5 = fetch_file(job.client, plan.remote, plan.path, part=part, md5=plan.md5, check=check, progress=progress)
    job.ledger.add(plan.path, md5)


def _check_for(first_column: str | None) -> Callable[[Path], None]:
    def check(path: Path) -> None:
        if first_column is not None:
            check_table(path, first_column)

    return check


def _is_same(path: Path, size: int | None, md5: str, check: Callable[[Path], None]) -> bool:
    if not path.is_file() or size is None or path.stat().st_size != size or (md5 and md5_of(path) != md5):
        return False
    try:
        check(path)
    except DataError:
        return False
    return True
