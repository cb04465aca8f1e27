"""`clothseg compose`."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from clothseg.cli.inputs import Quiet
from clothseg.cli.selection import ClassAgnosticNms, ThresholdOf, Thresholds, selection_settings
from clothseg.cli.terminal import ERRORS
from clothseg.errors import ClothsegError
from clothseg.garments import Placement, compose_files, replace_files
from clothseg.models import Model


def compose(
    garment: Annotated[Path, typer.Argument(help="A cut-out; with --replace also a photo to cut it out of.")],
    background: Annotated[Path, typer.Argument(help="The photo that it is put on.")],
    out: Annotated[Path, typer.Option(help="The picture to write: .png, .jpg or .webp.")],
    at: Annotated[
        str | None, typer.Option(help="Middle of the garment: x,y in pixels or with %.", metavar="X,Y")
    ] = None,
    scale: Annotated[float | None, typer.Option(min=0.001, max=100, help="Its size by its own.")] = None,
    box: Annotated[str | None, typer.Option(help="Box to fill, in pixels or with %.", metavar="X1,Y1,X2,Y2")] = None,
    replace: Annotated[
        Path | None, typer.Option(help="A run: find the garment of the same class, and cover that.", metavar="RUN")
    ] = None,
    class_name: Annotated[str | None, typer.Option("--class", help="With --replace: what to replace.")] = None,
    score_threshold: Annotated[
        float, typer.Option(min=0, max=1, help="With --replace: overlook what is less sure.")
    ] = 0.5,
    threshold: ThresholdOf = None,
    thresholds: Thresholds = None,
    class_agnostic_nms_iou: ClassAgnosticNms = None,
    keep_shape: Annotated[
        bool, typer.Option("--keep-shape", help="Keep the garment's proportions in a box, do not stretch it.")
    ] = False,
    keep_colours: Annotated[
        bool, typer.Option("--keep-colours", help="Do not bring its colours into the light of the photo.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace --out.")] = False,
    quiet: Quiet = False,
) -> None:
    """Put a cut-out on another photo: at a place, into a box, or over the garment of the same class.

    This pastes a picture. It does not drape cloth: folds, arms in front and the body's pose stay as they were.

    Example: [b]clothseg compose cut/0001-anna-1-Dress.png street.jpg --at 50%,60% --scale 0.8 --out pasted.jpg[/]

    Example: [b]clothseg compose anna.jpg street.jpg --replace runs/first --class Dress --out worn.jpg[/]
    """
    if replace is None:
        if class_name is not None or threshold or thresholds or class_agnostic_nms_iou:
            raise ClothsegError("--class and thresholds are for what is replaced; give --replace RUN too")
        where = Placement(at, scale, box, keep_shape)
        compose_files(garment, background, out, where, match_light=not keep_colours, overwrite=overwrite)
    else:
        if at is not None or scale is not None or box is not None:
            raise ClothsegError("--replace finds the place itself; leave --at, --scale and --box away")
        settings = selection_settings(replace, threshold, thresholds, class_agnostic_nms_iou)
        model = Model.load(replace, overrides=settings)
        done = replace_files(
            garment,
            background,
            out,
            partial(model.predict, score_threshold=score_threshold),
            model.classes,
            class_name=class_name,
            same_shape=keep_shape,
            match_light=not keep_colours,
            overwrite=overwrite,
        )
        if not quiet:
            corners = ", ".join(f"{side:.0f}" for side in done.box)
            ERRORS.print(f"replaced the {escape(done.class_name)} at {corners} (confidence {done.score:.2f})")
    if not quiet:
        ERRORS.print(f"wrote {escape(str(out))}")
