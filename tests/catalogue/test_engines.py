"""Batches, memory that runs out, and processes that fail."""

import multiprocessing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
from numpy.typing import NDArray
from stub_network import CLASSES, SHARD_SIZE, BrokenSource, StubSource, stub_find

from clothseg.catalogue import CatalogueOptions, InProcesses, OpenNetwork, Predict, open_catalogue, run_catalogue
from clothseg.errors import RunError, WeightsError
from clothseg.instances import ArrayInstances

from .conftest import Run, files_in


@dataclass(frozen=True)
class SmallMemory:
    """Has memory for photos of other heights than nine pixels, and for two at once."""

    def open(self, worker: int, workers: int) -> OpenNetwork:
        """See `NetworkSource`."""

        def find(photos: Sequence[NDArray[np.uint8]]) -> list[ArrayInstances]:
            if len(photos) > 2 or any(len(photo) == 9 for photo in photos):
                raise MemoryError
            return [stub_find(photo) for photo in photos]

        return OpenNetwork(find, CLASSES)


@pytest.mark.parametrize("batch", [2, 3, 100])
def test_batches_change_nothing(photos: Path, tmp_path: Path, run: Run, batch: int) -> None:
    run(photos, tmp_path / "one")
    run(photos, tmp_path / "many", batch=batch)
    assert files_in(tmp_path / "one") == files_in(tmp_path / "many")


def test_a_photo_without_memory_is_an_error_and_the_others_are_done(photos: Path, tmp_path: Path, run: Run) -> None:
    options = CatalogueOptions(shard_size=20, batch=4)
    done = run_catalogue(open_catalogue([str(photos)]), Predict(), SmallMemory(), str(tmp_path / "out"), options)
    errors = polars.read_parquet(tmp_path / "out/errors/shard-000001.parquet")
    assert errors["photo_id"].to_list() == [2, 5, 7, 8, 11]  # the seventh is no photo
    assert errors["error"][0] == f"{photos}/01.png: memory ran out for this photo (12 x 9 pixels); make it smaller"
    run(photos, tmp_path / "whole", shard_size=20)
    whole = polars.read_parquet(tmp_path / "whole/detections/shard-000001.parquet")
    rows = polars.read_parquet(tmp_path / "out/detections/shard-000001.parquet")
    assert rows.equals(whole.filter(~polars.col("photo_id").is_in([2, 5, 8, 11])))
    assert (done.failed, done.rows) == (5, len(rows))


@pytest.mark.parametrize("ends", [False, True])
def test_the_error_of_a_process_arrives(photos: Path, tmp_path: Path, ends: bool) -> None:
    kind, message = (RunError, "a worker process ended suddenly") if ends else (WeightsError, "it is damaged")
    with pytest.raises(kind, match=message):
        run_catalogue(open_catalogue([str(photos)]), Predict(), BrokenSource(ends), str(tmp_path / "out"),
                      CatalogueOptions(shard_size=SHARD_SIZE), engine=InProcesses(2))  # fmt: skip
    done = run_catalogue(open_catalogue([str(photos)]), Predict(), StubSource(), str(tmp_path / "out"),
                         CatalogueOptions(shard_size=SHARD_SIZE))  # fmt: skip
    assert done.photos == 11


def test_processes_that_are_killed_are_an_error_in_words(photos: Path, tmp_path: Path) -> None:
    """Before the third shard all processes are killed; by then some may have nothing to do."""

    def kill_before_the_third(job: Any, source: Any, shards: Iterator[Any], stop: Any, progress: Any) -> Iterator[Any]:
        def watched() -> Iterator[Any]:
            for number, shard in enumerate(shards):
                for process in multiprocessing.active_children() if number > 1 else ():
                    process.kill()
                    process.join()
                yield shard

        return InProcesses(2)(job, source, watched(), stop, progress)

    with pytest.raises(RunError, match="a worker process ended suddenly"):
        run_catalogue(open_catalogue([str(photos)]), Predict(), StubSource(), str(tmp_path / "out"),
                      CatalogueOptions(shard_size=1), engine=kill_before_the_third)  # fmt: skip
