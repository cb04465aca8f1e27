"""`clothseg evaluate`."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from clothseg.cli.inputs import Data, Quiet
from clothseg.cli.terminal import ERRORS, progress_bar
from clothseg.dataset import CocoLikeDataset
from clothseg.files import write_whole
from clothseg.models import MaskRCNN
from clothseg.report import write_report
from clothseg.runs import RunFolder


def evaluate(
    run: Annotated[Path, typer.Argument(help="A run's folder.")],
    data: Data,
    untrained: Annotated[
        bool, typer.Option("--untrained", help="Judge the network as it was before training, for comparison.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    quiet: Quiet = False,
) -> None:
    """Score a run on the validation photos: COCO's box and mask AP, with intervals; write figures and report.html.

    Example: [b]clothseg evaluate runs/first data/clothes[/]
    """
    begun = time.monotonic()
    folder = RunFolder(run)
    val = CocoLikeDataset().load_data(data, "val").prepare()
    model = MaskRCNN.load_untrained(run, val.classes) if untrained else MaskRCNN.load(run)
    with progress_bar(quiet=quiet) as bar:
        photos = bar.track(model.predict_dataset(val), total=len(val), description="evaluating")
        results = [row for rows in photos for row in rows]
    metrics = model.evaluate(val, results)
    write_whole(folder.untrained_metrics if untrained else folder.metrics, metrics.to_json())
    if not untrained:
        write_whole(folder.predictions, json.dumps(results))
    name = "evaluate untrained" if untrained else "evaluate"
    folder.add_facts({"timings": {name: round(time.monotonic() - begun, 1)}})
    page = write_report(run, data)
    print(metrics.to_json() if as_json else metrics.table())
    if not quiet:
        ERRORS.print(f"wrote {escape(str(page))}")
