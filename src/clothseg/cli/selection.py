"""Options that select detections, shared by the commands that run a network."""

import json
from pathlib import Path
from typing import Annotated

import typer

from clothseg.cli.completion import thresholds_of_run
from clothseg.errors import ClothsegError
from clothseg.evaluation.stored import stored_thresholds
from clothseg.weights.check import weights_file

ThresholdOf = Annotated[
    list[str] | None,
    typer.Option(
        "--threshold",
        autocompletion=thresholds_of_run,
        metavar="CLASS=SCORE",
        help="Lowest score of one class, repeatable.",
    ),
]
Thresholds = Annotated[
    str | None,
    typer.Option(help="Best threshold of each class, from a metrics.json, or [b]best[/]: from that of the run."),
]
ClassAgnosticNms = Annotated[
    float | None,
    typer.Option(
        "--class-agnostic-nms",
        min=0.01,
        max=1,
        metavar="IOU",
        help="Where masks of different classes overlap by this IoU, keep only the one with the higher score.",
    ),
]


def least_scores(run: Path, threshold: list[str] | None, thresholds: str | None) -> dict[str, float]:
    """The lowest score by class name, from the options above; `threshold` takes precedence over `thresholds`.

    Raises:
        ClothsegError: an option is malformed, or the file cannot be read, or there is no such run.
    """
    own = weights_file(run).parent if thresholds == "best" else Path(thresholds or "")
    least = stored_thresholds(own) if thresholds else {}
    for text in threshold or ():
        name, _, score = text.rpartition("=")
        try:
            least[name.strip()] = float(score)
        except ValueError:
            raise ClothsegError(f"--threshold {text!r}: write it as CLASS=SCORE, such as Dress=0.5") from None
    return least


def selection_settings(
    run: Path, threshold: list[str] | None, thresholds: str | None, class_agnostic_nms_iou: float | None
) -> list[str]:
    """The options above as overrides of the configuration."""
    least = least_scores(run, threshold, thresholds)
    settings = [f"inference.class_thresholds={json.dumps(least)}"] if least else []
    return settings + (
        [] if class_agnostic_nms_iou is None else [f"inference.class_agnostic_nms_iou={class_agnostic_nms_iou}"]
    )
