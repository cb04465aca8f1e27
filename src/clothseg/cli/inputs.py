"""What people type for an input, and what it stands for."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from clothseg import sample
from clothseg.errors import ClothsegError
from clothseg.evaluation.stored import stored_thresholds

Data = Annotated[Path, typer.Argument(help="A data set's folder, as `clothseg dataset build` makes it.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bar, no messages.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="section.key=value, repeated.")]

ThresholdOf = Annotated[
    list[str] | None,
    typer.Option("--threshold", metavar="CLASS=SCORE", help="Least score of one class, repeated."),
]
Thresholds = Annotated[
    str | None,
    typer.Option(help="Each class's best threshold: a metrics.json, or [b]best[/] for the run's own."),
]
CrossClassIou = Annotated[
    float | None,
    typer.Option(min=0.01, max=1, help="Where masks of two classes overlap by this IoU, only the surer one stays."),
]
Recursive = Annotated[bool, typer.Option("--recursive", help="Look into the folders within a folder too.")]


def selection_settings(
    run: Path, threshold: list[str] | None, thresholds: str | None, cross_class_iou: float | None
) -> list[str]:
    """What the options above mean, as overrides of the configuration; those of single classes go before."""
    own = run if run.is_dir() else run.parent
    least = stored_thresholds(own if thresholds == "best" else Path(thresholds)) if thresholds else {}
    for text in threshold or ():
        name, _, score = text.rpartition("=")
        try:
            least[name.strip()] = float(score)
        except ValueError:
            raise ClothsegError(f"--threshold {text!r}: write it as CLASS=SCORE, such as Dress=0.5") from None
    settings = [f"detect.thresholds={json.dumps(least)}"] if least else []
    return settings + ([] if cross_class_iou is None else [f"detect.cross_class_iou={cross_class_iou}"])


def folder_called(source: Path) -> Path:
    """The folder of Open Images files: a path, or the word `sample` for the one that comes along."""
    return sample.folder() if str(source) == "sample" and not source.exists() else source


def annotations_file(data: Path) -> Path:
    """The COCO file to judge by: the one given, or a data set's validation photos."""
    return data / "annotations" / "val.json" if data.is_dir() else data


def names_in(given: Iterable[str] | None) -> list[str]:
    """Names from an option that may be repeated, and may hold several with commas."""
    return [name for text in given or () for name in text.split(",") if name.strip()]
