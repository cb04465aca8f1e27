"""The package is complete, and facts that are written in two places agree. Nothing here builds or downloads."""

import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

import clothseg

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "clothseg"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(\[[a-z0-9,]+\])?>=(?P<lowest>[0-9.]+)")


def requirements() -> list[str]:
    project = PROJECT["project"]
    every = [*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)]
    return [requirement for requirement in every if not requirement.startswith("clothseg[")]


def pins(name: str) -> dict[str, str]:
    """Versions by name of a constraints file."""
    lines = [line for line in (ROOT / name).read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return {plain(package): version for package, version in (line.split("==") for line in lines)}


def plain(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()


def test_every_data_file_is_installed() -> None:
    settings = PROJECT["tool"]["setuptools"]
    installed = {path for pattern in settings["package-data"]["clothseg"] for path in PACKAGE.glob(pattern)}
    for pattern in settings["exclude-package-data"]["*"]:
        installed -= set(PACKAGE.glob(pattern))
    data = {
        path
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"} and not path.name.startswith(".")
    }
    assert {path.suffix for path in data} >= {".yaml", ".jinja", ".jpg", ".zip", ".csv", ".pyi", ".typed"}
    assert sorted(str(path.relative_to(PACKAGE)) for path in data - installed) == []


def test_every_folder_with_code_is_a_package() -> None:
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_the_version_is_written_once() -> None:
    assert "version" not in PROJECT["project"]
    assert "version" in PROJECT["project"]["dynamic"]
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "clothseg.__version__"}
    assigned = re.compile(r"^__version__ = ", re.MULTILINE)
    holders = [path for path in PACKAGE.rglob("*.py") if assigned.search(path.read_text(encoding="utf-8"))]
    assert holders == [PACKAGE / "__init__.py"]


def test_the_version_of_the_source_is_shown_without_an_installation(tmp_path: Path) -> None:
    words = f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r}); from clothseg.versions import library_versions"
    shown = subprocess.run(
        [sys.executable, "-c", f"{words}; print(library_versions()['clothseg'], 'torch' in sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert shown.stdout.split() == [clothseg.__version__, "False"]


def test_the_lowest_versions_are_those_of_the_requirements() -> None:
    lowest = pins("constraints-lowest.txt")
    assert len(lowest) == len(requirements())
    for requirement in requirements():
        bound = REQUIREMENT.match(requirement)
        assert bound, f"{requirement}: give a lowest version"
        assert f"{lowest[plain(bound['name'])]}.".startswith(f"{bound['lowest']}."), requirement


def test_every_requirement_is_pinned() -> None:
    pinned = pins("constraints.txt")
    assert [r for r in requirements() if plain(re.split(r"[<>=\[]", r)[0]) not in pinned] == []


@pytest.mark.parametrize("folder", ["benchmarks", "docker", "docs", "notebooks", "scripts", "tests"])
def test_the_source_package_contains(folder: str) -> None:
    assert f"graft {folder}" in (ROOT / "MANIFEST.in").read_text(encoding="utf-8").splitlines()


def test_the_source_package_has_every_document() -> None:
    lines = (ROOT / "MANIFEST.in").read_text(encoding="utf-8").splitlines()
    patterns = [pattern for line in lines if line.startswith("include ") for pattern in line.split()[1:]]
    by_default = {"README.md", "LICENSE", "pyproject.toml", "MANIFEST.in"}
    files = {path.name for path in ROOT.iterdir() if path.is_file() and not path.name.startswith(".")} - by_default
    wanted = {name for name in files if name == "Makefile" or Path(name).suffix in {".md", ".txt", ".cff"}}
    assert [name for name in wanted if not any(fnmatch(name, pattern) for pattern in patterns)] == []


def test_the_citation_names_a_version_that_is_not_newer() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    cited, ours = (tuple(map(int, v.split("."))) for v in (citation["version"], clothseg.__version__.split("rc")[0]))
    assert cited <= ours
    assert citation["license"] == PROJECT["project"]["license"]


@pytest.mark.parametrize("path", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda path: str(path.name))
def test_github_files_are_yaml(path: Path) -> None:
    assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)


@pytest.mark.skipif(not (ROOT / ".github").is_dir(), reason="the source package has no .github")
def test_the_workflow_tests_every_supported_python() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8"))["jobs"]
    classifiers = [c.rpartition(" ")[2] for c in PROJECT["project"]["classifiers"] if "Python :: 3." in c]
    for job in ("unix", "windows"):
        assert jobs[job]["strategy"]["matrix"]["python"] == classifiers


def test_the_manual_lists_every_extra() -> None:
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert set(PROJECT["project"]["optional-dependencies"]) == listed
