"""Broken labels of other tools: files that the tools wrote, with one that is wrong."""

import json
import random
import shutil
from pathlib import Path

import cvat_exports
import pytest
from fuzzing import Fuzz, spoil_bytes, spoil_json

from clothseg.dataset.importing import ImportOptions, SourceFormat, import_dataset

TOOLS = Path(__file__).parents[1] / "dataset" / "importing" / "tools"
FORMATS: dict[str, SourceFormat] = {
    "datumaro-cvat": "cvat-xml",
    "datumaro-voc": "voc",
    "label-studio-yolo": "yolo",
    "labelme": "labelme",
    "labelme2voc-old": "voc",
    "supervisely": "supervisely",
    "supervision-voc": "voc-boxes",
    "supervision-yolo": "yolo",
}
LINES = (
    *("", "0", "0 0.1 0.2 0.3", "x 0.1 0.1 0.2 0.2 0.3 0.3", "1e9 0 0 1 1 0 1", "0 nan nan 1 1 0 1", "\x00"),
    "0 " + "0.5 " * 9999,
)
ENCODINGS = ("u-8", "utf-7", "utf-16", "cp037", "rot13", "idna", "hex", "unicode_escape", "gb18030", "", "1", "latin-1")
XML = (
    *('<!DOCTYPE a [<!ENTITY b "c">]>', "<image/>", "</annotations>", "<a>" * 3000),
    *('<polygon label="coat" points="1,1;2"/>', '<polygon label="coat" points=""/>'),
    '<box label="coat" xtl="nan" ytl="1" xbr="1e999" ybr="3"/>',
    *("<polygon><x1>1</x1><y1>2</y1></polygon>", "<x1>1e999</x1>", "<polygon><x9>a</x9></polygon>", "<y2/>"),
    '<mask rle="1,2" left="x" top="0" width="3" height="3" label="coat"/>',
    '<mask rle="999999999999" left="0" top="0" width="99999" height="99999" label="coat"/>',
)


def broken(content: bytes, suffix: str, rng: random.Random) -> bytes:
    if rng.random() < 0.3:
        return spoil_bytes(content, rng)
    if suffix == ".json":
        return spoil_json(json.loads(content), rng)
    if suffix in {".txt", ".yaml", ".xml"}:
        lines = content.decode().splitlines()
        if suffix == ".xml" and rng.random() < 0.1:
            lines[: lines[0].startswith("<?")] = [f'<?xml version="1.0" encoding="{rng.choice(ENCODINGS)}"?>']
            return "\n".join(lines).encode()
        lines.insert(rng.randint(0, len(lines)), rng.choice(XML if suffix == ".xml" else LINES))
        if rng.random() < 0.5:
            del lines[rng.randrange(len(lines))]
        return "\n".join(lines).encode("utf-8", "replace")
    return spoil_bytes(content, rng)


WRITTEN = {
    "labelme-xml": cvat_exports.write_labelme_3,
    "datumaro": cvat_exports.write_datumaro,
    "voc": cvat_exports.write_segmentation_mask,
}


@pytest.mark.parametrize("tool", FORMATS)
def test_labels_of_other_tools(fuzz: Fuzz, tmp_path: Path, tool: str) -> None:
    shutil.copytree(TOOLS / tool, tmp_path / "labels")
    import_broken(fuzz, tmp_path, FORMATS[tool])


@pytest.mark.parametrize("form", WRITTEN)
def test_exports_of_cvat(fuzz: Fuzz, tmp_path: Path, form: SourceFormat) -> None:
    WRITTEN[form](tmp_path / "labels")
    import_broken(fuzz, tmp_path, form)


def import_broken(fuzz: Fuzz, folder: Path, form: SourceFormat) -> None:
    """Imports the labels in a folder many times, with one of the files broken."""
    source, out = folder / "labels", folder / "out"
    files = sorted(path for path in source.rglob("*") if path.is_file())
    good = {path: path.read_bytes() for path in files}

    def make(rng: random.Random) -> tuple[Path, bytes]:
        path = rng.choice(files)
        return path, broken(good[path], path.suffix, rng)

    def read(changed: tuple[Path, bytes]) -> None:
        path, content = changed
        path.write_bytes(content)
        try:
            import_dataset(source, out, ImportOptions(format=form, overwrite=True))
        finally:
            assert [p.name for p in folder.iterdir() if p not in (source, out)] == []
            path.write_bytes(good[path])

    fuzz(make, read, one_of=4)
