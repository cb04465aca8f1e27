"""The page from a run folder: whole, self-contained, and with a word on what is missing."""

import csv
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clothseg.config import Config
from clothseg.errors import DataError, RunError
from clothseg.evaluation import evaluate_coco
from clothseg.instances import encode, mask_area, tight_box
from clothseg.report import write_report

Tree = dict[str, Any]
NAMES = ["Suit", "Dress", "<b>Jeans & more</b>"]
LOSSES = ("total", "rpn_class", "rpn_bbox", "class", "bbox", "mask")
ALLOWED = ("data:", "#")


class Page(HTMLParser):
    """Tags with their attributes, all text, and that every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def sources(self) -> list[str]:
        return [value or "" for _, attrs in self.tags for key, value in attrs.items() if key in ("src", "href")]

    def ids(self) -> set[str | None]:
        return {attrs["id"] for _, attrs in self.tags if "id" in attrs}


def make_split(data: Path, split: str, photos: int, rng: np.random.Generator) -> Tree:
    annotations: list[Tree] = []
    images: list[Tree] = []
    for photo in range(photos):
        height, width = int(rng.integers(60, 120)), int(rng.integers(60, 120))
        name = f"{split}-{photo}.png"
        Image.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8)).save(data / "images" / name)
        images.append({"id": photo, "file_name": name, "height": height, "width": width})
        mask = np.zeros((height, width), dtype=bool)
        mask[10:50, 8:40] = True
        rle = encode(mask)
        annotation = {"image_id": photo, "category_id": photo % 3 + 1, "segmentation": rle, "area": mask_area(rle)}
        annotations.append(annotation | {"id": photo, "bbox": list(tight_box(rle)), "iscrowd": int(photo == 6)})
    categories = [{"id": i, "name": name} for i, name in enumerate(NAMES, 1)]
    tree = {"images": images, "annotations": annotations, "categories": categories}
    (data / "annotations" / f"{split}.json").write_text(json.dumps(tree))
    return tree


@pytest.fixture
def data(tmp_path: Path) -> Path:
    data = tmp_path / "clothes data"
    for folder in ("images", "annotations"):
        (data / folder).mkdir(parents=True)
    make_split(data, "train", 9, np.random.default_rng(0))
    make_split(data, "val", 16, np.random.default_rng(1))
    (data / "dataset.yaml").write_text("source: </pre><script>alert(1)</script>\n")
    return data


@pytest.fixture
def run(tmp_path: Path, data: Path) -> Path:
    run = tmp_path / "first run"
    run.mkdir()
    truth = json.loads((data / "annotations" / "val.json").read_text())
    found = [a | {"score": 0.9 if a["category_id"] > 1 else 0.2} for a in truth["annotations"]]
    found[0] |= {"category_id": 2}
    (run / "predictions.json").write_text(json.dumps(found))
    (run / "metrics.json").write_text(evaluate_coco(truth, found, resamples=50).to_json())
    (run / "metrics-initial.json").write_text(evaluate_coco(truth, [], resamples=0).to_json())
    (run / "config.yaml").write_text(Config().to_yaml())
    columns = [f"{split}_{loss}" for split in ("train", "val") for loss in LOSSES]
    with (run / "history.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", "step", "learning_rate", "seconds", *columns])
        writer.writerow([1, 20, 0.001, 3.2, *[1.0] * 6, *[""] * 6])
        writer.writerow([2, 40, 0.001, 3.2, *[0.5] * 6, *["nan"] * 6])
    facts = {
        "classes": NAMES,
        "device": "cpu",
        "weights": "ImageNet",
        "parameters": {"total": 1234567, "trained": 1000},
        "frozen": "the stem",
        "steps": 40,
        "photos": {"train": 9, "val": 16},
        "timings": {"train": 231.0, "evaluate": 4.25},
        "versions": {"clothseg": "9.8.7"},
    }
    (run / "run.json").write_text(json.dumps(facts))
    return run


def test_the_page_is_whole_and_needs_nothing_from_outside(run: Path, data: Path) -> None:
    path = write_report(run, data)
    assert path == run / "report.html"
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert page.sources()
    assert all(source.startswith(ALLOWED) for source in page.sources())
    assert not {"script", "link", "iframe", "b>jeans"} & {tag for tag, _ in page.tags}
    assert "url(" not in text.split("</style>")[0]
    assert "@import" not in text
    assert len(text.encode()) < 3_000_000
    assert page.ids() >= {"result", "predictions", "figures", "curves", "samples", "data", "network", "timings"}
    assert page.ids() >= {"thresholds", "mistakes", "report-map", "inputs"}
    assert {source[1:] for source in page.sources() if source.startswith("#")} <= page.ids()
    assert "missing" not in page.ids()


def test_the_page_says_what_the_files_say(run: Path, data: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    text = Page(write_report(run, data).read_text(encoding="utf-8")).text
    interval = metrics["intervals"]["mask_AP50"]
    for fraction in (metrics["overall"]["mask_AP50"], metrics["overall"]["box_AP"], interval["low"], interval["high"]):
        assert f"{100 * fraction:.1f}" in text
    for words in ("3 min 51 s", "1,234,567", "9.8.7", "the stem", "ImageNet", "score of 0.5", "12 of 16", "16"):
        assert words in text
    assert "Weakest class: Suit" in text
    assert "the jacket alone" in text
    assert NAMES[2] in text


def test_mistakes_are_shown_with_what_is_wrong(run: Path, data: Path) -> None:
    found = json.loads((run / "predictions.json").read_text())
    (run / "predictions.json").write_text(json.dumps(found[:-1]))  # nothing is found on the last photo, a Suit
    text = Page(write_report(run, data).read_text(encoding="utf-8")).text
    assert "Dress 0.20, but it is Suit; overlap 100 %" in text  # planted in the fixture
    assert text.count("Suit, not found") == 1
    assert "None with such a score: " in text


def test_anchors_and_time_as_the_run_says_them(run: Path, data: Path) -> None:
    facts = json.loads((run / "run.json").read_text())
    facts["timings"]["all together"] = 300.0
    facts["anchors"] = {"reach": {"0.5": 0.973, "0.7": 0.61}, "suggested_scales": [[32.0], [64.0]]}
    (run / "run.json").write_text(json.dumps(facts))
    text = Page(write_report(run, data).read_text(encoding="utf-8")).text
    assert "the anchors reach 97.3 % at an overlap of 0.5 and 61.0 % at an overlap of 0.7" in text
    assert "network.anchors.scales = [[32.0], [64.0]]" in text
    assert "5 min 00 s" in text  # the whole, not the sum of the whole and its parts


def test_a_configuration_of_another_version_leaves_out_the_grid_alone(run: Path, data: Path) -> None:
    (run / "config.yaml").write_text("unheard_of: 3\n")
    page = Page(write_report(run, data).read_text(encoding="utf-8"))
    assert "inputs" not in page.ids()
    assert "samples" in page.ids()


def test_a_judgement_is_shown_where_the_metrics_have_one(run: Path, data: Path) -> None:
    tree = json.loads((run / "metrics.json").read_text())
    text = Page(write_report(run, data).read_text(encoding="utf-8")).text
    assert f"report_mAP {100 * tree['overall']['report_mAP']:.1f}" in text
    assert f"{100 * tree['threshold']['f1']:.1f}" in text
    old = {key: tree[key] for key in ("overall", "classes", "photos", "detections", "intervals", "notes")}
    old["overall"] = {name: value for name, value in old["overall"].items() if name.startswith(("mask_", "box_"))}
    (run / "metrics.json").write_text(json.dumps(old))
    page = Page(write_report(run, data).read_text(encoding="utf-8"))
    assert not {"thresholds", "mistakes", "report-map"} & page.ids()
    assert "figures" in page.ids()


def test_pictures_can_be_decoded_and_pairs_run_from_best_to_worst(run: Path, data: Path) -> None:
    import base64
    import io
    import re

    text = write_report(run, data).read_text(encoding="utf-8")
    photos = re.findall(r'src="data:image/webp;base64,([^"]+)" width="(\d+)" height="(\d+)"', text)
    examples = text.count('alt="class: ') + text.count('alt="missed: ')
    assert len(photos) == 12 * 2 + examples + 9 + 3 * 4
    for content, width, height in photos:
        with Image.open(io.BytesIO(base64.b64decode(content))) as picture:
            assert picture.size == (int(width), int(height))
    shares = [int(s) for s in re.findall(r"(\d+) % agreement", text)]
    assert shares == sorted(shares, reverse=True)
    assert (shares[0], shares[-1]) == (100, 0)
    assert text.count("data:image/svg+xml;base64,") == 6


@pytest.mark.parametrize(
    ("lost", "command"),
    [
        (["metrics.json"], "clothseg evaluate"),
        (["predictions.json"], "clothseg evaluate"),
        (["history.csv", "config.yaml"], "clothseg fit"),
        (["run.json", "metrics-initial.json"], ""),
        (["run.json", "metrics.json", "predictions.json", "history.csv", "config.yaml"], "clothseg evaluate"),
    ],
)
def test_what_is_missing_is_said_with_the_command(run: Path, data: Path, lost: list[str], command: str) -> None:
    for name in lost:
        (run / name).unlink()
    page = Page(write_report(run, data).read_text(encoding="utf-8"))
    assert ("missing" in page.ids()) == bool(command)
    assert command in page.text


def test_without_data_set_photos_or_detections_a_page_still_comes(run: Path, data: Path, tmp_path: Path) -> None:
    assert "clothseg dataset build" in Page(write_report(run, tmp_path / "nowhere").read_text(encoding="utf-8")).text
    (run / "predictions.json").write_text("[]")
    write_report(run, data)
    for photo in (data / "images").iterdir():
        photo.unlink()
    assert "cannot be read" in Page(write_report(run, data).read_text(encoding="utf-8")).text
    (data / "annotations" / "val.json").write_text(json.dumps({"images": [], "annotations": [], "categories": []}))
    write_report(run, data)


def test_metrics_without_any_value_have_no_headline(run: Path, data: Path) -> None:
    truth = json.loads((data / "annotations" / "val.json").read_text()) | {"annotations": []}
    (run / "metrics.json").write_text(evaluate_coco(truth, []).to_json())
    assert "result" not in Page(write_report(run, data).read_text(encoding="utf-8")).ids()


def test_the_same_files_give_the_same_page(run: Path, data: Path) -> None:
    assert write_report(run, data).read_bytes() == write_report(run, data).read_bytes()


@pytest.mark.parametrize("name", ["metrics.json", "run.json", "predictions.json"])
def test_a_broken_file_is_named(run: Path, data: Path, name: str) -> None:
    (run / name).write_text("3")
    with pytest.raises(RunError, match=name):
        write_report(run, data)


def test_what_is_no_run_or_no_data_set_is_refused(run: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no such run"):
        write_report(tmp_path / "absent", data)
    (data / "annotations" / "val.json").write_text("{}")
    with pytest.raises(DataError, match=r"val\.json"):
        write_report(run, data)
