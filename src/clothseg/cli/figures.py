"""`clothseg figures`."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from clothseg.cli.inputs import Quiet
from clothseg.cli.selection import ThresholdOf, Thresholds, least_scores
from clothseg.cli.terminal import ERRORS, progress_bar, walk
from clothseg.evaluation.stored import shared_data
from clothseg.files import require_absent
from clothseg.instances import Selection, class_number
from clothseg.report.best_examples import write_figures


def figures(
    run: Annotated[Path, typer.Argument(help="An evaluated run's folder.")],
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")],
    data: Annotated[Path | None, typer.Option(help="The data set; by default the run's own.")] = None,
    best: Annotated[int, typer.Option(min=1, help="Examples of each class.")] = 6,
    every_photo: Annotated[
        bool, typer.Option("--all", help="Draw every validation photo by itself, not only those of the sheets.")
    ] = False,
    score_threshold: Annotated[float, typer.Option(min=0, max=1, help="Leave out what is less sure.")] = 0.5,
    threshold: ThresholdOf = None,
    thresholds: Thresholds = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is in --out.")] = False,
    quiet: Quiet = False,
) -> None:
    """Draw what an evaluated run found on its validation photos: a sheet of the best examples of each class, truth
    beside prediction, and each photo with labels, scores, boxes and masks.

    Example: [b]clothseg figures runs/first --thresholds best --out figures[/]
    """
    require_absent(out, overwrite=overwrite)
    least = least_scores(run, threshold, thresholds)

    def shown(names: Mapping[int, str]) -> Selection:
        known = {name: number for number, name in names.items()}
        classes = list(names.values())
        return Selection(
            score_threshold, {known[classes[class_number(name, classes) - 1]]: score for name, score in least.items()}
        )

    with progress_bar(quiet=quiet) as bar:

        def track(images: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
            yield from walk(bar, images, len(images), "drawing")

        done = write_figures(
            run,
            data if data is not None else shared_data([run]),
            out,
            shown=shown,
            best=best,
            every_photo=every_photo,
            overwrite=overwrite,
            track=track,
        )
    if not quiet:
        counted = ", ".join(f"{count} of {name}" for name, count in done.examples.items())
        ERRORS.print(escape(f"{done.photos} photos; best examples: {counted}; see {out}"))
    for message in done.unread:
        ERRORS.print(f"[bold red]not read:[/] {escape(message)}")
    if done.unread:
        raise typer.Exit(1)
