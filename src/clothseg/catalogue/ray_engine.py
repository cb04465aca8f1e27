"""Does shards on a cluster with Ray Data: a pool of actors, each of which opens the network once.

Ray's part is to start actors on the machines of a cluster, to give each the next shard, and to start an actor again
that was lost. The work in an actor is `do_shard`, as everywhere.
"""

import logging
import os
import pickle
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clothseg.catalogue.engines import Progress, Stop
from clothseg.catalogue.reading import PhotoReader
from clothseg.catalogue.receipts import Receipt
from clothseg.catalogue.shard import ShardJob, do_shard
from clothseg.catalogue.shards import Shard
from clothseg.catalogue.tasks import NetworkSource
from clothseg.errors import ClothsegError, RunError, package_error

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class _Worker:
    """An actor of Ray Data. A batch is one shard; the answer is its receipt."""

    def __init__(self, job: ShardJob, source: NetworkSource, folder: str) -> None:
        with suppress(OSError):  # on another machine it may not exist; then names must be absolute
            os.chdir(folder)
        self._job, self._reader = job, PhotoReader()
        self._network = source.open(0, 1)

    def __call__(self, batch: "Mapping[str, NDArray[np.object_]]") -> dict[str, list[bytes]]:
        """Does the shards of a batch."""
        shards = (pickle.loads(content) for content in batch["shard"])
        done = [do_shard(self._job, shard, self._network, self._reader) for shard in shards]
        return {"receipt": [pickle.dumps(receipt) for receipt in done]}


@dataclass(frozen=True)
class OnRay:
    """Does shards in actors of Ray. The names of the photos that are left are in Ray's object store.

    Attributes:
        address: of the cluster, such as `ray://head:10001` or `auto`; None starts Ray on this machine.
        actors: number of actors, each with its own network.
        gpus: number of GPUs of each actor; may be a fraction. None: one, if the cluster has enough.
        cpus: number of cores of each actor.
    """

    address: str | None = None
    actors: int = 1
    gpus: float | None = None
    cpus: float = 1

    def __call__(
        self, job: ShardJob, source: NetworkSource, shards: Iterator[Shard], stop: Stop, progress: Progress
    ) -> Iterator[Receipt]:
        """See `Engine`. After a stop, shards in work are given up.

        Raises:
            ClothsegError: Ray is not installed or cannot start here, or there is no cluster at the address.
        """
        with _session(self.address) as ray:
            import pyarrow  # noqa: PLC0415 - Ray Data has it

            tables = [pyarrow.table({"shard": [pickle.dumps(shard)]}) for shard in shards]
            if not tables:
                return
            done = ray.data.from_arrow(tables).map_batches(
                _Worker,
                batch_size=1,
                compute=ray.data.ActorPoolStrategy(size=min(self.actors, len(tables))),
                num_cpus=self.cpus,
                num_gpus=self._gpus(ray),
                fn_constructor_args=(job, source, str(Path.cwd())),
            )
            try:
                for row in done.iter_rows():
                    receipt: Receipt = pickle.loads(row["receipt"])
                    progress(receipt.photos)
                    yield receipt
                    if stop():
                        return
            except ray.exceptions.RayError as error:
                raise _own_error(error) from error

    def _gpus(self, ray: Any) -> float:
        if self.gpus is not None:
            return self.gpus
        return float(ray.cluster_resources().get("GPU", 0) >= self.actors)


@contextmanager
def _session(address: str | None) -> Iterator[Any]:
    """Ray, connected. One that was connected before stays so."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anybody unless the user wants it
    try:
        import ray  # noqa: PLC0415 - optional, and slow
        import ray.data  # noqa: PLC0415 - the same
    except ImportError as error:
        raise package_error(error, '--engine ray needs one more package: pip install "clothseg[ray]"') from error
    if ray.is_initialized():
        yield ray
        return
    if address is None and " " in sys.executable:  # it passes the path to a shell without quotes, and waits for ever
        raise ClothsegError(
            f"--engine ray: Ray cannot start {sys.executable}, because its path has a space; install clothseg in an "
            "environment whose path has none, or use --devices"
        )
    try:
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            include_dashboard=None if address else False,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        where = f"--ray-address {address}: no cluster answers there" if address else "Ray cannot be started here"
        raise ClothsegError(f"{where} ({error})") from error
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    try:
        yield ray
    finally:
        ray.shutdown()


def _own_error(error: BaseException) -> Exception:
    """The error of this package that made Ray fail; another one with Ray's words."""
    cause: BaseException | None = error
    while cause is not None:
        inner = getattr(cause, "cause", None)
        if isinstance(inner, ClothsegError):
            return type(inner)(*inner.args)
        cause = inner if isinstance(inner, BaseException) else cause.__cause__
    return RunError(f"Ray failed: {str(error).strip().splitlines()[-1]}; the same command continues")
