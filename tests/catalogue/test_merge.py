"""`merge`: each shard exactly once, and the same content as in the shards."""

import json
import shutil
from pathlib import Path

import polars
import pytest

from clothseg.catalogue import MergedFormat, Share, TableFormat, merge_catalogue
from clothseg.errors import ClothsegError

from .conftest import Run, files_in, save_photo


@pytest.fixture
def jobs(photos: Path, tmp_path: Path, run: Run) -> list[str]:
    """The folders of two jobs: shards 1 and 3, and shard 2."""
    for job in (1, 2):
        run(photos, tmp_path / f"job{job}", share=Share(job, 2))
    return [str(tmp_path / "job1"), str(tmp_path / "job2")]


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_the_merged_tables_are_the_shards_one_after_the_other(
    jobs: list[str], photos: Path, tmp_path: Path, run: Run, form: str
) -> None:
    run(photos, tmp_path / "one")
    done = merge_catalogue(jobs[::-1], tmp_path / "merged", MergedFormat(form))
    assert (done.shards, done.photos, done.failed) == (3, 11, 1)
    for table in ("detections", "photos", "errors"):
        whole = polars.concat([polars.read_parquet(path) for path in sorted((tmp_path / "one" / table).iterdir())])
        path = tmp_path / "merged" / f"{table}.{form}"
        read = polars.read_parquet(path) if form == "parquet" else polars.read_ndjson(path, schema=whole.schema)
        assert read.equals(whole)
    assert done.rows == len(polars.read_parquet(str(tmp_path / "one/detections/*.parquet")))


def test_json_lines_can_become_parquet_and_back(photos: Path, tmp_path: Path, run: Run) -> None:
    (photos / "06.png").unlink()  # without errors there is no table of errors in the shards, and an empty one merged
    run(photos, tmp_path / "parquet")
    run(photos, tmp_path / "lines", form=TableFormat.JSONL)
    for source in ("parquet", "lines"):
        for form in MergedFormat:
            merge_catalogue([str(tmp_path / source)], tmp_path / "merged" / source / form, form)
    assert files_in(tmp_path / "merged/parquet") == files_in(tmp_path / "merged/lines")
    assert len(polars.read_parquet(tmp_path / "merged/lines/parquet/errors.parquet")) == 0


def test_missing_shards_are_refused_by_name(jobs: list[str], photos: Path, tmp_path: Path, run: Run) -> None:
    with pytest.raises(ClothsegError, match=r"job1: missing shard-000002; give the folders of all jobs"):
        merge_catalogue(jobs[:1], tmp_path / "merged")
    with pytest.raises(ClothsegError, match=r"job2: missing shard-000001"):
        merge_catalogue(jobs[1:], tmp_path / "merged")
    run(photos, tmp_path / "first", share=Share(1, 3))
    with pytest.raises(ClothsegError, match=r"the shards after shard-000001 are missing"):
        merge_catalogue([str(tmp_path / "first")], tmp_path / "merged")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ClothsegError, match="no shards here"):
        merge_catalogue([str(tmp_path / "empty"), str(tmp_path / "nowhere")], tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_doubled_shards_are_refused_by_name(jobs: list[str], tmp_path: Path) -> None:
    shutil.copytree(jobs[1], tmp_path / "copy")
    with pytest.raises(ClothsegError, match=r"shard-000002 is there twice: in .*job2 and in .*copy"):
        merge_catalogue([*jobs, str(tmp_path / "copy")], tmp_path / "merged")


def test_a_folder_given_twice_is_refused(jobs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the name that it has on the command line, also if it has two."""
    monkeypatch.chdir(tmp_path)
    for again in (jobs[0], f"{jobs[0]}/", "job1", "./job2/../job1"):
        with pytest.raises(ClothsegError, match=r"job1: this folder is given more than once; give each folder once$"):
            merge_catalogue([*jobs, again], tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_shards_of_something_else_are_refused(jobs: list[str], photos: Path, tmp_path: Path, run: Run) -> None:
    run(photos, tmp_path / "other", work="another network", share=Share(2, 2))
    with pytest.raises(ClothsegError, match=r"shard-000002 in .*other: made with another network or other settings"):
        merge_catalogue([jobs[0], str(tmp_path / "other")], tmp_path / "merged")
    save_photo(photos / "04b.png", 3)  # in the second shard; the third one moves
    run(photos, tmp_path / "longer", share=Share(2, 2))
    with pytest.raises(ClothsegError, match=r"shard-000003 in .*job1: made from another list of photos"):
        merge_catalogue([jobs[0], str(tmp_path / "longer")], tmp_path / "merged")


@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_a_table_that_has_changed_is_refused(jobs: list[str], tmp_path: Path, damage: str) -> None:
    path = Path(jobs[0], "detections/shard-000003.parquet")
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(content[:-1] if damage == "cut" else content[:20] + b"x" + content[21:])
    with pytest.raises(ClothsegError, match=r"shard-000003\.parquet.*; delete .*shards.shard-000003\.json and repeat"):
        merge_catalogue(jobs, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_a_damaged_receipt_is_refused(jobs: list[str], tmp_path: Path) -> None:
    path = Path(jobs[1], "shards/shard-000002.json")
    receipt = json.loads(path.read_text())
    damaged: list[object] = [{}, receipt | {"photos": "many"}, [receipt]]
    for values in damaged:
        path.write_text(json.dumps(values))
        with pytest.raises(ClothsegError, match=r"shard-000002.json: not the receipt of a shard; delete it"):
            merge_catalogue(jobs, tmp_path / "merged")
    path.write_text(json.dumps(receipt | {"shard": 5}))
    with pytest.raises(ClothsegError, match="it says that it is of shard 5"):
        merge_catalogue(jobs, tmp_path / "merged")


def test_an_earlier_result_is_not_replaced_unasked(jobs: list[str], tmp_path: Path) -> None:
    merge_catalogue(jobs, tmp_path / "merged")
    with pytest.raises(ClothsegError, match="exists already"):
        merge_catalogue(jobs, tmp_path / "merged")
    merge_catalogue(jobs, tmp_path / "merged", MergedFormat.JSONL, overwrite=True)
    assert {path.suffix for path in (tmp_path / "merged").iterdir()} == {".jsonl"}
