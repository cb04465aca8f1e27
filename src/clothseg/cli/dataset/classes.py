"""`clothseg dataset classes`: the class tree of Open Images."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from clothseg.cli.completion import classes_of_source
from clothseg.cli.inputs import folder_called
from clothseg.cli.terminal import ERRORS
from clothseg.files import atomic_write
from clothseg.openimages import class_trees, tree_lines, tree_picture

DEFAULT_ROOTS = ["Person", "Vehicle", "Clothing"]


def classes(
    source: Annotated[Path, typer.Argument(help="Folder with the class files; [b]sample[/] is installed.")],
    roots: Annotated[
        list[str] | None,
        typer.Argument(
            autocompletion=classes_of_source, help="Class names or ids. Default: Person, Vehicle and Clothing."
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Show the whole tree.")] = False,
    masks_only: Annotated[
        bool, typer.Option("--masks-only", help="Leave out branches without classes that can have masks.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Also draw the tree to this PNG.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the tree as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing.")] = False,
) -> None:
    """Show the classes below some classes in the tree of Open Images, and which can have masks (*).

    Example: [b]clothseg dataset classes sample Clothing --out tree.png[/]
    """
    trees = class_trees(folder_called(source), [] if everything else roots or DEFAULT_ROOTS)
    if out is not None:
        atomic_write(out, tree_picture(trees, masks_only=masks_only))
    if as_json:
        print(json.dumps([tree.as_dict() for tree in trees], ensure_ascii=False, indent=2))
    elif not quiet:
        for tree in trees:
            print("\n".join(tree_lines(tree, masks_only=masks_only)))
        print("* can have masks")
    if out is not None and not quiet:
        ERRORS.print(f"wrote {escape(str(out))}")
