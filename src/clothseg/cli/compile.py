"""The option `--compile`, and what is said about it."""

from typing import Annotated

import typer
from rich.markup import escape

from clothseg.cli.terminal import ERRORS
from clothseg.models import MaskRCNN

Compile = Annotated[
    bool, typer.Option("--compile", help="Compile the network: a minute or two once, less time for each photo.")
]


def compile_network(model: MaskRCNN, *, wanted: bool, quiet: bool) -> None:
    """Compile if that is wanted here or in the settings; where this machine cannot, say so and go on without."""
    if not wanted and not model.config.detect.compile:
        return
    reason = model.compile()
    model.config.detect.compile = not reason
    if quiet:
        return
    if reason:
        ERRORS.print(f"not compiled, as this machine cannot: {escape(reason)}")
    else:
        ERRORS.print("compiling: the first photo takes a minute or two, the first of another size perhaps again")
