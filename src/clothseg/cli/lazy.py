"""Commands whose code is read when they are called: `--help` and the commands on tables need no network library."""

import ast
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


def lazy_group(package: str, names: Sequence[str]) -> type[TyperGroup]:
    """A group whose commands `names` are modules of `package`, listed in that order.

    A module `fit` has a function `fit`, or `app`, a group of its own.
    """

    class Later(TyperGroup):
        """Lists its commands without reading their code."""

        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            self.commands = {name: _Unread(package, name) for name in names}

        def list_commands(self, ctx: Any) -> list[str]:
            """Names of the commands, in the order in which people use them."""
            return list(names)

    return Later


class _Unread(TyperCommand):
    """Knows what its help says first, and turns into the command itself when it is called."""

    def __init__(self, package: str, name: str) -> None:
        self.module = f"{package}.{name}"
        super().__init__(name, help=_first_words(self.module, name))

    def make_context(self, info_name: Any, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """That of the command itself, to which the call goes on."""
        return _read(self.module, self.name or "").make_context(info_name, args, parent, **extra)


def _read(module: str, name: str) -> Any:
    found = import_module(module)
    if hasattr(found, "app"):
        return typer.main.get_command(found.app)
    alone = typer.Typer(rich_markup_mode="rich", add_completion=False)
    alone.command(name)(getattr(found, name))
    return typer.main.get_command(alone)


def _first_words(module: str, name: str) -> str:
    """The first paragraph of the command's docstring, or of the group's, without importing it."""
    spec = find_spec(module)
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8")) if spec and spec.origin else ast.Module([], [])
    told = {node.name: ast.get_docstring(node) for node in tree.body if isinstance(node, ast.FunctionDef)}
    return (told.get(name) or told.get("_group") or "").split("\n\n")[0]
