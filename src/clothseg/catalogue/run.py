"""Does the shards of a catalogue that are left. The same call continues after any stop or kill."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from clothseg.catalogue.changes import changed_photos, task_settings
from clothseg.catalogue.engines import Engine, Progress, in_this_process
from clothseg.catalogue.receipts import FOLDER, Receipt, finished_shards, read_receipt, receipt_file
from clothseg.catalogue.shard import ShardJob
from clothseg.catalogue.shards import DEFAULT_SIZE, Listed, Shard, Share, shard_name, shard_number, shards_of
from clothseg.catalogue.store import Store
from clothseg.catalogue.tables import DETECTIONS, ERRORS, GARMENTS, PHOTOS, TableFormat
from clothseg.catalogue.tasks import CUTOUTS, NetworkSource, Task
from clothseg.changed_work import changed_settings
from clothseg.counting import counted
from clothseg.errors import ClothsegError, DataError, InterruptedRun
from clothseg.journal import work_key
from clothseg.stop import StopRequest

_FOLDERS = (FOLDER, DETECTIONS, GARMENTS, PHOTOS, ERRORS, CUTOUTS)  # the receipts first: they say what is complete


@dataclass(frozen=True)
class CatalogueOptions:
    """How a catalogue is done.

    Attributes:
        form: of the tables.
        shard_size: number of photos in a shard.
        share: the job among several, each with some of the shards.
        batch: number of photos that the network gets together.
        retry_errors: whether to do those shards again in which a photo failed.
        overwrite: whether to do all shards of this job again.
    """

    form: TableFormat = TableFormat.PARQUET
    shard_size: int = DEFAULT_SIZE
    share: Share = field(default_factory=Share)
    batch: int = 1
    retry_errors: bool = False
    overwrite: bool = False


@dataclass(frozen=True)
class CatalogueSummary:
    """What a job has done, now and in earlier calls.

    Attributes:
        shards: number of its shards.
        earlier: how many of them were complete before this call.
        photos: number of their photos.
        rows: of the table of results.
        failed: number of photos that could not be read or processed; the table of errors says why.
    """

    shards: int = 0
    earlier: int = 0
    photos: int = 0
    rows: int = 0
    failed: int = 0

    def with_shard(self, receipt: Receipt, *, earlier: bool) -> "CatalogueSummary":
        """The summary with one more shard."""
        return CatalogueSummary(
            self.shards + 1,
            self.earlier + earlier,
            self.photos + receipt.photos,
            self.rows + receipt.rows,
            self.failed + receipt.failed,
        )


def run_catalogue(
    listed: Iterable[Listed],
    task: Task,
    source: NetworkSource,
    out: str,
    options: CatalogueOptions | None = None,
    *,
    work: object = None,
    engine: Engine = in_this_process,
    progress: Progress = lambda photos: None,
    notify: Callable[[str], object] = lambda message: None,
) -> CatalogueSummary:
    """Writes the results of a catalogue into a folder, shard by shard.

    Each shard has its own files: a table of results, one of the photos that were read, one of errors if there are any,
    and a receipt, which is written last. A shard without a receipt is done again, one with a receipt never. So after
    any number of kills the files have the bytes that they would have without.

    Args:
        listed: the photos, as `open_catalogue` gives them; the same ones each time.
        task: what is done with each photo.
        source: opens the network.
        out: path or URL of the folder. Jobs may share it.
        options: shards, jobs and format.
        work: identifies the network and its settings. Shards of other work are not mixed with these.
        engine: where the shards are done.
        progress: gets numbers of photos.
        notify: receives messages.

    Returns:
        What this job has done.

    Raises:
        ClothsegError: `out` has other files, or shards of other work, of other photos, or of another shard size.
        UnreachableError: a store does not answer.
        InterruptedRun: Ctrl-C or SIGTERM; complete shards stay.
    """
    import polars  # noqa: F401, PLC0415 - where it is missing, this ends before anything is done

    options = options or CatalogueOptions()
    store = Store(out)
    facts = {"of": work, "task": task, "form": options.form, "size": options.shard_size}
    key = hashlib.sha256(work_key(facts).encode("utf-8", "surrogatepass")).hexdigest()
    settings = task_settings(work, task, options.form, options.shard_size)
    _check_folder(store, options)
    if options.overwrite:
        _clear(store, options.share)
    for folder in _FOLDERS:
        store.remove_leftovers(folder, lambda name: options.share.has(shard_number(name) or 0))
    plan = _Plan(store, options, key, settings, set(finished_shards(store, options.share)))
    summary = CatalogueSummary()
    with StopRequest() as request:
        job = ShardJob(store, task, options.form, options.batch, key, settings)
        left = plan.left(shards_of(listed, options.shard_size))
        for receipt in engine(job, source, left, lambda: request.asked, progress):
            summary = summary.with_shard(receipt, earlier=False)
        if request.asked and not plan.is_complete(summary.shards):
            raise InterruptedRun(
                f"{counted(summary.shards + plan.earlier.shards, 'shard')} complete in {out}; the same command "
                "continues there"
            )
    if not summary.shards + plan.earlier.shards:
        made = counted(plan.last, "shard")
        notify(f"nothing to do: the photos make {made}, none of which is for job {options.share}")
    return _joined(summary, plan.earlier, notify)


def _joined(now: CatalogueSummary, earlier: CatalogueSummary, notify: Callable[[str], object]) -> CatalogueSummary:
    if earlier.shards:
        notify(f"complete before: {earlier.shards} of {counted(now.shards + earlier.shards, 'shard')}")
    return CatalogueSummary(
        now.shards + earlier.shards,
        earlier.shards,
        now.photos + earlier.photos,
        now.rows + earlier.rows,
        now.failed + earlier.failed,
    )


class _Plan:
    """Chooses the shards of this job that are left, and counts those that are complete."""

    def __init__(
        self, store: Store, options: CatalogueOptions, key: str, settings: Mapping[str, str], finished: set[int]
    ) -> None:
        self._store, self._options, self._key, self._finished = store, options, key, finished
        self._settings = settings
        self._given = 0
        self._ended = False
        self.last = 0
        self.earlier = CatalogueSummary()

    def left(self, shards: Iterable[Shard]) -> Iterator[Shard]:
        """Yields the shards to do."""
        for shard in shards:
            self.last = shard.number
            if not self._options.share.has(shard.number):
                continue
            if shard.number in self._finished and (receipt := self._complete(shard)):
                self.earlier = self.earlier.with_shard(receipt, earlier=True)
                continue
            if not self._given:
                self._store.require_writable(_FOLDERS)
            self._given += 1
            yield shard
        self._ended = True
        if beyond := [number for number in self._finished if number > self.last]:
            raise DataError(
                f"{self._store.root}: {shard_name(min(beyond))} is there, but the photos end with "
                f"{shard_name(self.last)}; the list has changed. Give the same photos, or choose another --out"
            )

    def is_complete(self, done: int) -> bool:
        """Whether all shards of this job are done, after `done` in this call."""
        return self._ended and done == self._given

    def _complete(self, shard: Shard) -> Receipt | None:
        """The receipt of a shard; None if it is to be done again."""
        receipt = read_receipt(self._store, shard.number)
        place = self._store.url(receipt_file(shard.number))
        if receipt.work != self._key:
            changed = changed_settings(receipt.settings, self._settings)
            raise ClothsegError(
                f"{place}: this shard is of another network, or of other settings{changed}; choose another --out, or "
                "add --overwrite to do all shards again"
            )
        if (receipt.list_after, receipt.is_last) != (shard.list_after, shard.is_last):
            changed = changed_photos(self._store, receipt, shard)
            raise ClothsegError(
                f"{place}: this shard is of other photos; the list has changed{changed}. Give the same photos in "
                "the same order, choose another --out, or add --overwrite to do all shards again"
            )
        if self._options.retry_errors and receipt.failed:
            self._store.delete(receipt_file(shard.number))
            return None
        return receipt


def _check_folder(store: Store, options: CatalogueOptions) -> None:
    """Refuses a folder with files of something else."""
    other = [name for name in store.names() if name not in _FOLDERS and not name.startswith(".")]
    if other and not options.overwrite:
        raise ClothsegError(
            f"{store.root} has other files ({', '.join(other[:3])}); choose another place, or add --overwrite to leave "
            "them there"
        )


def _clear(store: Store, share: Share) -> None:
    """Deletes the shards of a job; other files stay."""
    store.require_writable(_FOLDERS)
    for folder in _FOLDERS:
        for name in store.names(folder):
            if (number := shard_number(name)) is not None and share.has(number):
                store.delete(f"{folder}/{name}")
