"""Masks from remote zips: hostile and broken archives."""

import csv
import io
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from clothseg import sample
from clothseg.openimages import BuildOptions, build_dataset


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
def test_hostile_and_broken_archives_are_reported(
    serve: Any, sample_files: dict[str, bytes], fetch: Any, tree: Any, classes: list[str], tmp_path: Path, ranges: bool
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
    summary = fetch(site, tmp_path / "deep" / "raw", **how)
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
    again = fetch(site, tmp_path / "deep" / "raw", **how)
    assert {f.file: f.reason for f in again.failed} == told
    assert again.fetched == {"tables": 0, "masks": 0, "photos": 0}
    if not ranges:  # whole zips that are there are not fetched again: the server has no others
        assert {line[1] for p in "01" for line in site.asked(f"train-masks-{p}.zip")} == {"bytes=0-0"}
    dropped = build_dataset(
        tmp_path / "deep" / "raw", tmp_path / "out", classes, BuildOptions(partitions="0-2", val_fraction=0.2)
    )
    lost = {d.box_id for d in dropped.failed}
    assert {name[:-4].rpartition("_")[2] for name in expected if "/" not in name} <= lost | {
        name[:-4].rpartition("_")[2] for name in (climbing, absolute) if not ranges
    }
