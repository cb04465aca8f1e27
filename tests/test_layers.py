"""Imports look down only, and the public names are there."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import clothseg

ROOT = Path(clothseg.__file__).parent
LAYERS = (
    {"errors", "files", "photos", "processes", "videos", "runs", "sample", "versions", "instances"},
    {"config", "pictures", "garments"},
    {"dataset"},
    {"openimages", "networks"},
    {"weights"},
    {"evaluation"},
    {"training"},
    {"models"},
    {"report", "prediction"},
    {"cli"},
)
LAYER = {name: number for number, names in enumerate(LAYERS) for name in names}


def imports() -> list[tuple[Path, str, str]]:
    """Every import of one part of the package by another: file, its part, the other part."""
    found = []
    for path in sorted([*ROOT.rglob("*.py"), *ROOT.rglob("*.pyi")]):
        part = path.relative_to(ROOT).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "clothseg":
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("clothseg."):
                names = [node.module.split(".")[1]]
            elif isinstance(node, ast.Import):
                names = [a.name.split(".")[1] for a in node.names if a.name.startswith("clothseg.")]
            else:
                continue
            found += [(path, part, name) for name in names if name in LAYER and name != part]
    return found


def test_every_part_has_a_layer() -> None:
    parts = {p.name.removesuffix(".py") for p in ROOT.iterdir() if p.suffix == ".py" or (p / "__init__.py").is_file()}
    assert parts - {"__init__", "__main__"} <= LAYER.keys()


def test_imports_look_down() -> None:
    edges = imports()
    assert len(edges) > 40
    assert [
        f"{path}: {part} imports {name}" for path, part, name in edges if part in LAYER and LAYER[name] > LAYER[part]
    ] == []


def test_no_circles_between_parts() -> None:
    below: dict[str, set[str]] = {}
    for _, part, name in imports():
        if part in LAYER:
            below.setdefault(part, set()).add(name)

    def reach(part: str, seen: set[str]) -> set[str]:
        for name in below.get(part, set()) - seen:
            seen |= {name} | reach(name, seen | {name})
        return seen

    assert [part for part in below if part in reach(part, set())] == []


def test_public_names() -> None:
    for name in ("CocoLikeDataset", "Config", "MaskRCNN", "Instances", "ClothsegError"):
        assert name in clothseg.__all__
    for name in clothseg.__all__:
        assert hasattr(clothseg, name)


@pytest.mark.parametrize("part", ["openimages", "config", "instances", "cli.app", "cli.dataset.build"])
def test_the_network_library_is_not_read_for_what_needs_no_network(part: str) -> None:
    """It takes seconds and half a gigabyte: too much for `--help`, and for each process that converts masks."""
    words = f"import sys, clothseg.{part}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", words], check=False).returncode == 0
