"""The whole download from a server on this machine, and what `dataset build` makes of it."""

import base64
import csv
import hashlib
import io
import os
import random
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from clothseg import sample
from clothseg.errors import DataError, DownloadError, InterruptedRun
from clothseg.openimages import BuildOptions, build_dataset
from clothseg.openimages.download import FAILED, DownloadSummary, RetryPolicy, download

CLASSES = ["Suit", "Dress", "Jeans"]


def fetch(site: Any, out: Path, retry_policy: RetryPolicy, classes: list[str] = CLASSES, **how: Any) -> DownloadSummary:
    return download(out, classes, source_url=site.url, retry_policy=retry_policy, **how)


def tree(folder: Path) -> dict[str, str]:
    """Checksums of everything but the download's own notes."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and ".download" not in p.parts)
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def assert_same_data_set(original: Path, ours: Path) -> None:
    """The same bytes, but for the folder's name and the boxes of photos that are in neither data set."""
    whole, fetched = tree(original), tree(ours)
    assert len(whole) > 10
    differing = {name for name in whole.keys() | fetched.keys() if whole.get(name) != fetched.get(name)}
    assert differing <= {"dataset.yaml", "unmasked-boxes.csv"}
    texts = [(folder / "unmasked-boxes.csv").read_text().splitlines() for folder in (original, ours)]
    assert [line for line in texts[0] if not line.endswith(",0")] == texts[1]
    described = [yaml.safe_load((folder / "dataset.yaml").read_text()) for folder in (original, ours)]
    for name in ("classes", "options", "counts", "dropped"):
        assert described[0][name] == described[1][name]
    assert described[0]["sources"]["tables"] == described[1]["sources"]["tables"]


@pytest.mark.parametrize("ranges", [True, False])
def test_building_from_the_download_equals_building_from_the_original(
    serve: Any, sample_files: dict[str, bytes], retry_policy: RetryPolicy, tmp_path: Path, ranges: bool
) -> None:
    site = serve(sample_files, ranges=ranges)
    summary = fetch(site, tmp_path / "raw", retry_policy)
    assert summary.failed == ()
    assert summary.fetched == {"tables": 6, "masks": 112 + 24, "photos": 94 + 23}
    build_dataset(sample.folder(), tmp_path / "original", CLASSES)
    build_dataset(tmp_path / "raw", tmp_path / "ours", CLASSES)
    assert_same_data_set(tmp_path / "original", tmp_path / "ours")
    names = {p.name for p in (tmp_path / "raw").rglob("*.png")}
    assert (len(names) == 136) is ranges
    site.log.clear()
    again = fetch(site, tmp_path / "raw", retry_policy)
    assert again.fetched == {"tables": 0, "masks": 0, "photos": 0}
    assert again.there == summary.fetched
    assert {line[0] for line in site.log} == {"v5/class-descriptions-boxable.csv"}


def test_only_what_is_chosen(
    serve: Any, sample_files: dict[str, bytes], retry_policy: RetryPolicy, tmp_path: Path
) -> None:
    site = serve(sample_files)
    summary = fetch(site, tmp_path / "raw", retry_policy, ["Hat"], splits=["train"], partitions="0-3", limit=2)
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
    serve: Any, sample_files: dict[str, bytes], retry_policy: RetryPolicy, tmp_path: Path
) -> None:
    site = serve(sample_files)
    summary = fetch(site, tmp_path / "raw", retry_policy, ["Clothing"], include_children=True, limit=8)
    assert summary.failed == ()
    for source, out in ((sample.folder(), "original"), (tmp_path / "raw", "ours")):
        build_dataset(source, tmp_path / out, ["Clothing"], BuildOptions(include_children=True, limit=8))
    assert_same_data_set(tmp_path / "original", tmp_path / "ours")
    assert len(list((tmp_path / "ours" / "images").iterdir())) == 16
    counted = summary.plan.rows["train"]["Clothing"]
    assert counted == len(list((tmp_path / "raw" / "train-masks").rglob("*.png"))) > 8


def test_the_plan_comes_first_and_tells_the_true_sizes(
    serve: Any, sample_files: dict[str, bytes], retry_policy: RetryPolicy, tmp_path: Path
) -> None:
    site = serve(sample_files)
    dry = fetch(site, tmp_path / "raw", retry_policy, splits=["train"], dry_run=True)
    assert not dry.done
    assert sorted(tree(tmp_path / "raw")) == [
        "class-descriptions-boxable.csv",
        "train-annotations-object-segmentation.csv",
    ]
    assert not [line for line in site.log if line[0].endswith(".jpg") and line[1] != "bytes=0-0"]
    site.sent = 0
    wet = fetch(site, tmp_path / "raw", retry_policy, splits=["train"])
    told = {name: size for name, _, _, size, _ in wet.plan.lines()}
    for name in ("train-annotations-bbox.csv", "train-images-boxable-with-rotation.csv"):
        assert told[name] == len(sample_files[f"2018_04/train/{name}"])
    photos = sum(p.stat().st_size for p in (tmp_path / "raw" / "train").iterdir())
    assert told["train photos"] == pytest.approx(photos, rel=0.2)
    zips = {k.rpartition("/")[2]: len(v) for k, v in sample_files.items() if "/train-masks-" in k}
    assert zips.keys() <= told.keys()
    assert all(told[name] <= size for name, size in zips.items())
    assert wet.received <= wet.plan.bytes_to_fetch - told["train photos"] + photos + 400_000
    assert wet.received == site.sent


def test_a_plain_folder_of_the_files_serves_as_well(serve: Any, retry_policy: RetryPolicy, tmp_path: Path) -> None:
    files = [p for p in sample.folder().rglob("*") if p.suffix in {".csv", ".zip", ".jpg"}]
    site = serve({p.relative_to(sample.folder()).as_posix(): p.read_bytes() for p in files})
    summary = fetch(site, tmp_path / "raw", retry_policy, limit=3)
    assert summary.failed == ()
    assert summary.fetched["photos"] == 6
    assert not (tmp_path / "raw" / "bbox_labels_600_hierarchy.json").exists()


def test_a_server_with_every_fault_gives_the_same_files_in_the_end(
    serve: Any, fault: Any, sample_files: dict[str, bytes], retry_policy: RetryPolicy, tmp_path: Path
) -> None:
    site = serve(sample_files)
    fetch(site, tmp_path / "good", retry_policy, limit=25)
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
    # Not twice in a row, or the four tries of a file might not be enough.
    site.rule = lambda path, count: draw.choice(faults) if count % 2 == 0 else None
    site.counts.clear()
    summary = fetch(
        site, tmp_path / "bad", RetryPolicy(attempts=6, timeout=5, first_wait=0.01, longest_wait=0.05), limit=25
    )
    assert summary.failed == ()
    assert tree(tmp_path / "bad") == tree(tmp_path / "good")


def test_what_fails_is_counted_listed_and_fetched_by_a_rerun(
    serve: Any, fault: Any, sample_files: dict[str, bytes], retry_policy: RetryPolicy, tmp_path: Path
) -> None:
    site, out = serve(sample_files), tmp_path / "raw"
    photos = sorted(k for k in sample_files if k.startswith("train/"))
    summary = fetch(site, tmp_path / "good", retry_policy)
    wanted = {f"train/{p.name}" for p in (tmp_path / "good" / "train").iterdir()}
    gone, broken, html, cut, box = *[p for p in photos if p in wanted][:4], "2018_04/validation/validation-images"
    kinds = {
        gone: fault(status=404),
        broken: fault(status=500),
        html: fault(body=b"<html>sorry</html>"),
        cut: fault(body=sample_files[cut][:5000]),
        "v5/train-masks/train-masks-c.zip": fault(status=404),
    }
    site.rule = lambda path, count: kinds.get(path) or (fault(status=500) if path.startswith(box) else None)
    lost = len(list((tmp_path / "good" / "train-masks" / "train-masks-c").iterdir()))
    summary = fetch(site, out, retry_policy)
    told = {f.file: f.reason for f in summary.failed}
    for path, reason in ((gone, "404"), (broken, "500"), (html, "cannot be decoded"), (cut, "truncated")):
        assert reason in told[path.rpartition("/")[2]]
        assert not (out / path).exists()
    assert sum(f.kind == "mask" for f in summary.failed) == lost
    assert "status 500" in told["validation-images-with-rotation.csv"]
    assert len(told) == len(summary.failed) == 4 + lost + 1
    with (out / FAILED).open() as stream:
        assert {r["file"]: r["reason"] for r in csv.DictReader(stream)} == told
    assert summary.fetched["photos"] == 94 + 23 - 4
    assert summary.fetched["masks"] == 112 + 24 - lost
    site.rule = lambda path, count: None
    again = fetch(site, out, retry_policy)
    assert again.failed == ()
    assert again.fetched == {"tables": 1, "masks": lost, "photos": 4}
    assert tree(out) == tree(tmp_path / "good")


def test_a_dead_server_is_not_asked_a_thousand_times(
    serve: Any, fault: Any, sample_files: dict[str, bytes], tmp_path: Path
) -> None:
    site = serve(sample_files)
    site.always(fault(status=503), ".jpg")
    summary = fetch(site, tmp_path / "raw", RetryPolicy(attempts=1), workers=2)
    assert sum(f.kind == "photo" for f in summary.failed) == 94 + 23
    assert any("not tried, as the last" in f.reason for f in summary.failed)
    assert len([line for line in site.log if ".jpg" in line[0]]) < 100


def test_spoilt_files_are_fetched_again_and_others_kept(
    serve: Any, sample_files: dict[str, bytes], retry_policy: RetryPolicy, tmp_path: Path
) -> None:
    site, out = serve(sample_files), tmp_path / "raw"
    fetch(site, out, retry_policy, limit=10)
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
    again = fetch(site, out, retry_policy, limit=10)
    assert again.fetched == {"tables": 1, "masks": 2, "photos": 2}
    assert tree(out) == before


def test_files_that_somebody_put_there_are_used_if_they_are_right(
    serve: Any, sample_files: dict[str, bytes], retry_policy: RetryPolicy, tmp_path: Path
) -> None:
    site, out = serve(sample_files), tmp_path / "raw"
    (out / "train-masks").mkdir(parents=True)
    (out / "train").mkdir()
    for name in ("train-masks/train-masks-0.zip", "train-annotations-bbox.csv"):
        (out / name).write_bytes((sample.folder() / name).read_bytes())
    photo = min((sample.folder() / "train").iterdir())
    (out / "train" / photo.name).write_bytes(photo.read_bytes())
    summary = fetch(site, out, retry_policy, partitions="0-1", splits=["train"])
    assert summary.failed == ()
    assert summary.there["tables"] == 1
    assert summary.there["photos"] == 1
    assert not site.asked("train-masks-0.zip")
    assert site.asked("train-masks-1.zip")


def png(width: int, height: int, **how: Any) -> bytes:
    stream = io.BytesIO()
    Image.new("1", (width, height), 1).save(stream, "PNG", **how)
    return stream.getvalue()


def claims(width: int, height: int) -> bytes:
    """A PNG whose header claims a size, with a right checksum."""
    data = png(4, 4)
    header = b"IHDR" + struct.pack(">II", width, height) + data[24:29]
    return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]


@pytest.mark.parametrize("ranges", [True, False])
def test_hostile_and_broken_archives(
    serve: Any, sample_files: dict[str, bytes], retry_policy: RetryPolicy, tmp_path: Path, ranges: bool
) -> None:
    with (sample.folder() / "train-annotations-object-segmentation.csv").open() as stream:
        rows = [
            r["MaskPath"] for r in csv.DictReader(stream) if r["LabelName"] in ("/m/01xyhv", "/m/01d40f", "/m/0fly7")
        ]
    names = sorted(n for n in rows if n[0] == "0")
    climbing, absolute, bomb, huge, absent, rgb = names[:6]
    stream_ = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(sample_files["v5/train-masks/train-masks-0.zip"])) as real:
        contents = {name: real.read(name) for name in names}
    colours = io.BytesIO()
    Image.new("RGB", (8, 8)).save(colours, "PNG")
    with zipfile.ZipFile(stream_, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            path = {climbing: f"../{name}", absolute: f"{tmp_path}/{name}"}.get(name, name)
            content = {bomb: claims(60000, 60000), huge: bytes(40 << 20), rgb: colours.getvalue()}.get(
                name, contents[name]
            )
            if name != absent:
                archive.writestr(path, content)
    spoilt = bytearray(sample_files["v5/train-masks/train-masks-1.zip"])
    spoilt_name = min(n for n in rows if n[0] == "1")
    place = zipfile.ZipFile(io.BytesIO(bytes(spoilt))).getinfo(spoilt_name)
    spoilt[place.header_offset + 30 + len(spoilt_name) + place.compress_size // 2] ^= 0xFF
    files = sample_files | {
        "v5/train-masks/train-masks-0.zip": stream_.getvalue(),
        "v5/train-masks/train-masks-1.zip": bytes(spoilt),
        "v5/train-masks/train-masks-2.zip": sample_files["v5/train-masks/train-masks-2.zip"][:-500],
    }
    before = tree(tmp_path)
    site = serve(files, ranges=ranges)
    how: dict[str, Any] = {"splits": ["train"], "partitions": "0-2"}
    summary = fetch(site, tmp_path / "deep" / "raw", retry_policy, **how)
    told = {f.file: f.reason for f in summary.failed}
    in_two = [n for n in rows if n[0] == "2"]
    expected = {
        climbing,
        absolute,
        bomb,
        huge,
        absent,
        spoilt_name,
        f"../{climbing}",
        f"{tmp_path}/{absolute}",
        *in_two,
    }
    assert told.keys() == expected
    assert "leads out" in told[f"../{climbing}"]
    assert "no such mask" in told[absent]
    assert "60000" in told[bomb]
    assert "no mask is that large" in told[huge]
    assert "CRC" in told[spoilt_name] or "unpacked" in told[spoilt_name]
    assert all("not a zip" in told[name] for name in in_two)
    assert {k: v for k, v in tree(tmp_path).items() if not k.startswith("deep/raw/")} == before
    assert summary.fetched["masks"] == len([n for n in rows if n[0] in "012"]) - len(expected) + 2
    site.log.clear()
    again = fetch(site, tmp_path / "deep" / "raw", retry_policy, **how)
    assert {f.file: f.reason for f in again.failed} == told
    assert again.fetched == {"tables": 0, "masks": 0, "photos": 0}
    if not ranges:  # whole zips that are there are not fetched again: the server has no others
        assert {line[1] for p in "01" for line in site.asked(f"train-masks-{p}.zip")} == {"bytes=0-0"}
    dropped = build_dataset(
        tmp_path / "deep" / "raw", tmp_path / "out", CLASSES, BuildOptions(partitions="0-2", val_fraction=0.2)
    )
    lost = {d.box_id for d in dropped.failed}
    assert {name[:-4].rpartition("_")[2] for name in expected if "/" not in name} <= lost | {
        name[:-4].rpartition("_")[2] for name in (climbing, absolute) if not ranges
    }


@contextmanager
def stops_after(steps: int, left: list[int]) -> Iterator[Any]:
    def advance(_: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt

    yield advance


def test_stopped_by_hand_at_many_places_it_goes_on(
    serve: Any, sample_files: dict[str, bytes], retry_policy: RetryPolicy, tmp_path: Path
) -> None:
    site = serve(sample_files)
    fetch(site, tmp_path / "good", retry_policy, limit=12)
    stopped = 0
    for steps in (0, 1, 2, 5, 9, 14, 20, 1000):
        left = [steps]
        try:
            fetch(site, tmp_path / "raw", retry_policy, limit=12, progress=lambda *_, **__: stops_after(0, left))  # noqa: B023
        except InterruptedRun:
            stopped += 1
    assert stopped >= 5
    assert tree(tmp_path / "raw") == tree(tmp_path / "good")


def test_killed_at_random_moments_a_rerun_gives_the_same_bytes(
    serve: Any, fault: Any, sample_files: dict[str, bytes], retry_policy: RetryPolicy, tmp_path: Path
) -> None:
    site, out = serve(sample_files), tmp_path / "raw"
    fetch(site, tmp_path / "good", retry_policy)
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
    assert tree(out).items() <= tree(tmp_path / "good").items(), "what is there is whole"
    summary = fetch(site, out, retry_policy)
    assert summary.failed == ()
    assert sum(summary.there.values()) > 0
    assert tree(out) == tree(tmp_path / "good")


def test_wrong_requests_leave_nothing_behind(
    serve: Any, fault: Any, sample_files: dict[str, bytes], retry_policy: RetryPolicy, tmp_path: Path
) -> None:
    site, out = serve(sample_files), tmp_path / "raw"
    for how, told in (
        ({"classes": ["Suits"]}, "'Suits'; near it: Suit"),
        ({"splits": ["val"]}, "splits 'val'"),
        ({"splits": []}, "splits ''"),
        ({"partitions": "x"}, "partitions 'x'"),
        ({"limit": 0}, "limit is 0"),
        ({"workers": 0}, "workers is 0"),
    ):
        with pytest.raises(DataError, match=told):
            fetch(site, out, retry_policy, **how)
    with pytest.raises(DataError, match="source url 'ftp://x'"):
        download(out, CLASSES, source_url="ftp://x")
    site.always(fault(status=404))
    with pytest.raises(DownloadError, match=r"class-descriptions-boxable\.csv: status 404"):
        fetch(site, out, retry_policy)
    assert not out.exists()
    out.write_bytes(b"")
    with pytest.raises(DataError, match="is a file"):
        fetch(site, out, retry_policy)


def test_a_class_without_masks_and_a_table_that_is_none(
    serve: Any, sample_files: dict[str, bytes], retry_policy: RetryPolicy, tmp_path: Path
) -> None:
    site = serve(sample_files)
    with pytest.raises(DataError, match="no mask of Tortoise in train, validation"):
        fetch(site, tmp_path / "raw", retry_policy, ["Tortoise"])
    site.files["v5/train-annotations-object-segmentation.csv"] = b"<html>busy</html>"
    with pytest.raises(DownloadError, match="begins with '<html>"):
        fetch(site, tmp_path / "other", retry_policy)


def test_two_at_once_in_one_folder(
    serve: Any, sample_files: dict[str, bytes], retry_policy: RetryPolicy, tmp_path: Path
) -> None:
    site = serve(sample_files)

    def second(_: object) -> None:
        with pytest.raises(DownloadError, match="another download is at work"):
            fetch(site, tmp_path / "raw", retry_policy)

    assert fetch(site, tmp_path / "raw", retry_policy, limit=1, show_plan=second).failed == ()


def test_a_disk_that_is_too_small(
    serve: Any,
    sample_files: dict[str, bytes],
    retry_policy: RetryPolicy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import shutil

    free = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free)
    with pytest.raises(DataError, match=r"only 0\.0 GB are free"):
        fetch(serve(sample_files), tmp_path / "raw", retry_policy)


def test_the_originals_checksum_counts_where_the_photo_is_the_original(
    serve: Any, fault: Any, sample_files: dict[str, bytes], retry_policy: RetryPolicy, tmp_path: Path
) -> None:
    path = next(k for k in sorted(sample_files) if k.startswith("train/"))
    image_id = path[6:-4]
    header = (
        "ImageID,Subset,OriginalURL,OriginalLandingURL,License,AuthorProfileURL,Author,Title,OriginalSize,OriginalMD5"
    )
    listed = "2018_04/train/train-images-boxable-with-rotation.csv"

    def site_with(size: int, md5: str) -> Any:
        row = f'{image_id},train,u,l,c,p,"A, B","two\nlines",{size},{md5}\n'
        return serve(sample_files | {listed: (header + "\n" + row).encode()})

    size = len(sample_files[path])
    wrong = "AAAAAAAAAAAAAAAAAAAAAA=="
    how: dict[str, Any] = {"splits": ["train"], "partitions": "0"}
    assert fetch(site_with(size + 1, wrong), tmp_path / "copy", retry_policy, **how).failed == ()
    summary = fetch(site_with(size, wrong), tmp_path / "raw", retry_policy, **how)
    assert [(f.file, "MD5" in f.reason) for f in summary.failed] == [(f"{image_id}.jpg", True)]
    right = base64.b64encode(hashlib.md5(sample_files[path]).digest()).decode()
    assert fetch(site_with(size, right), tmp_path / "same", retry_policy, **how).failed == ()
