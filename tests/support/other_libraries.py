"""Commands of clothseg with other libraries: only those of a file of requirements, and what these require."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import clothseg
from installed_size import closure, read_requirements

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Begin = Callable[..., "subprocess.Popen[str]"]


def name_of(requirement: str) -> str:
    """The package that a requirement names."""
    return re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def link_libraries(requirements: Path, folder: Path) -> Path:
    """Makes `folder` one for PYTHONPATH with clothseg and the libraries of a file of requirements."""
    for found in closure(read_requirements(requirements)).values():
        for top in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
            if not (folder / top).exists():
                (folder / top).symlink_to(str(found.locate_file(top)))
    (folder / "clothseg").symlink_to(Path(clothseg.__file__).parent)
    return folder


def in_folder(libraries: Path, folder: Path) -> Begin:
    """What starts a command of clothseg with these libraries, in `folder`."""

    def begun(*words: object) -> "subprocess.Popen[str]":
        # A virtual environment has libraries of its own: the program that it was made from has none.
        environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
        environment |= {"PYTHONPATH": str(libraries), "PYTHONNOUSERSITE": "1", "COLUMNS": "200"}
        python = Path(sys.base_prefix, "bin", "python3")
        command = [str(python), "-m", "clothseg", *map(str, words)]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True)

    return begun


def to_its_end(begin: Begin) -> Run:
    """What runs such a command to its end."""

    def ran(*words: object) -> "subprocess.CompletedProcess[str]":
        process = begin(*words)
        output, errors = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    return ran
