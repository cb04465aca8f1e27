"""The documentation: links and anchors exist, and the commands of the first page work as they are written."""

import base64
import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import numpy as np
import pytest
from browser import look_at
from label_files import crop, png, write_labelme_file
from pycocotools import mask as pycoco

from clothseg import sample
from clothseg.cli import main
from clothseg.dataset.exporting import ExportOptions, export_dataset
from clothseg.dataset.importing import import_dataset
from clothseg.openimages import BuildOptions, build_dataset

DOCS = Path(__file__).parents[1] / "docs"
TINY = [
    *("input.height=96", "input.width=64", "network.fpn.channels=32", "network.box_head.fc_dim=64"),
    *("network.mask_head.channels=32", "backbone.name=timm/test_efficientnet", "weights=random"),
    "backbone.frozen_stages=0",
    *("train.epochs=1", "train.steps_per_epoch=3", "train.batch_size=2", "train.workers=0"),
]
"""What makes the network of the page so small that a test can train it."""


def commands(page: str) -> list[str]:
    """The lines of the blocks of commands that are marked `sh`."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


@pytest.fixture(scope="module")
def coco(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A folder of photos of the sample, and their annotations with names of files without a folder."""
    folder = tmp_path_factory.mktemp("sample") / "data"
    build_dataset(sample.folder(), folder, ["Suit", "Dress", "Jeans"], BuildOptions(limit=30, keep_empty=True))
    tree = json.loads((folder / "annotations" / "train.json").read_text(encoding="utf-8"))
    photos = folder.with_name("photos")
    photos.mkdir()
    for image in tree["images"]:
        name = Path(image["file_name"]).name
        shutil.copy(next((folder / "images").rglob(name)), photos)
        image["file_name"] = name
    return photos, tree


def as_cvat(photos: Path, tree: dict[str, Any]) -> Path:
    shutil.copytree(photos, "my-labels/images/default")
    Path("my-labels/annotations").mkdir()
    Path("my-labels/annotations/instances_default.json").write_text(json.dumps(tree), encoding="utf-8")
    return Path("my-labels")


def as_label_studio(photos: Path, tree: dict[str, Any]) -> Path:
    """It counts everything from 0, and names photos with their folder."""
    number = {image["id"]: count for count, image in enumerate(tree["images"])}
    images = [row | {"id": number[row["id"]], "file_name": f"images/{row['file_name']}"} for row in tree["images"]]
    rows = [
        row | {"id": count, "image_id": number[row["image_id"]], "category_id": row["category_id"] - 1}
        for count, row in enumerate(tree["annotations"])
    ]
    classes = [{"id": row["id"] - 1, "name": row["name"]} for row in tree["categories"]]
    shutil.copytree(photos, "my-labels/images")
    content = json.dumps({"images": images, "annotations": rows, "categories": classes})
    Path("my-labels/result.json").write_text(content, encoding="utf-8")
    return Path("my-labels")


def as_labelme(photos: Path, tree: dict[str, Any]) -> Path:
    shutil.copytree(photos, "my-export")
    names = {row["id"]: row["name"] for row in tree["categories"]}
    for image in tree["images"]:
        size = (image["height"], image["width"])
        shapes = []
        for row in (row for row in tree["annotations"] if row["image_id"] == image["id"]):
            rle = row["segmentation"]
            packed = pycoco.frPyObjects(rle, *size) if isinstance(rle["counts"], list) else rle
            left, top, part = crop(pycoco.decode(packed).astype(bool))
            corner = [left + part.shape[1] - 1, top + part.shape[0] - 1]
            content = base64.b64encode(png(part.astype(np.uint8))).decode()
            name = names[row["category_id"]]
            shapes.append({"label": name, "points": [[left, top], corner], "shape_type": "mask", "mask": content})
        write_labelme_file(Path("my-export", image["file_name"]).with_suffix(".json"), size, shapes)
    return Path("my-export")


TOOLS = {"cvat": as_cvat, "label studio": as_label_studio, "labelme": as_labelme}


@pytest.mark.parametrize("tool", TOOLS)
def test_the_first_page_works_as_written(
    tool: str,
    coco: tuple[Path, dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    labels = TOOLS[tool](*coco)
    (tmp_path / "new-photos").mkdir()
    for photo in sorted((sample.folder() / "validation").glob("*.jpg"))[:4]:
        shutil.copy(photo, "new-photos")
    lines = commands("index.md")
    if labels.name == "my-labels":  # COCO needs no import; what follows the training is the same for all
        assert "dataset import" in lines.pop(0)
        lines = [line for line in lines if re.match(r"clothseg (dataset|fit)", line) and "--overfit" not in line]
    for line in lines:
        words = shlex.split(line)
        if labels.name == "my-export" and "--val-fraction" in words:  # the import has split it, as the page says
            at = words.index("--val-fraction")
            del words[at : at + 2]
        if words[1] == "fit":
            words += [word for setting in TINY for word in ("--set", setting)]
        monkeypatch.setattr("sys.argv", words)
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        if ended.value.code:  # so small a network may learn nothing; the commands say so
            assert "NOT learned" in printed.out or "scores cannot be calibrated" in printed.err, (
                f"{line}\n{printed.err}"
            )
    made = ["look/index.html", "runs/mine/weights.safetensors"]
    if labels.name == "my-export":
        made += ["runs/mine/report.html", "found/predictions.json", "cut/cutouts.json", "next/labels-coco.json"]
        assert len(list(Path("next/photos").iterdir())) == 4
    assert [name for name in made if not Path(name).is_file()] == []


PAGES = sorted([*DOCS.glob("*.md"), *(DOCS.parent / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md"))])
OURS = re.compile(r"https://(?:github\.com/clothseg/clothseg/blob|raw\.githubusercontent\.com/clothseg/clothseg)/main/")


def without_code(page: Path) -> str:
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of the headings of a page."""
    titles = re.findall(r"^#+ (.+)$", without_code(page), re.MULTILINE)
    bare = [re.sub(r"\[([^]]*)\]\([^)]*\)|[`*]", r"\1", title) for title in titles]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in bare}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.name))
def test_links_and_anchors_exist(page: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", without_code(page)):
        ours = OURS.match(link)
        if not ours and re.match(r"https?:|mailto:", link):
            continue
        place, _, anchor = (link[ours.end() :] if ours else link).partition("#")
        target = (DOCS.parent if ours else page.parent) / place if place else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def rows_outside_tables(text: str) -> list[str]:
    """Rows of Markdown tables that follow no header, or have another number of cells than it."""
    wrong, cells = [], 0
    lines = [re.sub(r"`[^`]*`", "code", line) for line in text.splitlines()]
    for before, line, after in zip(["", *lines], lines, [*lines[1:], ""], strict=False):
        if not line.startswith("|"):
            cells = 0
            continue
        found = len(re.findall(r"(?<!\\)\|", line))
        if not before.startswith("|") and re.fullmatch(r"[|: -]+", after):
            cells = found
        if found != cells:
            wrong.append(line)
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.name))
def test_every_row_is_in_a_table(page: Path) -> None:
    assert rows_outside_tables(without_code(page)) == []


def test_rows_outside_tables_are_found() -> None:
    table = "| a | b |\n|---|---|\n| 1 | `x | y` |\n"
    assert rows_outside_tables(table + "\nText\n\n" + table) == []
    assert rows_outside_tables(table + "\n| 3 | 4 |\n") == ["| 3 | 4 |"]
    assert rows_outside_tables(table + "| 3 |\n") == ["| 3 |"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it."""
    for library in ("mkdocs", "material", "mkdocstrings"):
        pytest.importorskip(library, reason=f"{library} is not installed; make docs needs the extra `docs`")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--no-directory-urls", "--site-dir"]
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        [*command, str(folder)], cwd=DOCS.parent, env=quiet, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.slow
def test_the_site_has_every_page_and_loads_nothing_from_elsewhere(site: Path) -> None:
    for page in DOCS.glob("*.md"):
        text = (site / page.with_suffix(".html").name).read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe|source)[^>]*\ssrc=\"([^\"]+)\"", text)
        loaded += re.findall(r"<link[^>]*rel=\"(?:stylesheet|icon|preconnect|preload)\"[^>]*href=\"([^\"]+)\"", text)
        loaded += re.findall(r"<link[^>]*href=\"([^\"]+)\"[^>]*rel=\"(?:stylesheet|icon|preconnect|preload)\"", text)
        assert loaded
        assert [place for place in loaded if re.match(r"(https?:)?//", place)] == [], page.name
    assert (site / "search" / "search_index.json").stat().st_size > 100_000
    interface = (site / "python.html").read_text(encoding="utf-8")
    for name in ("clothseg.MaskRCNN", "clothseg.models.Model.fit", "clothseg.Config.load", "clothseg.garments.cut_out"):
        assert f'id="{name}"' in interface


@pytest.mark.slow
@pytest.mark.browser
def test_no_page_of_the_site_scrolls_sideways(site: Path, tmp_path: Path) -> None:
    views, console = look_at([site / f"{name}.html" for name in ("index", "dataset", "figures", "python")], tmp_path)
    for view in views:
        assert view.needed <= view.width, f"{view.page} at {view.width}: {view.wide}"
        assert view.pictures == []
        assert [place for place in view.requests if not place.startswith("file:")] == []
    assert [line for line in console if "search" not in line] == []  # a page in a file may not read the index


def test_every_documented_function_takes_paths_as_strings() -> None:
    """A path that is a string must not end in an AttributeError deep inside."""
    pages = ("python.md", "evaluation.md", "predict.md", "dataset.md")
    text = "".join((DOCS / page).read_text(encoding="utf-8") for page in pages)
    listed = re.findall(r"^::: ([\w.]+)$", text, re.MULTILINE)
    imported = re.findall(r"^from (clothseg[\w.]*) import (.+)$", text, re.MULTILINE)
    named = {*listed, *(f"{module}.{name.strip()}" for module, names in imported for name in names.split(","))}
    found = {name: resolve_name(name) for name in named if not name.endswith("Error")}
    functions = {name: value for name, value in found.items() if inspect.isfunction(value)}
    for name, owner in found.items():
        if inspect.isclass(owner) and owner.__module__.startswith("clothseg"):
            methods = {key: value for key, value in vars(owner).items() if not key.startswith("_")}
            bound = {key: getattr(value, "__func__", value) for key, value in methods.items()}
            functions |= {f"{name}.{key}": value for key, value in bound.items() if inspect.isfunction(value)}
    assert len(functions) > 40
    only_paths = [
        f"{name}({parameter.name})"
        for name, function in sorted(functions.items())
        for parameter in inspect.signature(function).parameters.values()
        if "Path" in str(parameter.annotation) and "str" not in str(parameter.annotation)
    ]
    assert not only_paths


def test_strings_are_paths(tmp_path: Path) -> None:
    build_dataset(str(sample.folder()), str(tmp_path / "built"), ["Dress"], BuildOptions(limit=3, max_size=160))
    export_dataset(str(tmp_path / "built"), str(tmp_path / "yolo"), ExportOptions(format="yolo"))
    assert import_dataset(str(tmp_path / "yolo"), str(tmp_path / "again")).folder == tmp_path / "again"
    assert (tmp_path / "again" / "annotations" / "train.json").is_file()
