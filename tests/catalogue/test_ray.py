"""Ray does the same shards, with the same bytes, and opens the network once in each actor."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stub_network import SHARD_SIZE, BrokenSource, StubSource

from clothseg.catalogue import CatalogueOptions, OnRay, Predict, open_catalogue, run_catalogue
from clothseg.errors import ClothsegError

from .conftest import Run, files_in

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Ray with two cores on this machine, for all tests of this file."""
    ray = pytest.importorskip("ray")
    pytest.importorskip("ray.data")
    if " " in sys.executable:
        pytest.skip("Ray cannot start a Python whose path has a space")
    environment = {"env_vars": {"PYTHONPATH": os.pathsep.join(sys.path)}}  # the stub is beside the tests
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR", runtime_env=environment)
    yield ray
    ray.shutdown()


def test_ray_gives_the_same_files_and_opens_the_network_once(
    cluster: Any, photos: Path, tmp_path: Path, run: Run
) -> None:
    run(photos, tmp_path / "one")
    (tmp_path / "log").mkdir()

    def call() -> Any:
        source = StubSource(log=str(tmp_path / "log"))
        return run_catalogue(open_catalogue([str(photos)]), Predict(), source, str(tmp_path / "ray"),
                             CatalogueOptions(shard_size=SHARD_SIZE), engine=OnRay(actors=1))  # fmt: skip

    assert call().failed == 1
    assert files_in(tmp_path / "ray") == files_in(tmp_path / "one")
    assert len(list((tmp_path / "log").iterdir())) == 1, "three shards, one network"
    (tmp_path / "ray/shards/shard-000002.json").unlink()
    again = call()
    assert (again.shards, again.earlier, again.failed) == (3, 2, 1)
    assert files_in(tmp_path / "ray") == files_in(tmp_path / "one")


def test_the_error_of_an_actor_is_that_of_the_package(cluster: Any, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(ClothsegError, match=r"net\.safetensors: it is damaged"):
        run_catalogue(open_catalogue([str(photos)]), Predict(), BrokenSource(), str(tmp_path / "out"),
                      CatalogueOptions(shard_size=SHARD_SIZE), engine=OnRay())  # fmt: skip


def test_a_cluster_that_is_not_there_is_named(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")

    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError("no answer in time")  # Ray takes a minute to find out

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", unreachable)
    with pytest.raises(ClothsegError, match=r"--ray-address ray://head:1: no cluster answers there \(no answer"):
        run_catalogue(open_catalogue([str(photos)]), Predict(), StubSource(), str(tmp_path / "out"),
                      engine=OnRay("ray://head:1"))  # fmt: skip


def test_a_python_that_ray_cannot_start_is_named(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray gives the path to a shell without quotes, and then waits for its workers without end."""
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(sys, "executable", "/my photos/bin/python")
    with pytest.raises(ClothsegError, match=r"Ray cannot start /my photos/bin/python.*its path has a space"):
        run_catalogue(open_catalogue([str(photos)]), Predict(), StubSource(), str(tmp_path / "out"), engine=OnRay())
