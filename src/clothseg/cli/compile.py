"""The option `--compile`, and its messages."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from clothseg.cli.terminal import ERRORS

if TYPE_CHECKING:
    from clothseg.models import Model

Compile = Annotated[
    bool, typer.Option("--compile", help="Compile the network: takes a minute or two once, then each photo is faster.")
]


def compile_network(model: "Model", *, compiled: bool, quiet: bool) -> None:
    """Compiles the network if the option or the settings say so, and prints what to expect."""
    from clothseg.prediction import compile_for_inference  # noqa: PLC0415 - torch; a results file needs none

    message = compile_for_inference(model, requested=compiled)
    if message and not quiet:
        ERRORS.print(escape(message))
