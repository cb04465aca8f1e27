"""Options that say which detections count, shared by the commands that find garments."""

import json
from pathlib import Path
from typing import Annotated

import typer

from clothseg.errors import ClothsegError
from clothseg.evaluation.stored import stored_thresholds

ThresholdOf = Annotated[
    list[str] | None,
    typer.Option("--threshold", metavar="CLASS=SCORE", help="Least score of one class, repeated."),
]
Thresholds = Annotated[
    str | None,
    typer.Option(help="Each class's best threshold: a metrics.json, or [b]best[/] for the run's own."),
]
ClassAgnosticNms = Annotated[
    float | None,
    typer.Option(
        "--class-agnostic-nms",
        min=0.01,
        max=1,
        metavar="IOU",
        help="Where masks of two classes overlap by this IoU, only the surer one stays.",
    ),
]


def least_scores(run: Path, threshold: list[str] | None, thresholds: str | None) -> dict[str, float]:
    """The least score of classes by name, of the options above; what is said of a single class goes before.

    Raises:
        ClothsegError: an option cannot be understood, or its file not read.
    """
    own = run if run.is_dir() else run.parent
    least = stored_thresholds(own if thresholds == "best" else Path(thresholds)) if thresholds else {}
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
    """What the options above mean, as overrides of the configuration."""
    least = least_scores(run, threshold, thresholds)
    settings = [f"inference.class_thresholds={json.dumps(least)}"] if least else []
    return settings + (
        [] if class_agnostic_nms_iou is None else [f"inference.class_agnostic_nms_iou={class_agnostic_nms_iou}"]
    )
