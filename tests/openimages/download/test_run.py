"""The whole download from a server on this machine, and a dataset built from it."""

import csv
import json
import os
import random
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from clothseg import sample
from clothseg.errors import ClothsegError, DataError, DownloadError, InterruptedRun
from clothseg.openimages import BuildOptions, build_dataset
from clothseg.openimages.download import FAILED, RetryPolicy, download

MIDS = {"/m/01xyhv", "/m/01d40f", "/m/0fly7"}  # Suit, Dress, Jeans


def empty_photos(split: str) -> set[str]:
    """Photos of the sample on which people looked for all three classes and saw none."""
    with (sample.folder() / f"{split}-annotations-human-imagelabels-boxable.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["LabelName"] in MIDS]
    ids = {row["ImageID"] for row in rows}
    return {i for i in ids if sorted(r["Confidence"] for r in rows if r["ImageID"] == i) == ["0", "0", "0"]}


def assert_same_data_set(tree: Any, original: Path, ours: Path) -> None:
    """Equal bytes, except for the folder's name and the boxes on photos that are in neither dataset."""
    whole, fetched = tree(original), tree(ours)
    assert len(whole) > 10
    differing = {name for name in whole.keys() | fetched.keys() if whole.get(name) != fetched.get(name)}
    assert differing <= {"dataset.yaml", "boxes-without-mask.csv"}
    texts = [(folder / "boxes-without-mask.csv").read_text().splitlines() for folder in (original, ours)]
    assert [line for line in texts[0] if not line.endswith(",0")] == texts[1]
    described = [yaml.safe_load((folder / "dataset.yaml").read_text()) for folder in (original, ours)]
    for name in ("classes", "options", "counts", "dropped"):
        assert described[0][name] == described[1][name]
    assert described[0]["sources"]["tables"] == described[1]["sources"]["tables"]


@pytest.mark.parametrize("ranges", [True, False])
def test_building_from_the_download_equals_building_from_the_original(
    serve: Any, sample_files: dict[str, bytes], fetch: Any, tree: Any, classes: list[str], tmp_path: Path, ranges: bool
) -> None:
    site = serve(sample_files, ranges=ranges)
    summary = fetch(site, tmp_path / "raw")
    assert summary.failed == ()
    assert summary.fetched == {"tables": 6, "masks": 112 + 24, "photos": 94 + 23}
    build_dataset(sample.folder(), tmp_path / "original", classes)
    build_dataset(tmp_path / "raw", tmp_path / "ours", classes)
    assert_same_data_set(tree, tmp_path / "original", tmp_path / "ours")
    names = {p.name for p in (tmp_path / "raw").rglob("*.png")}
    assert (len(names) == 136) is ranges
    site.log.clear()
    again = fetch(site, tmp_path / "raw")
    assert again.fetched == {"tables": 0, "masks": 0, "photos": 0}
    assert again.existing == summary.fetched
    assert {line[0] for line in site.log} == {"v5/class-descriptions-boxable.csv"}
    assert not {p.stem for p in (tmp_path / "raw" / "train").iterdir()} & empty_photos("train")


def test_photos_without_the_classes_are_fetched_on_request(
    serve: Any, fault: Any, sample_files: dict[str, bytes], fetch: Any, tree: Any, classes: list[str], tmp_path: Path
) -> None:
    site = serve(sample_files)
    first: dict[str, Any] = {"partitions": "0", "limit": 12}
    assert fetch(site, tmp_path / "with", keep_empty=True, **first).failed == ()
    for source, out in ((sample.folder(), "original"), (tmp_path / "with", "ours")):
        build_dataset(source, tmp_path / out, classes, BuildOptions(keep_empty=True, **first))
    assert_same_data_set(tree, tmp_path / "original", tmp_path / "ours")
    images = json.loads((tmp_path / "ours/annotations/train.json").read_text())["images"]
    empty = {image["open_images_id"] for image in images} & empty_photos("train")
    assert len(empty) == len({p.stem for p in (tmp_path / "with" / "train").iterdir()} & empty_photos("train")) > 1
    for status, failures in ((404, 0), (500, 1)):  # a mirror without this list is none the worse
        site.always(fault(status=status), "human-imagelabels-boxable.csv")
        again = fetch(
            site, tmp_path / str(status), splits=["train"], keep_empty=True, dry_run=True,
            retry_policy=RetryPolicy(attempts=1), **first,
        )  # fmt: skip
        assert [plan.requested for plan in again.plan.photos] == [12]
        assert [f.file for f in again.failed] == ["train-annotations-human-imagelabels-boxable.csv"] * failures


def test_only_what_is_chosen(serve: Any, sample_files: dict[str, bytes], fetch: Any, tmp_path: Path) -> None:
    site = serve(sample_files)
    summary = fetch(site, tmp_path / "raw", ["Hat"], splits=["train"], partitions="0-3", limit=2)
    with (sample.folder() / "train-annotations-object-segmentation.csv").open() as stream:
        rows = [r for r in csv.DictReader(stream) if r["LabelName"] == "/m/02dl1y" and r["ImageID"][0] in "0123"]
    photos = sorted({r["ImageID"] for r in rows})[:2]
    masks = {r["MaskPath"] for r in rows if r["ImageID"] in photos}
    assert len(photos) == 2
    assert {p.stem for p in (tmp_path / "raw" / "train").iterdir()} == set(photos)
    assert {p.name for p in (tmp_path / "raw").rglob("*.png")} == masks
    assert not site.asked("validation")
    for path in (tmp_path / "raw").rglob("*.png"):
        with zipfile.ZipFile(sample.folder() / "train-masks" / f"{path.parent.name}.zip") as archive:
            assert archive.read(path.name) == path.read_bytes()
    assert summary.plan.rows == {"train": {"Hat": len(masks)}}


def test_a_class_with_the_kinds_below_it(
    serve: Any, sample_files: dict[str, bytes], fetch: Any, tree: Any, tmp_path: Path
) -> None:
    site = serve(sample_files)
    summary = fetch(site, tmp_path / "raw", ["Clothing"], include_children=True, limit=8)
    assert summary.failed == ()
    for source, out in ((sample.folder(), "original"), (tmp_path / "raw", "ours")):
        build_dataset(source, tmp_path / out, ["Clothing"], BuildOptions(include_children=True, limit=8))
    assert_same_data_set(tree, tmp_path / "original", tmp_path / "ours")
    assert len(list((tmp_path / "ours" / "images").iterdir())) == 16
    counted = summary.plan.rows["train"]["Clothing"]
    assert counted == len(list((tmp_path / "raw" / "train-masks").rglob("*.png"))) > 8


def test_the_plan_comes_first_and_has_the_true_sizes(
    serve: Any, sample_files: dict[str, bytes], fetch: Any, tree: Any, tmp_path: Path
) -> None:
    site = serve(sample_files)
    dry = fetch(site, tmp_path / "raw", splits=["train"], dry_run=True)
    assert not dry.done
    assert sorted(tree(tmp_path / "raw")) == [
        "class-descriptions-boxable.csv",
        "train-annotations-object-segmentation.csv",
    ]
    assert not [line for line in site.log if line[0].endswith(".jpg") and line[1] != "bytes=0-0"]
    site.sent = 0
    wet = fetch(site, tmp_path / "raw", splits=["train"])
    sizes = {name: size for name, _, _, size, _ in wet.plan.lines()}
    for name in ("train-annotations-bbox.csv", "train-images-boxable-with-rotation.csv"):
        assert sizes[name] == len(sample_files[f"2018_04/train/{name}"])
    photos = sum(p.stat().st_size for p in (tmp_path / "raw" / "train").iterdir())
    assert sizes["train photos"] == pytest.approx(photos, rel=0.2)
    zips = {k.rpartition("/")[2]: len(v) for k, v in sample_files.items() if "/train-masks-" in k}
    assert zips.keys() <= sizes.keys()
    assert all(sizes[name] <= size for name, size in zips.items())
    assert wet.received <= wet.plan.bytes_to_fetch - sizes["train photos"] + photos + 400_000
    assert wet.received == site.sent


def test_a_plain_folder_of_the_files_is_a_mirror_too(serve: Any, fetch: Any, tmp_path: Path) -> None:
    files = [p for p in sample.folder().rglob("*") if p.suffix in {".csv", ".zip", ".jpg"}]
    site = serve({p.relative_to(sample.folder()).as_posix(): p.read_bytes() for p in files})
    summary = fetch(site, tmp_path / "raw", limit=3)
    assert summary.failed == ()
    assert summary.fetched["photos"] == 6
    assert not (tmp_path / "raw" / "bbox_labels_600_hierarchy.json").exists()


def test_a_server_with_every_fault_gives_the_same_files_in_the_end(
    serve: Any, fault: Any, sample_files: dict[str, bytes], fetch: Any, tree: Any, tmp_path: Path
) -> None:
    site = serve(sample_files)
    fetch(site, tmp_path / "good", limit=25)
    faults = [
        fault(status=500),
        fault(status=503, headers={"Retry-After": "0"}),
        fault(status=429, headers={"Retry-After": "0"}),
        fault(drop_after=0),
        fault(drop_after=3000),
        fault(extra_length=77),
        fault(extra_length=-20),
        fault(body=b"<html>busy</html>"),
        fault(pause=0.05),
        None,
    ]
    draw = random.Random(5)
    # Not twice in a row, so that six attempts for a file are enough.
    site.rule = lambda path, count: draw.choice(faults) if count % 2 == 0 else None
    site.counts.clear()
    summary = fetch(
        site,
        tmp_path / "bad",
        retry_policy=RetryPolicy(attempts=6, timeout=5, initial_wait=0.01, max_wait=0.05),
        limit=25,
    )
    assert summary.failed == ()
    assert tree(tmp_path / "bad") == tree(tmp_path / "good")


def test_failures_are_counted_listed_and_fetched_by_a_rerun(
    serve: Any, fault: Any, sample_files: dict[str, bytes], fetch: Any, tree: Any, tmp_path: Path
) -> None:
    site, out = serve(sample_files), tmp_path / "raw"
    photos = sorted(k for k in sample_files if k.startswith("train/"))
    summary = fetch(site, tmp_path / "good")
    needed = {f"train/{p.name}" for p in (tmp_path / "good" / "train").iterdir()}
    gone, broken, html, cut, box = *[p for p in photos if p in needed][:4], "2018_04/validation/validation-images"
    kinds = {
        gone: fault(status=404),
        broken: fault(status=500),
        html: fault(body=b"<html>sorry</html>"),
        cut: fault(body=sample_files[cut][:5000]),
        "v5/train-masks/train-masks-c.zip": fault(status=404),
    }
    site.rule = lambda path, count: kinds.get(path) or (fault(status=500) if path.startswith(box) else None)
    lost = len(list((tmp_path / "good" / "train-masks" / "train-masks-c").iterdir()))
    summary = fetch(site, out)
    reasons = {f.file: f.reason for f in summary.failed}
    for path, reason in ((gone, "404"), (broken, "500"), (html, "cannot be decoded"), (cut, "truncated")):
        assert reason in reasons[path.rpartition("/")[2]]
        assert not (out / path).exists()
    assert sum(f.kind == "mask" for f in summary.failed) == lost
    assert "status 500" in reasons["validation-images-with-rotation.csv"]
    assert len(reasons) == len(summary.failed) == 4 + lost + 1
    with (out / FAILED).open() as stream:
        assert {r["file"]: r["reason"] for r in csv.DictReader(stream)} == reasons
    assert summary.fetched["photos"] == 94 + 23 - 4
    assert summary.fetched["masks"] == 112 + 24 - lost
    site.rule = lambda path, count: None
    again = fetch(site, out)
    assert again.failed == ()
    assert again.fetched == {"tables": 1, "masks": lost, "photos": 4}
    assert tree(out) == tree(tmp_path / "good")


def test_a_dead_server_gets_few_requests(
    serve: Any, fault: Any, sample_files: dict[str, bytes], fetch: Any, tmp_path: Path
) -> None:
    site = serve(sample_files)
    site.always(fault(status=503), ".jpg")
    summary = fetch(site, tmp_path / "raw", retry_policy=RetryPolicy(attempts=1), workers=2)
    assert sum(f.kind == "photo" for f in summary.failed) == 94 + 23
    assert any("not tried, because the last" in f.reason for f in summary.failed)
    assert len([line for line in site.log if ".jpg" in line[0]]) < 100


def test_changed_files_are_fetched_again_and_others_kept(
    serve: Any, sample_files: dict[str, bytes], fetch: Any, tree: Any, tmp_path: Path
) -> None:
    site, out = serve(sample_files), tmp_path / "raw"
    fetch(site, out, limit=10)
    before = tree(out)
    photos, masks = sorted((out / "train").iterdir()), sorted(out.rglob("*.png"))
    photos[0].write_bytes(photos[0].read_bytes()[:-500])
    flipped = bytearray(photos[1].read_bytes())
    flipped[-3] ^= 255
    photos[1].write_bytes(flipped)
    masks[0].unlink()
    masks[1].write_bytes(b"")
    table = out / "train-annotations-bbox.csv"
    table.write_bytes(table.read_bytes()[:-100])
    os.utime(photos[2])
    again = fetch(site, out, limit=10)
    assert again.fetched == {"tables": 1, "masks": 2, "photos": 2}
    assert tree(out) == before


def test_existing_files_are_used_if_they_are_right(
    serve: Any, sample_files: dict[str, bytes], fetch: Any, tmp_path: Path
) -> None:
    site, out = serve(sample_files), tmp_path / "raw"
    (out / "train-masks").mkdir(parents=True)
    (out / "train").mkdir()
    for name in ("train-masks/train-masks-0.zip", "train-annotations-bbox.csv"):
        (out / name).write_bytes((sample.folder() / name).read_bytes())
    photo = min((sample.folder() / "train").iterdir())
    (out / "train" / photo.name).write_bytes(photo.read_bytes())
    summary = fetch(site, out, partitions="0-1", splits=["train"])
    assert summary.failed == ()
    assert summary.existing["tables"] == 1
    assert summary.existing["photos"] == 1
    assert not site.asked("train-masks-0.zip")
    assert site.asked("train-masks-1.zip")


@contextmanager
def stops_after(left: list[int]) -> Iterator[Any]:
    def advance(_: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt

    yield advance


def test_interrupted_at_many_places_it_resumes(
    serve: Any, sample_files: dict[str, bytes], fetch: Any, tree: Any, tmp_path: Path
) -> None:
    site = serve(sample_files)
    fetch(site, tmp_path / "good", limit=12)
    stopped = 0
    for steps in (0, 1, 2, 5, 9, 14, 20, 1000):
        left = [steps]
        try:
            fetch(site, tmp_path / "raw", limit=12, open_bar=lambda *_, **__: stops_after(left))  # noqa: B023
        except InterruptedRun:
            stopped += 1
    assert stopped >= 5
    assert tree(tmp_path / "raw") == tree(tmp_path / "good")


def test_killed_at_random_moments_a_rerun_gives_the_same_bytes(
    serve: Any, fault: Any, sample_files: dict[str, bytes], fetch: Any, tree: Any, tmp_path: Path
) -> None:
    site, out = serve(sample_files), tmp_path / "raw"
    fetch(site, tmp_path / "good")
    site.always(fault(pause=0.02))
    words = ["dataset", "download", "--source-url", site.url, "--out", str(out), "--workers", "3", "--quiet"]
    site.log.clear()
    child = subprocess.Popen([sys.executable, "-c", "from clothseg.cli import main; main()", *words])
    answers = random.Random().randint(110, 220)
    while child.poll() is None and len(site.log) < answers:
        time.sleep(0.002)
    assert child.poll() is None
    child.kill()
    child.wait()
    assert tree(out).items() <= tree(tmp_path / "good").items(), "every file is complete"
    summary = fetch(site, out)
    assert summary.failed == ()
    assert sum(summary.existing.values()) > 0
    assert tree(out) == tree(tmp_path / "good")


def test_wrong_requests_leave_nothing_behind(
    serve: Any, fault: Any, sample_files: dict[str, bytes], fetch: Any, classes: list[str], tmp_path: Path
) -> None:
    site, out = serve(sample_files), tmp_path / "raw"
    for how, message in (
        ({"classes": ["Suits"]}, "'Suits'; similar: Suit"),
        ({"splits": ["val"]}, "splits 'val'"),
        ({"splits": []}, "splits ''"),
        ({"partitions": "x"}, "partitions 'x'"),
        ({"limit": 0}, "limit is 0"),
        ({"workers": 0}, "workers is 0"),
    ):
        with pytest.raises(DataError, match=message):
            fetch(site, out, **how)
    with pytest.raises(DataError, match="source url 'ftp://x'"):
        download(out, classes, source_url="ftp://x")
    site.always(fault(status=404))
    with pytest.raises(DownloadError, match=r"class-descriptions-boxable\.csv: status 404"):
        fetch(site, out)
    assert not out.exists()
    out.write_bytes(b"")
    for place in (out, out / "below"):
        asked = sum(site.counts.values())
        with pytest.raises(ClothsegError, match=rf"{out} is a file, not a folder"):
            fetch(site, place)
        assert sum(site.counts.values()) == asked, "known before anything is fetched"


def test_a_class_without_masks_and_a_wrong_table(
    serve: Any, sample_files: dict[str, bytes], fetch: Any, tmp_path: Path
) -> None:
    site = serve(sample_files)
    with pytest.raises(DataError, match="no mask of Tortoise in train, validation"):
        fetch(site, tmp_path / "raw", ["Tortoise"])
    site.files["v5/train-annotations-object-segmentation.csv"] = b"<html>busy</html>"
    with pytest.raises(DownloadError, match="begins with '<html>"):
        fetch(site, tmp_path / "other")


def test_a_second_download_in_the_same_folder_is_refused(
    serve: Any, sample_files: dict[str, bytes], fetch: Any, tmp_path: Path
) -> None:
    site = serve(sample_files)

    def second(_: object) -> None:
        with pytest.raises(DownloadError, match="another download is running"):
            fetch(site, tmp_path / "raw")

    assert fetch(site, tmp_path / "raw", limit=1, show_plan=second).failed == ()


def test_a_disk_that_is_too_small(
    serve: Any,
    sample_files: dict[str, bytes],
    fetch: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import shutil

    free = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free)
    with pytest.raises(DataError, match=r"only 0\.0 GB are free"):
        fetch(serve(sample_files), tmp_path / "raw")
