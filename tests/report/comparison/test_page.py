"""The page that compares networks: complete, self-contained, and with the numbers of the comparison."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clothseg.config import Config
from clothseg.evaluation import evaluate_coco
from clothseg.instances import encode, tight_box
from clothseg.report import compare_networks
from clothseg.report.comparison.photos import ShownSide, photo_rows
from clothseg.report.reading import to_instances
from clothseg.runs import RunFolder

from ..conftest import NAMES
from ..test_page import Page

NETWORKS = {"mask_rcnn": "Mask R-CNN", "yolact": "YOLACT", "deeplab": "DeepLab"}


def moved(row: dict[str, Any], pixels: int) -> dict[str, Any]:
    """The object with its mask moved to the right."""
    from clothseg.instances import decode

    rle = encode(np.roll(decode(row["segmentation"]), pixels, axis=1))
    return row | {"segmentation": rle, "bbox": list(tight_box(rle)), "score": 0.9}


@pytest.fixture
def runs(tmp_path: Path, data: Path, run: Path) -> list[Path]:
    """Three evaluated runs of three networks: the first finds all, the second a little aside, the third half of it."""
    truth = json.loads((data / "annotations/val.json").read_text())
    places = []
    for number, network in enumerate(NETWORKS):
        place = tmp_path / f"run of {network}"
        shutil.copytree(run, place)
        found = [moved(a, 5 * number) for a in truth["annotations"][:: 1 + number // 2]]
        (place / "predictions.json").write_text(json.dumps(found))
        (place / "metrics.json").write_text(evaluate_coco(truth, found, resamples=0).to_json())
        (place / "config.yaml").write_text(Config.for_network(network).to_yaml())
        (place / "weights.safetensors").write_bytes(bytes(3_000_000))
        places.append(place)
    return places


def test_the_page_is_complete_and_self_contained(runs: list[Path], data: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    found = compare_networks(runs, out, data, resamples=50, speed=False)
    text = out.read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert all(source.startswith(("data:", "#")) for source in page.sources())
    assert not {"script", "link", "iframe", "b>jeans"} & {tag for tag, _ in page.tags}
    assert "http" not in text.replace('http-equiv="', "")
    assert "url(" not in text.split("</style>")[0]
    assert "@import" not in text
    assert page.ids() >= {
        "result",
        "metrics",
        "caution",
        "differences",
        "classes",
        "cost",
        "photos",
        "curves",
        "sources",
    }
    assert {source[1:] for source in page.sources() if source.startswith("#")} <= page.ids()
    assert all(attrs.get("alt") for tag, attrs in page.tags if tag == "img")
    for title in NETWORKS.values():
        assert page.text.count(title) > 5
    assert all(name in page.text for name in NAMES)
    assert len(text.encode()) < 5_000_000
    for side in found.sides:
        for metric in ("mask_AP", "mask_AP75", "boundary_AP", "report_mAP", "semantic_mIoU"):
            assert f"{100 * (side.overall[metric] or 0):.1f}" in page.text
            interval = side.intervals[metric]
            assert f"{100 * interval.low:.1f} to {100 * interval.high:.1f}" in page.text
    change = found.pair("Mask R-CNN", "YOLACT").differences["mask_AP"].change
    assert change < 0
    assert f"−{-100 * change:.1f}" in page.text
    for words in (*found.verdict, "1.2 million", "3 MB", "3 min 51 s", "The speed was not measured"):
        assert words in page.text, words


def test_every_photo_is_shown_with_the_truth_and_all_networks(runs: list[Path], data: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    compare_networks(runs, out, data, resamples=20, speed=False)
    text = out.read_text(encoding="utf-8")
    images = [attrs["alt"] or "" for tag, attrs in Page(text).tags if tag == "img"]
    photos = [alt for alt in images if alt.startswith(("Ground truth", *NETWORKS.values()))]
    assert len(photos) % 4 == 0
    for start in range(0, len(photos), 4):
        assert [alt.split(":")[0] for alt in photos[start : start + 4]] == [
            "Ground truth", "Mask R-CNN found", "YOLACT found", "DeepLab found",
        ]  # fmt: skip
    for reason in ("they disagree most", "best of Mask R-CNN", "worst of DeepLab"):
        assert reason in text


def test_what_pixel_labels_mean_for_ap_is_explained_only_where_a_network_has_them(
    runs: list[Path], data: Path, tmp_path: Path
) -> None:
    for chosen, explained in ((runs[:2], False), (runs[1:], True)):
        out = tmp_path / f"{explained}.html"
        compare_networks(chosen, out, data, resamples=20, speed=False)
        page = Page(out.read_text(encoding="utf-8"))
        assert ("Why AP is hard on a network that labels pixels" in page.text) == explained
        assert ("caution" in page.ids()) == explained


def test_no_photo_is_the_best_of_a_side_that_finds_nothing_or_the_worst_of_one_that_finds_all(data: Path) -> None:
    from clothseg.evaluation.truth import read_truth

    truth = read_truth(data / "annotations/val.json")
    everything = ShownSide("everything", [moved(dict(a), 0) for a in truth.annotations], 0.5)  # type: ignore[misc]
    shown, _ = photo_rows(truth, [ShownSide("nothing", [], 0.5), everything], data / "images", ends=2)
    reasons = {reason for row in shown for reason in row.reasons}
    assert reasons == {"they disagree most", "worst of nothing", "best of everything"}


def test_photos_are_chosen_by_their_agreement(data: Path) -> None:
    """Photo 3 is found by the first side only, photo 5 by none; all others by both."""
    from clothseg.evaluation.truth import read_truth

    truth = read_truth(data / "annotations/val.json")
    rows = [moved(dict(a), 0) for a in truth.annotations]
    first = ShownSide("first", [r for r in rows if r["image_id"] != 5], 0.5)  # type: ignore[misc]
    second = ShownSide("second", [r for r in rows if r["image_id"] not in (3, 5)], 0.5)  # type: ignore[misc]
    shown, unread = photo_rows(truth, [first, second], data / "images", ends=1, disagreements=2)
    assert unread == []
    reasons = {row.name: row.reasons for row in shown}
    assert reasons["val-3.png"][0] == "they disagree most"
    assert "worst of first" in reasons["val-5.png"]
    assert shown[0].name == "val-3.png"
    assert [agreement for _, _, agreement in shown[0].found] == [1.0, 0.0]
    assert to_instances(truth.by_photo[3], truth.images[3]).classes.tolist() == [1]


def test_a_results_file_and_a_run_without_history_are_said_to_lack_something(
    runs: list[Path], data: Path, tmp_path: Path
) -> None:
    theirs = tmp_path / "theirs.json"
    shutil.copy(runs[2] / "predictions.json", theirs)
    RunFolder(runs[0]).history.unlink()
    out = tmp_path / "page.html"
    compare_networks([*runs[:2], theirs], out, data, resamples=20, speed=False)
    page = Page(out.read_text(encoding="utf-8"))
    assert "Nothing but results is known of theirs: no speed, no parameters." in page.text
    assert "Loss total of YOLACT" in str(page.tags)
    assert "Loss total of Mask R-CNN" not in str(page.tags)


def test_boxes_alone_have_a_page_without_photos(runs: list[Path], data: Path, tmp_path: Path) -> None:
    rows = json.loads((runs[0] / "predictions.json").read_text())
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps([{k: v for k, v in row.items() if k != "segmentation"} for row in rows]))
    out = tmp_path / "page.html"
    compare_networks([boxes, *runs[1:]], out, data, resamples=20, speed=False)
    page = Page(out.read_text(encoding="utf-8"))
    assert "so boxes are compared" in page.text
    assert "photos" not in page.ids()


def test_several_seeds_are_one_row_with_all_their_runs(runs: list[Path], data: Path, tmp_path: Path) -> None:
    again = tmp_path / "another seed"
    shutil.copytree(runs[0], again)
    config = Config.load(again / "config.yaml").changed("train", seed=7)
    (again / "config.yaml").write_text(config.to_yaml())
    out = tmp_path / "page.html"
    found = compare_networks([*runs, again], out, data, resamples=20, speed=False)
    assert [len(side.sources) for side in found.sides] == [2, 1, 1]
    page = Page(out.read_text(encoding="utf-8"))
    assert "another seed" in page.text
    assert "3 min 51 s each" in page.text
    assert "and other training seeds" in page.text
