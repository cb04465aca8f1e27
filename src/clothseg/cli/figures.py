"""`clothseg figures`."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from clothseg.cli.completion import runs
from clothseg.cli.inputs import OtherSplit, Overwrite, Quiet, ThresholdOf, Thresholds, least_scores
from clothseg.cli.terminal import ERRORS, fail_for_unread, progress_bar, walk
from clothseg.counting import counted, first_names
from clothseg.evaluation.stored import require_evaluated, shared_data, validation_split
from clothseg.files import require_absent


def figures(
    run: Annotated[Path, typer.Argument(autocompletion=runs, help="An evaluated run's folder.")],
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("figures"),
    data: Annotated[Path | None, typer.Option(help="The dataset. Default: the run's own.")] = None,
    split: OtherSplit = None,
    best: Annotated[int, typer.Option(min=1, help="Number of examples of each class.")] = 6,
    every_photo: Annotated[
        bool, typer.Option("--all", help="Draw every validation photo, not only those of the sheets.")
    ] = False,
    score_threshold: Annotated[
        float, typer.Option(min=0, max=1, help="Leave out detections with a lower score.")
    ] = 0.5,
    threshold: ThresholdOf = None,
    thresholds: Thresholds = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Draw the detections of an evaluated run on its validation photos: a sheet with the best examples of each class,
    ground truth beside prediction, and each photo with labels, scores, boxes and masks.

    Example: [b]clothseg figures runs/first --thresholds best --out figures[/]
    """
    require_absent(out, overwrite=overwrite)
    require_evaluated(run)
    validation_split(data if data is not None else shared_data([run]), split, [run])
    class_thresholds = least_scores(run, threshold, thresholds)
    from clothseg.report import write_figures  # noqa: PLC0415 - PyTorch; wrong input is refused without it

    with progress_bar(quiet=quiet) as bar:
        done = write_figures(
            run,
            out,
            data,
            split=split,
            score_threshold=score_threshold,
            class_thresholds=class_thresholds,
            best=best,
            every_photo=every_photo,
            overwrite=overwrite,
            progress=partial(walk, bar),
        )
    if not quiet:
        sheets = first_names([f"{count} of {name}" for name, count in done.examples.items()])
        ERRORS.print(escape(f"wrote {counted(done.photos, 'photo')} to {out}; best examples: {sheets}"))
    fail_for_unread(done.unread)
