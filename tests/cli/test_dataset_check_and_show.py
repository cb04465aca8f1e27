"""`clothseg dataset check` and `show` on the command line."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from clothseg.cli.app import app, main

runner = CliRunner()


def write(folder: Path, **changes: Any) -> Path:
    """Two photos with 25 dresses of ten pixels each, side by side."""
    (folder / "images").mkdir(parents=True)
    (folder / "annotations").mkdir()
    for n in (1, 2):
        noise = np.random.default_rng(n).integers(0, 255, (12, 40, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((800, 240)).save(folder / "images" / f"{n}.png")
    boxes = [[20 + 30 * (n // 2), 20, 10, 10] for n in range(50)]
    tree: dict[str, Any] = {
        "images": [{"id": n, "file_name": f"{n}.png", "height": 240, "width": 800} for n in (1, 2)],
        "categories": [{"id": 1, "name": "Dress"}],
        "annotations": [
            {
                "id": n + 1,
                "image_id": n % 2 + 1,
                "category_id": 1,
                "segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]],
                "area": 100,
                "bbox": [x, y, w, h],
                "iscrowd": 0,
            }
            for n, (x, y, w, h) in enumerate(boxes)
        ],
    }
    tree["annotations"][3] |= changes
    (folder / "annotations" / "train.json").write_text(json.dumps(tree))
    return folder


def call(*words: object) -> tuple[int, str, str]:
    result = runner.invoke(app, ["dataset", *map(str, words)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def test_a_correct_data_set_exits_with_0(tmp_path: Path) -> None:
    code, out, _ = call("check", write(tmp_path / "d"))
    assert code == 0
    assert "0 errors, 0 warnings." in out


def test_only_warnings_exit_with_0(tmp_path: Path) -> None:
    code, out, _ = call("check", write(tmp_path / "d"), "--min-instances", 60)
    assert code == 0
    assert "too_few_instances" in out
    assert "0 errors, 1 warning." in out


def test_errors_exit_with_1_and_write_page_json_and_cleaned_copy(tmp_path: Path) -> None:
    data = write(tmp_path / "d", bbox=[5, 5, 90, 9])
    page, clean = tmp_path / "check.html", tmp_path / "clean"
    code, out, _ = call("check", data, "--json", "--out", page, "--write-clean", clean)
    report = json.loads(out)
    assert code == 1
    assert (report["errors"], report["counts"]) == (1, {"box_mask_mismatch": 1})
    (finding,) = report["findings"]
    assert (finding["severity"], finding["annotation_id"], finding["image_id"]) == ("error", 4, 2)
    assert finding["file"].endswith("train.json")
    text = page.read_text()
    assert text.count("data:image/webp") == 1
    assert "://" not in text.replace("http://www.w3.org/2000/svg", "")  # a name, not an address
    assert "annotation 4" in text
    listed = (clean / "changes.csv").read_text().splitlines()
    assert len(listed) == 2
    assert listed[1].startswith("removed,")
    assert ",box_mask_mismatch," in listed[1]
    kept = json.loads((clean / "annotations" / "train.json").read_text())["annotations"]
    assert [a["id"] for a in kept] == [n for n in range(1, 51) if n != 4]
    assert call("check", clean)[0] == 0


@pytest.mark.parametrize("out", ["page.html", "a folder"])
def test_the_page_is_an_html_file_or_in_a_folder_and_named(tmp_path: Path, out: str) -> None:
    code, _, err = call("check", write(tmp_path / "d"), "--out", tmp_path / out)
    page = tmp_path / out if out.endswith(".html") else tmp_path / out / "check.html"
    assert code == 0
    assert page.read_text().startswith("<!doctype html>")
    assert f"wrote {page}" in err


def test_several_files_with_photos_in_another_folder(tmp_path: Path) -> None:
    one, two = write(tmp_path / "one"), write(tmp_path / "two")
    files = [folder / "annotations" / "train.json" for folder in (one, two)]
    code, out, _ = call("check", *files, "--images", one / "images", "--json")
    assert code == 1
    assert json.loads(out)["counts"] == {"photo_in_two_splits": 2}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("check", "nothing"), "no such file or folder; expected a dataset"),
        (("check", "photo.jpg"), "photo.jpg: a photo, not a dataset"),
        (("check", "d", "--write-clean", "d"), "exists already"),
        (("show", "d", "--out", "look", "--set", "input.height=3"), "name it with --config"),
        (("show", "d", "--out", "look", "--split", "val"), "no split 'val'; there is train"),
        (("show", "d", "--out", "look", "--classes", "Hat"), "no class 'Hat'"),
    ],
)
def test_wrong_input_exits_with_2(
    words: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write(tmp_path / "d")
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["clothseg", "dataset", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert "Traceback" not in shown
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d", "photo.jpg"]


def test_show_writes_pictures_and_lists_unreadable_photos(tmp_path: Path) -> None:
    data = write(tmp_path / "d")
    code, out, _ = call("show", data, "--out", tmp_path / "look", "--config", "demo", "--per-class", 5)
    assert code == 0
    assert "index.html" in out
    assert (tmp_path / "look" / "class-1-dress.png").is_file()
    (data / "images" / "1.png").write_bytes(b"")
    code, out, err = call("show", data, "--out", tmp_path / "look", "--overwrite", "--json")
    assert code == 1
    assert list(json.loads(out)["unread"]) == ["1.png"]
    assert "1.png" in err


def test_show_lists_every_photo_that_cannot_be_read(tmp_path: Path) -> None:
    data, photos = write(tmp_path / "d"), tmp_path / "d" / "images"
    tree = json.loads((data / "annotations" / "train.json").read_text())
    for n in range(25):
        (photos / f"empty-{n}.png").write_bytes(b"")
        tree["images"].append(tree["images"][0] | {"id": 1000 + n, "file_name": f"empty-{n}.png"})
    (data / "annotations" / "train.json").write_text(json.dumps(tree))
    code, _, err = call("show", data, "--out", tmp_path / "look")
    assert code == 1
    assert [n for n in range(25) if f"empty-{n}.png: the file is empty" not in err.replace("\n", "")] == []


@pytest.mark.parametrize("command", ["check", "show"])
def test_help_has_an_example(command: str) -> None:
    code, out, _ = call(command, "--help")
    assert code == 0
    assert f"Example: clothseg dataset {command}" in out
