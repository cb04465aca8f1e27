"""The `clothseg` command: its commands in order, and how errors are shown."""

import sys
from typing import Annotated

import typer

from clothseg import __version__
from clothseg.cli.failures import explain_stop, report_failure, silence_threads, termination_like_ctrl_c
from clothseg.cli.lazy import lazy_group
from clothseg.cli.renamed import refuse_renamed_options
from clothseg.cli.terminal import accept_any_text, close_output, open_closed_streams, warnings_in_one_line
from clothseg.versions import library_versions

ORDER = (
    "dataset",
    "fit",
    "evaluate",
    "figures",
    "predict",
    "export",
    "cutout",
    "merge",
    "compose",
    "serve",
    "compare",
    "curves",
    "learning-curve",
    "weights",
    "config",
    "demo",
)


app = typer.Typer(
    name="clothseg",
    cls=lazy_group("clothseg.cli", ORDER),
    help="Find garments on photos and cut them out: build datasets, fine-tune, evaluate, predict.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the versions of clothseg and its libraries.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error; may be anywhere.")
    ] = False,  # `main`
) -> None:
    if version:
        print(f"clothseg {__version__}")
        for name, number in library_versions().items():
            if name != "clothseg":
                print(f"{name} {number}")
        raise typer.Exit


def main() -> None:
    """Runs the command line.

    Exit code 0: done; 1: done in part, or stopped; 2: wrong input, or a limit of this machine; 3: a fault of clothseg.
    """
    open_closed_streams()
    accept_any_text()
    arguments = [word for word in sys.argv[1:] if word != "--debug"]
    debug = len(arguments) < len(sys.argv[1:])
    if not debug:
        silence_threads()
    try:
        with warnings_in_one_line(), termination_like_ctrl_c():
            refuse_renamed_options(arguments)
            app(arguments)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            raise
        code = report_failure(explain_stop(error) if isinstance(error, KeyboardInterrupt) else error, arguments)
    sys.exit(_flushed(code, arguments))


def _flushed(code: int, arguments: list[str]) -> int:
    """The exit code, after all that was printed has arrived."""
    try:
        sys.stdout.flush()
    except OSError as error:  # a closed pipe, or a full disk
        close_output()
        if not code:
            code = report_failure(explain_stop(error) if isinstance(error, BrokenPipeError) else error, arguments)
    return code
