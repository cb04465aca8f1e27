"""The option `--compile`, and its messages."""

from typing import Annotated

import typer
from rich.markup import escape

from clothseg.cli.terminal import ERRORS
from clothseg.models import Model

Compile = Annotated[
    bool, typer.Option("--compile", help="Compile the network: takes a minute or two once, then each photo is faster.")
]


def compile_network(model: Model, *, compiled: bool, quiet: bool) -> None:
    """Compiles the network if the option or the settings say so; if this machine cannot, reports it and continues."""
    if not compiled and not model.config.inference.compile:
        return
    reason = model.compile()
    model.config = model.config.changed("inference", compile=not reason)
    if quiet:
        return
    if reason:
        ERRORS.print(f"not compiled, because this machine cannot do it: {escape(reason)}")
    else:
        ERRORS.print("compiling: the first photo takes a minute or two, and so may the first photo of another size")
