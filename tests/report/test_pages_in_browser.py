"""Every HTML page in a browser: on a phone and a screen nothing scrolls sideways, fails or asks the network."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
from accessibility import faults
from browser import WIDTHS, chromium, find_chromium, look_at

from clothseg.cli import main
from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset
from clothseg.evaluation import truth_of
from clothseg.models import MaskRCNN
from clothseg.networks import Network
from clothseg.report import compare_networks, evaluate_run, write_report
from clothseg.report.learning_curve import make_curve
from clothseg.report.learning_curve_page import write_learning_curve_page
from clothseg.runs import RunFolder

from .test_calibrate import guesses
from .test_evaluate_run import TINY

LONG = "Schlüsselanhängerbefestigungsvorrichtungsträger_und_noch_viel_mehr_ohne_ein_Leerzeichen" * 2


@pytest.fixture
def harsh(data: Path) -> Path:
    """The dataset with long names of a class and of photos, and with faults for the doctor."""
    for split in ("train", "val"):
        path = data / "annotations" / f"{split}.json"
        tree = json.loads(path.read_text())
        tree["categories"][1]["name"] = LONG
        for image in tree["images"][:4]:
            name = f"{LONG}{image['id']}-{split}.png"
            (data / "images" / image["file_name"]).rename(data / "images" / name)
            image["file_name"] = name
        tree["annotations"][0]["bbox"] = [0, 0, 5, 5]
        path.write_text(json.dumps(tree))
    return data


def command(monkeypatch: pytest.MonkeyPatch, *words: object) -> None:
    monkeypatch.setattr("sys.argv", ["clothseg", *map(str, words)])
    with pytest.raises(SystemExit):
        main()


def test_pages_fit_a_phone_and_a_screen_and_load_nothing(
    data: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_chromium()
    write_report(run, data)
    _assert_good([*_others(data, tmp_path, monkeypatch), run / "report.html"], tmp_path)


def test_long_names_do_not_widen_the_pages(
    run: Path, harsh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_chromium()
    for name in ("metrics.json", "metrics-initial.json"):
        text = (run / name).read_text()
        (run / name).write_text(text.replace('"Dress"', json.dumps(LONG)))
    facts = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(facts | {"weights": LONG, "device": LONG}))
    write_report(run, harsh)
    _assert_good([*_others(harsh, tmp_path, monkeypatch), run / "report.html"], tmp_path)


def test_pages_of_several_runs_and_a_calibrated_one(
    harsh: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A comparison, a learning curve, and a report with the sections on calibration, review and unlabelled photos."""
    find_chromium()
    report = _calibrated(harsh, run, tmp_path, monkeypatch)
    shutil.copytree(report.path, tmp_path / LONG)
    compared = tmp_path / "comparison.html"
    compare_networks([report.path, tmp_path / LONG], compared, harsh, resamples=50, speed=False)
    _learning_curve(harsh, tmp_path)
    text = report.report.read_text()
    for section in ("reliability", "unlabelled", "review"):
        assert f'id="{section}"' in text
    _assert_good([report.report, compared, tmp_path / "learning-curve.html"], tmp_path)


def _calibrated(data: Path, run: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A run that was calibrated, and that learned from photos without labels."""
    made = RunFolder(folder / "calibrated run")
    shutil.copytree(run, made.path)
    for old in made.path.glob("metrics*.json"):
        old.unlink()
    config = Config.load("demo", TINY)
    classes = CocoLikeDataset().load_data(data, "val").prepare().classes
    MaskRCNN(config).build(classes).save(made.weights)
    made.config.write_text(config.to_yaml())
    truth = json.loads((data / "annotations" / "train.json").read_text())
    told = {"photos": 4, "masks": 4, "boxes": 1, "ignored": 2, "sure_scores": dict.fromkeys(classes, 0.55)}
    photos = [image | {"file_name": str(data / "images" / image["file_name"])} for image in truth["images"]]
    labels = {"info": {"rounds": [{"epoch": 1, **told}, {"epoch": 2, **told}]}, "images": photos,
              "annotations": [row | {"id": row["id"] + 1, "score": 0.87} for row in truth["annotations"]],
              "categories": truth["categories"]}  # fmt: skip
    made.pseudo_labels.write_text(json.dumps(labels))
    monkeypatch.setattr(Network, "detect", guesses)
    evaluate_run(made.path, data, calibrate=True)
    write_report(made.path, data)
    return made


def _learning_curve(data: Path, folder: Path) -> None:
    """The page of a curve that rises."""
    val = CocoLikeDataset().load_data(data, "val").prepare()
    truth = truth_of(val)
    found = [dict(row) | {"score": 0.8} for row in truth.annotations if not row["iscrowd"]]
    rows = [found[:count] for count in (4, 8, 12)]
    curve = make_curve(truth, rows, [val.only(range(count)) for count in (2, 4, 8)], 40)  # type: ignore[arg-type]
    write_learning_curve_page(curve.metric, asdict(curve), curve.sentence(), folder)


def _others(data: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The pages of `dataset check` and `dataset show`."""
    command(monkeypatch, "dataset", "check", data, "--out", folder / "check.html", "--quiet")
    command(monkeypatch, "dataset", "show", data, "--out", folder / "look", "--augment", "demo", "--quiet")
    return [folder / "check.html", folder / "look" / "index.html"]


def _assert_good(pages: list[Path], folder: Path) -> None:
    (folder / "browser").mkdir()
    views, console = look_at(pages, folder / "browser")
    assert sorted((view.page, view.width) for view in views) == sorted(
        (page.absolute().as_uri(), width) for page in pages for width in WIDTHS
    )
    assert console == []
    for view in views:
        assert view.needed <= view.width, f"{view.page} scrolls at {view.width} pixels: {view.wide}"
        assert view.text > 200
        assert view.pictures == [], view.page
        assert [name for name in view.requests if not name.startswith(("file:", "data:"))] == []
    _assert_for_everybody(pages)


def _assert_for_everybody(pages: list[Path]) -> None:
    """Contrast, headings and names, in the light and the dark theme."""
    with chromium() as browser:
        for theme in ("light", "dark"):
            page = browser.new_context(color_scheme=theme).new_page()
            for path in pages:
                page.goto(path.absolute().as_uri())
                assert faults(page) == [], (path.name, theme)


def test_what_not_everybody_can_use_is_seen(tmp_path: Path) -> None:
    """A page with one fault of each kind."""
    bad = tmp_path / "bad.html"
    bad.write_text(
        "<!doctype html><html lang=en><title>bad</title><body style='background:#fff'><h1>One</h1><h3>Three</h3>"
        "<p style='color:#999'>pale</p><p style='color:#777;font-size:30px'>large</p><button></button><img src='a.png'>"
        "<div style='background:rgba(0,0,0,.5)'><p style='color:#333'>half</p></div><i id=x></i><i id=x></i>"
        "<svg width=90 height=20><text fill='#aaa' y=15>axis</text></svg><a href='#x' tabindex=3>link</a>"
    )
    with chromium() as browser:
        page = browser.new_page()
        page.goto(bad.as_uri())
        found = faults(page)
    kinds = ["contrast 2.85: p. \"pale\"", "contrast 3.16: p. \"half\"", "in a drawing \"axis\"", "h1, then h3",
             "no name: button.", "no alt:", "id twice: x", "tabindex 3"]  # fmt: skip
    assert [kind for kind in kinds if not any(kind in fault for fault in found)] == [], found
    assert len(found) == len(kinds), found


def test_the_browser_sees_what_is_wrong(tmp_path: Path) -> None:
    """A page that is too wide, has a script that fails, a picture that is missing, and asks a server."""
    find_chromium()
    page = tmp_path / "bad.html"
    page.write_text(
        "<!doctype html><body><div style='width:2000px'>wide</div><img src='absent.png'>"
        "<img src='http://server.invalid/a.png'><script>undefined.fails</script>"
    )
    views, console = look_at([page], tmp_path)
    assert all(view.needed >= 2000 and view.wide == ["DIV. in BODY."] for view in views)
    assert all(len(view.pictures) == 2 for view in views)
    assert all(any(name.startswith("http:") for name in view.requests) for view in views)
    assert any("undefined" in line for line in console)
