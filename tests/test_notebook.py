"""The notebook: stored without outputs, and every cell runs."""

import ast
import json
import os
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "notebooks" / "garments.ipynb"
TINY = (
    "input.height=96 input.width=64 network.fpn.channels=32 network.box_head.fc_dim=64 network.mask_head.channels=32 "
    "train.epochs=1 train.steps_per_epoch=3 train.batch_size=2 train.workers=0"
)
"""Settings with which a test trains in seconds."""


def cells(kind: str) -> list[dict[str, Any]]:
    tree = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return [cell for cell in tree["cells"] if cell["cell_type"] == kind]


def test_it_has_no_outputs() -> None:
    assert [cell["id"] for cell in cells("code") if cell["outputs"] or cell["execution_count"] is not None] == []


def test_its_code_is_python() -> None:
    for cell in cells("code"):
        lines = ["pass" if line.strip().startswith("%") else line.strip("\n") for line in cell["source"]]
        ast.parse("\n".join(line if line != "pass" else "    pass" for line in lines))


def test_its_links_into_the_repository_exist() -> None:
    text = "".join(line for cell in cells("markdown") for line in cell["source"])
    places = [part.split(")")[0] for part in text.split("/blob/main/")[1:]]
    assert places
    assert [place for place in places if not (ROOT / place).exists()] == []


@pytest.mark.slow
def test_every_cell_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    monkeypatch.setenv("CLOTHSEG_NOTEBOOK_SETTINGS", TINY)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(notebook, timeout=1800, resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed = ["".join(part.get("text", "") for part in cell.get("outputs", [])) for cell in notebook.cells]
    assert any("Suit *" in text or "* Suit" in text for text in printed), "the tree of classes"
    assert any("mask_AP" in text and "before" in text for text in printed)
    pictures = [
        part for cell in notebook.cells for part in cell.get("outputs", []) if "image/png" in part.get("data", {})
    ]
    assert len(pictures) >= 2
    assert (tmp_path / "runs" / "garments" / "report.html").is_file()
