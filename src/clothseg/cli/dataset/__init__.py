"""`clothseg dataset`: a file a command; `ORDER` is the order in which `--help` shows them."""

import typer

from clothseg.cli.lazy import lazy_group

ORDER = ("classes", "stats", "download", "build", "import", "check", "show", "export")

app = typer.Typer(
    cls=lazy_group("clothseg.cli.dataset", ORDER),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _group() -> None:
    """Make, check and look at COCO datasets."""
