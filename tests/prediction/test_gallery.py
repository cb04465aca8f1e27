"""The gallery of a prediction, read as another program would."""

import json
import re
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import cv2
import numpy as np
import pytest
from decode_gallery import read_gallery, rings
from PIL import Image
from pycocotools import mask as coco_mask

from clothseg.dataset.prelabel_files import LabelFormat, write_prelabels
from clothseg.errors import ClothsegError, InterruptedRun
from clothseg.instances import Instances, Selection
from clothseg.prediction import OutputFormat, PredictOptions, predict_files

from .conftest import NAMES, Picture, find

WITH = PredictOptions(shown=Selection(0.5, {1: 0.65}), gallery=True)


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_the_gallery_has_every_photo_and_what_was_found(photos: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    predict_files(find, NAMES, photos, out, WITH)
    data = read_gallery(out)
    listed = json.loads((out / "images.json").read_text())["images"]
    results = json.loads((out / "predictions.json").read_text())
    assert [row[:3] for row in data["entries"]] == [
        [Path(one["file_name"]).name, one["width"], one["height"]] for one in listed
    ]
    assert data["classes"] == [["Suit", "#1e69d7", 0.65], ["Dress", "#d63214", 0.5]]
    for row, one in zip(data["entries"], listed, strict=True):
        own = [result for result in results if result["image_id"] == one["id"]]
        assert len(row[8]) == len(own) == 3
        for (kind, score, share, _, outlines), result in zip(row[8], own, strict=True):
            mask = coco_mask.decode(result["segmentation"])
            assert (kind + 1, score / 1e4) == (result["category_id"], pytest.approx(result["score"], abs=1e-4))
            assert share == pytest.approx(1e4 * mask.mean(), abs=1)
            height, width = mask.shape
            scale = 1024 / max(height, width)
            drawn = np.zeros((round(height * scale), round(width * scale)), np.uint8)
            cv2.fillPoly(drawn, [ring.astype(np.int32) for ring in rings(outlines)], 1)
            want = cv2.resize(np.ascontiguousarray(mask), drawn.shape[::-1], interpolation=cv2.INTER_NEAREST)
            assert (drawn & want).sum() / (drawn | want).sum() > 0.6  # half a pixel less on each side
        _, _, _, thumbnail, photo, drawn_file, links, text, _ = row
        assert text == f"image_id {one['id']}"
        assert (out / unquote(photo)).resolve() == Path(one["file_name"]).resolve()
        assert (out / unquote(drawn_file)).is_file()
        assert [address for _, address in links] == [drawn_file]
        with Image.open(out / thumbnail) as small:
            assert (small.format, small.size) == ("JPEG", (one["width"], one["height"]))


def test_photos_with_the_same_name_are_told_apart(photos: list[Path], tmp_path: Path) -> None:
    names = ["a/x/photo.png", "b/x/photo.png", "c/photo.png", "only.png"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(photos[0].read_bytes())
    predict_files(find, NAMES, [tmp_path / name for name in names], tmp_path / "out", WITH)
    assert [row[0] for row in read_gallery(tmp_path / "out")["entries"]] == names


def test_the_files_for_labelling_tools_are_listed(photos: list[Path], tmp_path: Path) -> None:
    options = replace(WITH, labels=(LabelFormat.COCO, LabelFormat.LABEL_STUDIO))
    predict_files(find, NAMES, photos[:1], tmp_path / "out", options)
    write_prelabels(tmp_path / "out", options.labels)
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    written = {path.name for path in (tmp_path / "out").glob("*.json")}
    assert {"labels-coco.json", "labels-label-studio.json"} < written
    assert set(re.findall(r'href="([^"]+\.json)"', page)) == written


def test_low_scores_stay_out_unless_the_threshold_is_lower(photos: list[Path], tmp_path: Path) -> None:
    def weak(pictures: Sequence[Picture]) -> list[Instances]:
        found = find(pictures)
        for one in found:
            one.scores[:] *= 0.2  # 0.18, 0.12 and 0.04
        return found

    counts = []
    for number, least in enumerate((0.5, 0.03)):
        out = tmp_path / str(number)
        predict_files(weak, NAMES, photos[:1], out, PredictOptions(shown=Selection(least), gallery=True))
        counts.append(len(read_gallery(out)["entries"][0][8]))
    assert counts == [2, 3]


def test_the_gallery_adds_only_its_files(photos: list[Path], tmp_path: Path) -> None:
    with_it, without = tmp_path / "with", tmp_path / "without"
    formats = frozenset({OutputFormat.CLASS_MAPS})
    predict_files(find, NAMES, photos, with_it, PredictOptions(formats, gallery=True))
    predict_files(find, NAMES, photos, without, PredictOptions(formats))
    both, less = files_in(with_it), files_in(without)
    own = {name for name in both if name == "index.html" or name.startswith("gallery/")}
    assert {name: both[name] for name in both if name not in own} == less
    assert len(own) == 2 + 5
    assert [text for text, _ in read_gallery(with_it)["entries"][0][6]] == ["Class map"]


@pytest.mark.parametrize("batch", [1, 2])
def test_an_interrupted_gallery_ends_with_the_same_bytes(photos: list[Path], tmp_path: Path, batch: int) -> None:
    options = PredictOptions(shown=WITH.shown, batch=batch, gallery=True)
    calls = 0

    def stopping(pictures: Sequence[Picture]) -> list[Instances]:
        nonlocal calls
        calls += 1
        if calls == 2:
            signal.raise_signal(signal.SIGTERM)
        return find(pictures)

    predict_files(find, NAMES, photos, tmp_path / "whole", options)
    with pytest.raises(InterruptedRun):
        predict_files(stopping, NAMES, photos, tmp_path / "out", options)
    assert 0 < len(read_gallery(tmp_path / "out")["entries"]) < 5
    predict_files(find, NAMES, photos, tmp_path / "out", options)
    assert files_in(tmp_path / "out") == files_in(tmp_path / "whole")


def test_a_new_prediction_replaces_the_gallery(photos: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    predict_files(find, NAMES, photos, out, WITH)
    predict_files(find, NAMES, photos[:1], out, WITH, overwrite=True)
    assert sorted(p.name for p in (out / "gallery").iterdir()) == ["0001-photo0.jpg", "data.js"]
    predict_files(find, NAMES, photos[:1], out, PredictOptions(), overwrite=True)
    assert not (out / "gallery").exists()
    assert not (out / "index.html").exists()


def test_a_page_of_something_else_is_not_replaced(photos: list[Path], tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("mine")
    with pytest.raises(ClothsegError, match="no gallery of clothseg"):
        predict_files(find, NAMES, photos, tmp_path / "site", WITH, overwrite=True)
    assert files_in(tmp_path / "site") == {"index.html": b"mine"}
