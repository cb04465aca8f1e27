"""Imports look down only, never in a circle, and the public names exist."""

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import clothseg

ROOT = Path(clothseg.__file__).parent
LAYERS = (
    {
        "errors",
        "versions",
        "cores",
        "cpu_path",
        "sample",
        "deferred_dynamo",
        "gc_pause",
        "progress",
        "suggestions",
        "counting",
        "changed_work",
        "optional",
        "writable",
    },
    {
        "config",
        "instances",
        "files",
        "journal",
        "stop",
        "photos",
        "colour_profiles",
        "photo_values",
        "paths",
        "videos",
        "http",
        "devices",
        "distributed",
    },
    {"runs", "pictures", "gallery", "garments"},
    {"dataset", "networks", "exported"},
    {"loading", "openimages", "weights"},
    {"evaluation"},
    {"training"},
    {"models"},
    {"prediction", "report", "export", "catalogue"},
    {"serve"},
    {"cli"},
)
LAYER = {name: number for number, names in enumerate(LAYERS) for name in names}
FILES = {
    ".".join(("clothseg", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(ROOT.rglob("*.py"))
}


def imported(path: Path) -> Iterator[str]:
    """Every module or name of the package that a file imports, dotted; type-checking imports too."""
    package = ("clothseg", *path.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "clothseg")
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join([*package[: len(package) - node.level + 1], *([base] if base else [])])
            if base.split(".")[0] == "clothseg":
                yield from (f"{base}.{alias.name}" for alias in node.names)


@functools.cache
def collected(package: str) -> dict[str, str]:
    """Where the names come from that the `__init__` of a package collects, or its stub."""
    init = FILES[package]
    stubs = [path for path in (init, init.with_suffix(".pyi")) if init.name == "__init__.py" and path.is_file()]
    return {name.rpartition(".")[2]: name for path in stubs for name in imported(path)}


def target_file(name: str) -> str | None:
    """The module that defines an imported name, also if a package has collected it."""
    module = name
    while module and module not in FILES:
        module = module.rpartition(".")[0]
    first = name.removeprefix(f"{module}.").split(".")[0]
    origin = collected(module).get(first, name) if module and module != name else name
    return target_file(origin) if origin != name else module or None


def part_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def circles(edges: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of nodes that reach each other (Tarjan's strongly connected components)."""
    numbers: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        numbers[node] = lowest[node] = len(numbers)
        stack.append(node)
        for other in edges.get(node, set()):
            if other not in numbers:
                visit(other)
                lowest[node] = min(lowest[node], lowest[other])
            elif other in stack:
                lowest[node] = min(lowest[node], numbers[other])
        if lowest[node] == numbers[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(group) > 1:
                found.append(sorted(group))

    for node in edges:
        if node not in numbers:
            visit(node)
    return found


def edges_between_parts() -> dict[str, set[str]]:
    edges: dict[str, set[str]] = {}
    for path in sorted([*FILES.values(), *ROOT.rglob("*.pyi")]):
        part = path.relative_to(ROOT).parts[0].removesuffix(".py").removesuffix(".pyi")
        others = {part_of(name) for name in imported(path)} - {part, ""}
        edges.setdefault(part, set()).update(others & LAYER.keys())
    return edges


def test_every_part_has_a_layer() -> None:
    parts = {p.name.removesuffix(".py") for p in ROOT.iterdir() if p.suffix == ".py" or (p / "__init__.py").is_file()}
    assert parts - {"__init__", "__main__"} <= LAYER.keys()


def test_imports_look_down() -> None:
    edges = {part: others for part, others in edges_between_parts().items() if part in LAYER}
    assert sum(map(len, edges.values())) > 40
    upward = [f"{part} imports {o}" for part, others in edges.items() for o in others if LAYER[o] > LAYER[part]]
    assert upward == []


def test_no_circles_between_parts() -> None:
    assert circles({part: others for part, others in edges_between_parts().items() if part in LAYER}) == []


def test_no_circles_between_files() -> None:
    edges: dict[str, set[str]] = {}
    for module, path in FILES.items():
        targets = {target for name in imported(path) if (target := target_file(name))}
        edges[module] = targets - {module, "clothseg"}
        if path.name == "__init__.py":  # a package that collects names of its own files is no circle
            edges[module] -= {target for target in targets if target.startswith(f"{module}.")}
    assert len(edges) > 200
    assert circles(edges) == []


def test_names_are_followed_to_the_file_that_defines_them() -> None:
    for name, module in (
        ("networks.build_network", "networks.build"),  # collected by an __init__
        ("catalogue.Share", "catalogue.shards"),  # collected by a stub
        ("models.MaskRCNN", "models"),
        ("networks.network", "networks.network"),
    ):
        assert target_file(f"clothseg.{name}") == f"clothseg.{module}"


def test_circles_are_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]


@pytest.mark.parametrize("module", sorted(FILES))
def test_files_and_functions_stay_small(module: str) -> None:
    """At most 300 lines per file, and 60 per function without its signature and docstring."""
    text = FILES[module].read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            if body:
                assert (node.end_lineno or 0) - body[0].lineno < 60, f"{module}.{node.name}"


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
