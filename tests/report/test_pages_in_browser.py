"""Every HTML page in a browser: on a phone and a screen nothing scrolls sideways, fails or asks the network."""

import json
from pathlib import Path

import pytest
from browser import WIDTHS, find_chromium, look_at

from clothseg.cli import main
from clothseg.report import write_report

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
