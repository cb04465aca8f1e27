"""Imports a command's code when the command is called, so that `--help` and table commands do not load PyTorch."""

import ast
import keyword
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from clothseg.cli.failures import explain_stop


def lazy_group(package: str, names: Sequence[str]) -> type[TyperGroup]:
    """A group of the commands `names`, listed in that order. Each is a module of `package`.

    The module `fit` has either a function `fit`, or `app`, a group of its own. Where the command is a keyword of
    Python, module and function end with `_`: `import_`. A hyphen of the command is `_` there.
    """

    class LazyGroup(TyperGroup):
        """Lists its commands without importing them."""

        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            self.commands = {name: _LazyCommand(package, name) for name in names}

        def list_commands(self, ctx: Any) -> list[str]:
            """The names of the commands, in the given order."""
            return list(names)

        def invoke(self, ctx: Any) -> Any:
            """Runs the command. Ctrl-C and a closed pipe stay exceptions; typer would end silently."""
            try:
                return super().invoke(ctx)
            except (KeyboardInterrupt, BrokenPipeError) as error:
                raise explain_stop(error) from error

    return LazyGroup


class _LazyCommand(TyperCommand):
    """Has only the first paragraph of the help until it is called; then it imports the real command."""

    def __init__(self, package: str, name: str) -> None:
        self.python_name = f"{name}_" if keyword.iskeyword(name) else name.replace("-", "_")
        self.module = f"{package}.{self.python_name}"
        super().__init__(name, help=_first_paragraph(self.module, self.python_name))

    def make_context(self, info_name: Any, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """The context of the real command, which handles the call from here on."""
        return _import_command(self.module, self.name or "", self.python_name).make_context(
            info_name, args, parent, **extra
        )


def _import_command(module: str, name: str, python_name: str) -> Any:
    found = import_module(module)
    app = getattr(found, "app", None)
    if app is None:
        app = typer.Typer(rich_markup_mode="rich", add_completion=False)
        app.command(name)(getattr(found, python_name))
    return _without_line_breaks(typer.main.get_command(app))


def _without_line_breaks(command: Any) -> Any:
    """The command, with the lines of each paragraph of its help joined: the terminal wraps them."""
    command.help = "\n\n".join(" ".join(text.split()) for text in (command.help or "").split("\n\n"))
    for below in getattr(command, "commands", {}).values():
        _without_line_breaks(below)
    return command


def _first_paragraph(module: str, name: str) -> str:
    """The first paragraph of the docstring of the command or group, without importing it."""
    spec = find_spec(module)
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8")) if spec and spec.origin else ast.Module([], [])
    docstrings = {node.name: ast.get_docstring(node) for node in tree.body if isinstance(node, ast.FunctionDef)}
    first = (docstrings.get(name) or docstrings.get("_group") or "").split("\n\n")[0]
    return " ".join(first.split())
