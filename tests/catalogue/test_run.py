"""A catalogue in shards: what the tables hold, jobs, resuming, and what is refused."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars
import pytest
from fresh_process import FreshProcesses
from pycocotools import mask as referee
from stub_network import CLASSES, SHARD_SIZE, StubSource, stub_find

from clothseg.catalogue import CatalogueOptions, InProcesses, Predict, Share, TableFormat, open_catalogue, run_catalogue
from clothseg.errors import ClothsegError, InterruptedRun
from clothseg.photos import read_photo

from .conftest import Run, files_in, save_photo


def table(out: Path, name: str) -> polars.DataFrame:
    return polars.concat([polars.read_parquet(path) for path in sorted((out / name).iterdir())])


def test_the_tables_hold_every_photo_once_and_every_detection(photos: Path, tmp_path: Path, run: Run) -> None:
    done = run(photos, tmp_path / "out")
    assert (done.shards, done.photos, done.failed) == (3, 11, 1)
    read, failed, rows = (table(tmp_path / "out", name) for name in ("photos", "errors", "detections"))
    assert sorted([*read["photo_id"], *failed["photo_id"]]) == list(range(1, 12))
    assert failed.rows() == [(7, f"{photos}/06.png", f"{photos / '06.png'}: not a picture in a known format")]
    assert not (tmp_path / "out/errors/shard-000001.parquet").exists(), "no error, no table"
    expected = []
    for photo_id, name, width, height, found in read.rows():
        instances = stub_find(read_photo(name))
        assert (height, width) == instances.size
        assert found == len(instances)
        for number, one in enumerate(instances, start=1):
            x1, y1, x2, y2 = one.boxes[0].tolist()
            box = (x1, y1, x2 - x1, y2 - y1)
            label = int(one.classes[0])
            expected.append((photo_id, name, width, height, number, label, CLASSES[label - 1], one.scores[0], *box))
    assert len(expected) > 5
    assert rows.select(rows.columns[:12]).rows() == expected
    for row in rows.rows(named=True):
        mask = referee.decode({"size": [row["photo_height"], row["photo_width"]], "counts": row["rle"].encode()})
        assert np.array_equal(mask, stub_find(read_photo(row["photo"])).masks.pixels()[row["number"] - 1])
        assert (mask.sum(), None) == (row["area"], row["review"])


def test_json_lines_hold_the_same(photos: Path, tmp_path: Path, run: Run) -> None:
    run(photos, tmp_path / "out")
    run(photos, tmp_path / "lines", form=TableFormat.JSONL)
    lines = [json.loads(line) for path in sorted((tmp_path / "lines/detections").iterdir()) for line in path.open()]
    rows = table(tmp_path / "out", "detections").rows(named=True)
    assert len(lines) == len(rows)
    for line, row in zip(lines, rows, strict=True):
        assert line.keys() == row.keys()
        assert {**line, "score": pytest.approx(row["score"])} == row


def test_jobs_share_the_shards_and_give_the_same_files(photos: Path, tmp_path: Path, run: Run) -> None:
    run(photos, tmp_path / "one")
    for job in (2, 3, 1, 5, 4):
        run(photos, tmp_path / "all", share=Share(job, 5))
    assert files_in(tmp_path / "one") == files_in(tmp_path / "all")
    run(photos, tmp_path / "second", share=Share(2, 2))
    assert sorted(path.name for path in (tmp_path / "second/shards").iterdir()) == ["shard-000002.json"]


def test_processes_give_the_same_files(photos: Path, tmp_path: Path, run: Run) -> None:
    run(photos, tmp_path / "one")
    (tmp_path / "log").mkdir()
    done = run_catalogue(
        open_catalogue([str(photos)]),
        Predict(),
        StubSource(log=str(tmp_path / "log")),
        str(tmp_path / "two"),
        CatalogueOptions(shard_size=SHARD_SIZE),
        engine=InProcesses(2),
    )
    assert (done.shards, done.photos, done.failed) == (3, 11, 1)
    assert files_in(tmp_path / "one") == files_in(tmp_path / "two")
    assert len(list((tmp_path / "log").iterdir())) == 2, "each process opens the network once"


def test_a_finished_catalogue_is_not_done_again(photos: Path, tmp_path: Path, run: Run) -> None:
    first = run(photos, tmp_path / "out")
    (tmp_path / "log").mkdir()
    again = run_catalogue(
        open_catalogue([str(photos)]),
        Predict(),
        StubSource(log=str(tmp_path / "log")),
        str(tmp_path / "out"),
        CatalogueOptions(shard_size=SHARD_SIZE),
    )
    assert (again.shards, again.photos, again.rows, again.failed) == (3, 11, first.rows, 1)
    assert again.earlier == 3
    assert list((tmp_path / "log").iterdir()) == [], "the network is not even opened"


def test_failed_photos_are_tried_again_if_asked(photos: Path, tmp_path: Path, run: Run) -> None:
    run(photos, tmp_path / "out")
    save_photo(photos / "06.png", 6)
    assert run(photos, tmp_path / "out").failed == 1
    done = run(photos, tmp_path / "out", retry_errors=True)
    assert (done.failed, done.earlier) == (0, 2)
    run(photos, tmp_path / "whole")
    assert files_in(tmp_path / "out") == files_in(tmp_path / "whole")


def test_other_work_other_photos_and_other_files_are_not_mixed(photos: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "out"
    run(photos, out, work="first")
    before = files_in(out)
    with pytest.raises(ClothsegError, match=r"shard-000001.json: this shard is of another network.*--overwrite"):
        run(photos, out, work="second")
    with pytest.raises(ClothsegError, match="another network, or of other settings"):
        run(photos, out, work="first", shard_size=3)
    (photos / "00.png").rename(photos / "000.png")
    with pytest.raises(ClothsegError, match="this shard is of other photos; the list has changed"):
        run(photos, out, work="first")
    (photos / "000.png").rename(photos / "00.png")
    for number in (8, 9, 10):
        (photos / f"{number:02d}.png").unlink()
    with pytest.raises(ClothsegError, match=r"shard-000002.json: this shard is of other photos"):
        run(photos, out, work="first")
    assert files_in(out) == before
    done = run(photos, out, work="second", overwrite=True)
    assert (done.photos, done.shards) == (8, 2)
    assert not list(out.rglob("shard-000003*")), "of the longer list"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").touch()
    with pytest.raises(ClothsegError, match=r"mine has other files \(letter.txt\)"):
        run(photos, tmp_path / "mine")


def test_overwriting_one_job_leaves_the_others(photos: Path, tmp_path: Path, run: Run) -> None:
    for job in (1, 2):
        run(photos, tmp_path / "out", share=Share(job, 2))
    before = (tmp_path / "out/shards/shard-000002.json").stat().st_mtime_ns
    run(photos, tmp_path / "out", share=Share(1, 2), overwrite=True)
    assert (tmp_path / "out/shards/shard-000002.json").stat().st_mtime_ns == before


def test_a_stop_leaves_complete_shards_and_the_same_call_continues(
    photos: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = 0

    def progress(number: int) -> None:
        nonlocal seen
        seen += number
        if seen == 6:
            signal.raise_signal(signal.SIGTERM)

    options = CatalogueOptions(shard_size=SHARD_SIZE)
    with pytest.raises(InterruptedRun, match=r"1 shard complete in .*; the same command continues"):
        run_catalogue(open_catalogue([str(photos)]), Predict(), StubSource(), str(tmp_path / "out"), options,
                      progress=progress)  # fmt: skip
    assert run(photos, tmp_path / "out").earlier == 1
    run(photos, tmp_path / "whole")
    assert files_in(tmp_path / "out") == files_in(tmp_path / "whole")


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FreshProcesses]:
    """Starts the stub as a program."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        processes = FreshProcesses(tmp_path_factory.mktemp("stub"), "import stub_network")
        yield processes
        processes.close()


@pytest.mark.parametrize("processes", [1, 2])
def test_after_any_number_of_kills_the_bytes_are_those_of_a_run_without(
    tmp_path: Path, run: Run, stub: FreshProcesses, processes: int
) -> None:
    """SIGKILL at random moments, while files are written."""
    for number in range(48):
        save_photo(tmp_path / "photos" / f"{number:02d}.png", number)
    (tmp_path / "photos/20.png").write_bytes(b"")
    names = "\n".join(str(path) for path in sorted((tmp_path / "photos").iterdir()))
    (tmp_path / "list.txt").write_text(names)
    run(tmp_path / "list.txt", tmp_path / "whole")
    out, generator, kills = tmp_path / "out", random.Random(7), 0
    words = [tmp_path / "list.txt", out, *([2] if processes == 2 else [])]
    for _ in range(40):
        before = files_in(out) if out.exists() else {}
        process = stub.start(words, code="import stub_network; stub_network.main()")
        while process.poll() is None and len(list(out.rglob("*.*"))) <= len(before):
            time.sleep(0.001)
        time.sleep(generator.random() * 0.03)
        if kills < (6 if processes == 1 else 2):
            process.kill()
        if process.wait() == 0:
            break
        kills += 1
    assert kills >= (5 if processes == 1 else 2)
    assert files_in(out) == files_in(tmp_path / "whole")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_to_all_processes_finishes_shards_in_work(photos: Path, tmp_path: Path, run: Run, name: str) -> None:
    """A terminal sends Ctrl-C, and some schedulers send SIGTERM, to the workers too."""
    if sys.platform == "win32":
        pytest.skip("Windows has no such signals for one process")
    out = tmp_path / "out"
    code = (
        "import sys\n"
        "from clothseg.catalogue import *\n"
        "from stub_network import *\n"
        "photos, work, source = open_catalogue([sys.argv[1]]), Predict(), StubSource(0.2)\n"
        "run_catalogue(photos, work, source, sys.argv[2], CatalogueOptions(shard_size=1), engine=InProcesses(2))\n"
    )
    words = [sys.executable, "-c", code, str(photos), str(out)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(words, start_new_session=True, stderr=subprocess.PIPE, text=True, env=environment)
    while process.poll() is None and not list(out.glob("shards/*.json")):
        time.sleep(0.001)
    os.killpg(process.pid, getattr(signal, name))
    error = process.communicate()[1]
    assert error.splitlines()[-1].startswith("clothseg.errors.InterruptedRun: ")
    assert error.count("Traceback") == 1, "only that of the first process"
    run(photos, tmp_path / "whole", shard_size=1)
    run(photos, out, shard_size=1)
    assert files_in(out) == files_in(tmp_path / "whole")
