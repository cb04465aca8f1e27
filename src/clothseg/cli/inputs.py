"""Arguments and options that several commands share, and functions that interpret them."""

import csv
import json
import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from clothseg import sample
from clothseg.cli.completion import classes_of_source, devices, setting_names, thresholds_of_run
from clothseg.cli.terminal import ERRORS
from clothseg.dataset.photo_search import find_photos, with_photos_below
from clothseg.devices import check_device_name
from clothseg.errors import ClothsegError
from clothseg.paths import Wanted, require_path

if TYPE_CHECKING:
    from clothseg.models import Model

Data = Annotated[
    Path,
    typer.Argument(help="A dataset: clothseg's own, an export in COCO's format, or a COCO file beside its photos."),
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", help="Show no progress bar, no messages and no result that is in a file; only errors."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        autocompletion=setting_names,
        help="Change a setting, such as train.epochs=2, repeatable; list all: clothseg config show demo.",
    ),
]
WeightsSettings = Annotated[
    str | None, typer.Option(help="A YAML file with settings that replace those of the weights.")
]
ClassNames = Annotated[
    str | None, typer.Option(help="Class names of a weights file from another tool, separated by commas.")
]
Gallery = Annotated[
    bool, typer.Option("--gallery/--no-gallery", help="Write index.html, a page with everything that was found.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is at --out.")]
Device = Annotated[
    str,
    typer.Option(
        callback=check_device_name,
        autocompletion=devices,
        metavar="DEVICE",
        help="Where the network runs: cpu, cuda, cuda:1, mps, or auto: on the GPU if there is one.",
    ),
]
Compile = Annotated[
    bool, typer.Option("--compile", help="Compile the network: takes a minute or two once, then each photo is faster.")
]
Recursive = Annotated[bool, typer.Option("--recursive", help="Search subfolders too.")]
OtherSplit = Annotated[str | None, typer.Option("--split", help="Another split of the dataset than val.")]
HardLinks = Annotated[bool, typer.Option("--hard-links", help="Link photos instead of copying them; saves disk.")]
SplitSeed = Annotated[int, typer.Option("--seed", help="Random seed of the split by fraction.")]
JsonSummary = Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")]
SourceClasses = Annotated[
    list[str] | None,
    typer.Option(
        autocompletion=classes_of_source,
        help="Class names or ids, repeated or with commas. Default: Suit,Dress,Jeans.",
        metavar="NAMES",
    ),
]
IncludeChildren = Annotated[
    bool, typer.Option("--include-children", help="A class includes all kinds below it in the class tree.")
]
Partitions = Annotated[
    str | None, typer.Option(help="Only photos whose id begins with one of these digits: f, e,f or 0-3.")
]
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
        min=0,
        max=1,
        metavar="IOU",
        help="Where masks of different classes overlap by this IoU, keep only the one with the higher score.",
    ),
]


def search_photos(inputs: list[Path], *, recursive: bool, quiet: bool, **how: Any) -> list[Path]:
    """The photos that the inputs name, as `find_photos` finds them; says where subfolders have more.

    Raises:
        ClothsegError: see `find_photos`.
    """
    found = find_photos(inputs, recursive=recursive, **how)
    if not recursive and not quiet and os.environ.get("RANK", "0") == "0":  # torchrun starts one for each GPU
        for folder in with_photos_below(inputs):
            ERRORS.print(escape(f"{folder}: only the photos directly in it; --recursive searches its subfolders too"))
    return found


def folder_called(source: Path) -> Path:
    """The folder of Open Images files: a path, or the word `sample` for the included one.

    Raises:
        DataError: there is something else at the path.
    """
    if str(source) == "sample" and not source.exists():
        return sample.folder()
    require_path(source, Wanted.OPEN_IMAGES)
    return source


def names_in(given: Iterable[str] | None) -> list[str]:
    """The names of an option that may be repeated; each may hold several names, separated by commas."""
    return [name for text in given or () for name in text.split(",") if name.strip()]


def split_names(text: str) -> list[str]:
    """Names separated by commas; a name that contains a comma is in quotes: `Suit,"shirt, blouse"`."""
    return [name.strip() for name in next(csv.reader([text], skipinitialspace=True), [])]


def known_names_in(given: Iterable[str] | None, known: Collection[str]) -> list[str]:
    """The names of an option that may be repeated and may have commas, also where a known name contains commas.

    `shirt, blouse,Suit` gives `shirt, blouse` and `Suit` if both are known. Names that are not known stay as they are.
    """
    names = []
    for text in given or ():
        parts = [text] if text in known else text.split(",")
        while parts:
            joined = (",".join(parts[:count]).strip() for count in range(len(parts), 0, -1))
            name = next((name for name in joined if name in known), parts[0].strip())
            names.append(name)
            parts = parts[name.count(",") + 1 :]
    return [name for name in names if name]


def least_scores(run: Path, threshold: list[str] | None, thresholds: str | None) -> dict[str, float]:
    """The lowest score by class name, from `--threshold`, which takes precedence, and `--thresholds`.

    Raises:
        ClothsegError: an option is malformed, or the file cannot be read, or there is no such run.
    """
    from clothseg.evaluation.stored import stored_thresholds  # noqa: PLC0415 - tenths of a second
    from clothseg.weights.check import weights_file  # noqa: PLC0415 - the same

    own = weights_file(run).parent if thresholds == "best" else Path(thresholds or "")
    least = stored_thresholds(own) if thresholds else {}
    for text in threshold or ():
        name, _, written = text.rpartition("=")
        try:
            score = float(written)
        except ValueError:
            raise ClothsegError(f"--threshold {text!r}: write it as CLASS=SCORE, such as Dress=0.5") from None
        if not 0 <= score <= 1:  # nan neither
            raise ClothsegError(f"--threshold {text!r}: a score is from 0 to 1")
        least[name.strip()] = score
    return least


def selection_settings(
    run: Path, threshold: list[str] | None, thresholds: str | None, class_agnostic_nms_iou: float | None
) -> list[str]:
    """The options that select detections, as overrides of the configuration."""
    least = least_scores(run, threshold, thresholds)
    settings = [f"inference.class_thresholds={json.dumps(least)}"] if least else []
    return settings + (
        [] if class_agnostic_nms_iou is None else [f"inference.class_agnostic_nms_iou={class_agnostic_nms_iou}"]
    )


def compile_network(model: "Model", *, compiled: bool, quiet: bool) -> None:
    """Compiles the network if the option or the settings say so, and prints what to expect."""
    from clothseg.prediction import compile_for_inference  # noqa: PLC0415 - PyTorch

    message = compile_for_inference(model, requested=compiled)
    if message and not quiet:
        ERRORS.print(escape(message))


def default_out(parent: str, source: Path, ending: str = "") -> Path:
    """Where a command writes without --out: in `parent`, by the name of what it reads and `ending`."""
    place = source.resolve()
    return Path(parent) / ((place.name if place.is_dir() else place.stem) + ending)
