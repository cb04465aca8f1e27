"""`clothseg dataset`: a file a command; `ORDER` is the order in which `--help` shows them."""

import typer

from clothseg.cli.dataset.build import build
from clothseg.cli.dataset.classes import classes
from clothseg.cli.dataset.download import download
from clothseg.cli.dataset.stats import stats
from clothseg.cli.terminal import in_order

ORDER = ("classes", "stats", "download", "build", "check", "show")

app = typer.Typer(
    help="Make, check and look at COCO data sets.",
    cls=in_order(ORDER),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def _group() -> None:
    """Make, check and look at COCO data sets."""


app.command()(classes)
app.command()(stats)
app.command()(download)
app.command()(build)
