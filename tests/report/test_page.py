"""The page from a run's folder: complete, self-contained, and with a command for each missing part."""

import base64
import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from clothseg.errors import DataError, RunError
from clothseg.evaluation import evaluate_coco
from clothseg.networks.layers.anchor_coverage import AnchorCoverage
from clothseg.pictures import loss_curve
from clothseg.report import write_report

from .conftest import NAMES

ALLOWED = ("data:", "#")


class Page(HTMLParser):
    """Collects tags with their attributes and the text; every tag must be closed."""

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


def test_the_page_is_complete_and_self_contained(run: Path, data: Path) -> None:
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
    assert page.ids() >= {
        "result",
        "predictions",
        "average-precision",
        "curves",
        "samples",
        "data",
        "network",
        "timings",
    }
    assert page.ids() >= {"thresholds", "errors", "confusion", "report-map", "inputs"}
    assert {source[1:] for source in page.sources() if source.startswith("#")} <= page.ids()
    assert "missing" not in page.ids()


def test_the_page_has_the_values_of_the_files(run: Path, data: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    text = Page(write_report(run, data).read_text(encoding="utf-8")).text
    interval = metrics["intervals"]["mask_AP50"]
    for fraction in (metrics["overall"]["mask_AP50"], metrics["overall"]["box_AP"], interval["low"], interval["high"]):
        assert f"{100 * fraction:.1f}" in text
    for words in ("3 min 51 s", "1,234,567", "9.8.7", "the stem", "ImageNet", "score of 0.5", "12 of 16", "16"):
        assert words in text
    assert "Weakest class: Suit" in text
    assert NAMES[2] in text


def test_errors_are_shown_with_what_is_wrong(run: Path, data: Path) -> None:
    found = json.loads((run / "predictions.json").read_text())
    (run / "predictions.json").write_text(json.dumps(found[:-1]))  # the last photo has a Suit
    text = Page(write_report(run, data).read_text(encoding="utf-8")).text
    assert "Dress 0.20, but it is Suit; IoU 100 %" in text  # planted in the fixture
    assert text.count("Suit, not found") == 1
    assert "No examples with such a score: " in text


def test_anchors_and_total_time_come_from_the_run(run: Path, data: Path) -> None:
    facts = json.loads((run / "run.json").read_text())
    facts["timings"]["all together"] = 300.0
    scales = ((32.0,), (64.0,))
    covered = AnchorCoverage(812, {0.5: 0.873, 0.7: 0.61}, ((8.0,), (16.0,)), scales, {0.5: 0.99, 0.7: 0.8})
    facts["anchors"] = covered.facts()
    (run / "run.json").write_text(json.dumps(facts))
    text = Page(write_report(run, data).read_text(encoding="utf-8")).text
    assert "The anchors cover 87.3 % (IoU 0.5) and 61.0 % (IoU 0.7) of the 812 training boxes." in text
    assert (
        "Other scales cover more, 99.0 % (IoU 0.5) and 80.0 % (IoU 0.7): network.anchors.scales = [[32.0], [64.0]]."
        in text
    )
    assert "5 min 00 s" in text  # the total, not the sum of the total and its parts


def test_what_was_decided_about_edges_is_said(run: Path, data: Path) -> None:
    facts = json.loads((run / "run.json").read_text())
    facts["edges"] = "edges of masks move to the photo's: mask AP on 3 validation photos 20.0 as drawn, 30.0 moved"
    (run / "run.json").write_text(json.dumps(facts))
    text = Page(write_report(str(run), str(data)).read_text(encoding="utf-8")).text
    assert "Edges of masks move to the photo's: mask AP on 3 validation photos 20.0 as drawn, 30.0 moved." in text


def test_a_configuration_of_another_version_leaves_out_only_the_inputs(run: Path, data: Path) -> None:
    (run / "config.yaml").write_text("unheard_of: 3\n")
    page = Page(write_report(run, data).read_text(encoding="utf-8"))
    assert "inputs" not in page.ids()
    assert "samples" in page.ids()


def test_values_that_metrics_do_not_have_are_left_out(run: Path, data: Path) -> None:
    tree = json.loads((run / "metrics.json").read_text())
    text = Page(write_report(run, data).read_text(encoding="utf-8")).text
    assert f"report_mAP {100 * tree['overall']['report_mAP']:.1f}" in text
    assert f"{100 * tree['threshold']['f1']:.1f}" in text
    old = {key: tree[key] for key in ("overall", "classes", "photos", "detections", "intervals", "notes")}
    old["overall"] = {name: value for name, value in old["overall"].items() if name.startswith(("mask_", "box_"))}
    (run / "metrics.json").write_text(json.dumps(old))
    page = Page(write_report(run, data).read_text(encoding="utf-8"))
    assert not {"thresholds", "errors", "confusion", "report-map"} & page.ids()
    assert "average-precision" in page.ids()


def test_pictures_can_be_decoded_and_pairs_are_sorted_from_best_to_worst(run: Path, data: Path) -> None:
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
def test_missing_parts_are_named_with_their_command(run: Path, data: Path, lost: list[str], command: str) -> None:
    for name in lost:
        (run / name).unlink()
    page = Page(write_report(run, data).read_text(encoding="utf-8"))
    assert ("missing" in page.ids()) == bool(command)
    assert command in page.text


def test_the_page_works_without_dataset_photos_or_detections(run: Path, data: Path, tmp_path: Path) -> None:
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


def test_a_folder_without_a_run_or_a_broken_dataset_is_refused(run: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no such run"):
        write_report(tmp_path / "absent", data)
    (data / "annotations" / "val.json").write_text("{}")
    with pytest.raises(DataError, match=r"val\.json"):
        write_report(run, data)


def test_a_network_without_anchors_and_with_other_losses_has_a_page(run: Path, data: Path) -> None:
    (run / "history.csv").write_text("epoch,train_total,train_dice,val_total,val_dice\n1,2.0,0.5,2.5,0.6\n")
    text = write_report(run, data).read_text(encoding="utf-8")
    assert "anchors" not in Page(text).ids()
    assert re.findall(r'alt="Loss (\w+) over epochs', text) == ["total", "dice"]


def write_results(run: Path, data: Path, scores: list[float], category: int = 0) -> str:
    """Gives the run one detection for each score, right ones unless `category` is given; returns the page."""
    truth = json.loads((data / "annotations" / "val.json").read_text())
    found = [a | {"score": score} for a, score in zip(truth["annotations"], scores, strict=False)]
    for row in found if category else []:
        row["category_id"] = row["category_id"] % 3 + 1
    (run / "predictions.json").write_text(json.dumps(found))
    (run / "metrics.json").write_text(evaluate_coco(truth, found, resamples=0).to_json())
    return Page(write_report(run, data).read_text(encoding="utf-8")).text


def test_a_network_that_found_nothing_is_said_so(run: Path, data: Path) -> None:
    assert "The network found nothing on the 16 validation photos" in write_results(run, data, [])
    text = write_results(run, data, [0.2, 0.31])
    assert "has a score of 0.5 or more; the highest is 0.31" in text
    assert "--overfit-one-image" in text
    assert "`" not in text
    assert "None of the 3 detections" in write_results(run, data, [0.9, 0.9, 0.9], category=1)
    text = write_results(run, data, [0.9, 0.9])
    assert "found nothing" not in text
    assert "--overfit-one-image" not in text


def test_the_curves_of_many_classes_are_folded(run: Path, data: Path) -> None:
    """200 of them, one below the other, made a page of 100,000 pixels on a phone."""
    tree = json.loads((run / "metrics.json").read_text())
    few = write_report(run, data).read_text()
    assert few.count("Precision over recall of") == len(tree["curves"])
    assert "more classes</summary>" not in few
    tree["curves"] |= {f"kind {n}": tree["curves"]["Dress"] for n in range(40)}
    (run / "metrics.json").write_text(json.dumps(tree))
    text = write_report(run, data).read_text()
    Page(text)
    before, folded = text.split("<summary>Curves of ")
    assert before.count("Precision over recall of") == 12
    assert folded.startswith(f"{len(tree['curves']) - 12} more classes</summary>")
    assert folded.split("</details>")[0].count("Precision over recall of") == len(tree["curves"]) - 12


def test_curves_mark_overfitting_as_curves_png_does(run: Path, data: Path) -> None:
    """The mask loss rises on the validation photos from epoch 3 on, while it falls on the training photos."""
    losses = ("total", "mask")
    lines = [
        "epoch,step,learning_rate,seconds," + ",".join(f"{split}_{n}" for split in ("train", "val") for n in losses)
    ]
    for epoch, val in enumerate((2.0, 1.0, 1.1, 1.2, 1.3, 1.4), start=1):
        lines.append(f"{epoch},{epoch},0.1,1.0,{3 - epoch / 10},{2 - epoch / 10},{val},{val}")
    (run / "history.csv").write_text("\n".join(lines) + "\n")
    page = Page(write_report(run, data).read_text(encoding="utf-8"))
    alts = [attrs.get("alt") or "" for tag, attrs in page.tags if tag == "img"]
    assert "Loss mask over epochs, train and validation; it overfits from epoch 3 on" in alts
    source = next(attrs["src"] for tag, attrs in page.tags if (attrs.get("alt") or "").startswith("Loss mask")) or ""
    marked = base64.b64decode(source.split(",")[1])
    rows = read_rows(run)
    assert marked == loss_curve(rows, "mask", mark=3)
    assert marked != loss_curve(rows, "mask")


def read_rows(run: Path) -> list[dict[str, str]]:
    with (run / "history.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
