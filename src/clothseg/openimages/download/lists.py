"""The tables: class names first, so that a wrong class leaves nothing behind, then the lists of each split."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clothseg.errors import ClothsegError, DataError, GoneError
from clothseg.files import atomic_write
from clothseg.openimages.build.plan import included_classes
from clothseg.openimages.classes import ClassName, choose_classes, read_classes
from clothseg.openimages.download import sources
from clothseg.openimages.download.fetch import Advance, fetch_file
from clothseg.openimages.download.ledger import Ledger, md5_of
from clothseg.openimages.download.plan import Failure, TablePlan
from clothseg.openimages.download.sources import FileSource, Publisher
from clothseg.openimages.download.wanted import check_table
from clothseg.openimages.download.web import Web
from clothseg.openimages.download.work import DownloadJob, map_concurrently
from clothseg.openimages.hierarchy import read_hierarchy


@dataclass(frozen=True)
class Choice:
    """What is to be fetched for.

    Attributes:
        classes: as asked for.
        kinds: the classes that they take in, by id of the one that does.
        files: tables that it took to know them, by name.
    """

    classes: list[ClassName]
    kinds: dict[str, list[ClassName]]
    files: dict[str, bytes]

    @property
    def mids(self) -> list[str]:
        """Ids of all of them."""
        return [c.mid for above in self.classes for c in (above, *self.kinds[above.mid])]

    def count(self, above: ClassName, rows: Mapping[str, int]) -> int:
        """Mask rows of a class and the kinds that it takes in, out of those by class id."""
        return sum(rows.get(c.mid, 0) for c in (above, *self.kinds[above.mid]))


def choose(web: Web, publisher: Publisher, requests: Sequence[str], *, include_children: bool) -> Choice:
    """Choose classes by the published names and, if they take in the kinds below them, by the class tree.

    Raises:
        DownloadError: a file cannot be had.
        DataError: a class is unknown.
    """
    with tempfile.TemporaryDirectory() as folder:
        names = _small(web, publisher.table(sources.CLASS_NAMES), Path(folder), read_classes)
        known = read_classes(names)
        chosen = choose_classes(requests, known)
        kinds: dict[str, list[ClassName]] = {c.mid: [] for c in chosen}
        paths = [names]
        if include_children:
            paths.append(_small(web, publisher.table(sources.HIERARCHY), Path(folder), read_hierarchy))
            kinds = included_classes(chosen, known, read_hierarchy(paths[1]))
        return Choice(chosen, kinds, {path.name: path.read_bytes() for path in paths})


def _small(web: Web, source: FileSource, folder: Path, check: Callable[[Path], object]) -> Path:
    path = folder / source.name
    remote = web.first_of(source.urls)
    fetch_file(web, remote, path, folder / "parts", md5=source.md5, check=check, limit=1 << 24)
    return path


def fetch_mask_list(job: DownloadJob, split: str) -> Path:
    """The list of a split's masks, which the plan needs.

    Raises:
        DownloadError: it cannot be had.
    """
    plan = _plan_table(job, job.publisher.table((sources.MASK_LIST.format(split=split),)), "MaskPath")
    if not plan.there:
        with job.progress(plan.name, plan.size or 0, in_bytes=True) as advance:
            _fetch(job, plan, advance)
    return plan.path


def plan_tables(job: DownloadJob, splits: Sequence[str]) -> list[TablePlan]:
    """The other tables. The class tree and the list of classes with masks are taken along where there are such."""
    plans = []
    for split in splits:
        for paths in (sources.BOX_LIST[split], sources.IMAGE_LIST[split]):
            source = job.publisher.table(paths)
            try:
                plans.append(_plan_table(job, source, "ImageID"))
            except ClothsegError as error:
                plans.append(TablePlan(source.name, job.out / source.name, None, there=False, remote=None))
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
    """Fetch what is missing of the planned tables; how many came."""
    missing = [plan for plan in plans if not plan.there and plan.remote is not None]
    if not missing:
        return 0
    came = 0
    with job.progress("tables", sum(plan.size or 0 for plan in missing), in_bytes=True) as advance:
        for plan, error in map_concurrently(job, missing, lambda plan: _fetch(job, plan, advance)):
            if isinstance(error, Exception):
                job.failed.append(Failure("table", plan.name.partition("-")[0], plan.name, str(error)))
            else:
                came += 1
    return came


def _plan_table(job: DownloadJob, source: FileSource, first_column: str | None) -> TablePlan:
    """See whether a table is there, under any of its names. One that nobody vouches for must be as the server's."""
    check = _check(first_column)
    names = dict.fromkeys(url.rpartition("/")[2] for url in source.urls)
    for path in (job.out / name for name in names):
        if job.ledger.holds(path):
            return TablePlan(path.name, path, path.stat().st_size, there=True, remote=None)
    remote = job.web.first_of(source.urls)
    path = job.out / remote.url.rpartition("/")[2]
    md5 = source.md5 if path.name == source.name else None
    there = not job.ledger.knows(path) and _is_same(path, remote.size, md5, check)
    if there:
        job.ledger.add(path)
    return TablePlan(path.name, path, remote.size, there=there, remote=remote, md5=md5, first_column=first_column)


def _fetch(job: DownloadJob, plan: TablePlan, advance: Advance) -> None:
    assert plan.remote is not None
    check = _check(plan.first_column)
    job.ledger.add(
        plan.path,
        fetch_file(job.web, plan.remote, plan.path, job.parts, md5=plan.md5, check=check, advance=advance),
    )


def _check(first_column: str | None) -> Callable[[Path], None]:
    def check(path: Path) -> None:
        if first_column is not None:
            check_table(path, first_column)

    return check


def _is_same(path: Path, size: int | None, md5: str | None, check: Callable[[Path], None]) -> bool:
    if not path.is_file() or size is None or path.stat().st_size != size or (md5 and md5_of(path) != md5):
        return False
    try:
        check(path)
    except DataError:
        return False
    return True


def keep(out: Path, files: Mapping[str, bytes], ledger: Ledger) -> None:
    """Put small tables to their place, unless they are there."""
    for name, content in files.items():
        path = out / name
        if not path.is_file() or path.read_bytes() != content:
            atomic_write(path, content)
        ledger.add(path)
