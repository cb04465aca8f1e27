"""`clothseg compose`."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from clothseg.cli.inputs import ClassAgnosticNms, Device, Overwrite, Quiet, ThresholdOf, Thresholds, selection_settings
from clothseg.cli.terminal import ERRORS, LOADING, opening, progress_bar, say_simpler_colours, waiting
from clothseg.devices import AUTO, check_device_name
from clothseg.errors import ClothsegError
from clothseg.garments import Placement, check_files, compose_files, load_foreground, replace_files
from clothseg.instances import class_number
from clothseg.weights import check_model


def compose(
    garment: Annotated[Path, typer.Argument(help="A cut-out; with --replace it may also be a photo to cut it from.")],
    background: Annotated[Path, typer.Argument(help="The photo to put it on.")],
    out: Annotated[Path, typer.Option(help="The picture to write: .png, .jpg or .webp.")] = Path("composed.jpg"),
    at: Annotated[str | None, typer.Option(help="Center of the garment, in pixels or with %.", metavar="X,Y")] = None,
    scale: Annotated[float | None, typer.Option(min=0.001, max=100, help="Factor for the size of the garment.")] = None,
    box: Annotated[str | None, typer.Option(help="Box to fill, in pixels or with %.", metavar="X1,Y1,X2,Y2")] = None,
    replace: Annotated[
        Path | None,
        typer.Option(help="Cover the garment of the same class, which this run finds.", metavar="RUN"),
    ] = None,
    class_name: Annotated[str | None, typer.Option("--class", help="With --replace: the class to replace.")] = None,
    score_threshold: Annotated[
        float, typer.Option(min=0, max=1, help="With --replace: lowest score of the garment to cover.")
    ] = 0.5,
    threshold: ThresholdOf = None,
    thresholds: Thresholds = None,
    class_agnostic_nms_iou: ClassAgnosticNms = None,
    keep_shape: Annotated[
        bool, typer.Option("--keep-shape", help="Keep the garment's aspect ratio in a box; do not stretch it.")
    ] = False,
    keep_colours: Annotated[
        bool, typer.Option("--keep-colours", help="Do not adapt the garment's colours to the light of the photo.")
    ] = False,
    device: Device = "auto",
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Paste a cut-out onto another photo: at a position, into a box, or over the garment of the same class.

    This pastes a picture. It does not drape cloth: folds, arms in front and the pose of the body do not change.

    Example: [b]clothseg compose cut/0001-anna-1-Dress.png street.jpg --at 50%,60% --scale 0.8 --out pasted.jpg[/]

    Example: [b]clothseg compose anna.jpg street.jpg --replace runs/first --class Dress --out worn.jpg[/]
    """
    if replace is None:
        if class_name is not None or threshold or thresholds or class_agnostic_nms_iou:
            raise ClothsegError("--class and the thresholds select the garment to replace; add --replace RUN")
        if device != AUTO:
            raise ClothsegError("--device is for the network that finds the garment to replace; add --replace RUN")
        where = Placement(at, scale, box, keep_shape)
        compose_files(garment, background, out, where, match_light=not keep_colours, overwrite=overwrite)
    else:
        if at is not None or scale is not None or box is not None:
            raise ClothsegError("--replace finds the position itself; remove --at, --scale and --box")
        settings = selection_settings(replace, threshold, thresholds, class_agnostic_nms_iou)
        check_device_name(device)
        known = check_model(replace, overrides=settings)
        check_files(garment, background, out, overwrite=overwrite)
        if known and class_name is not None:
            class_number(class_name, known, option="--class", ignore_case=True)
        say_simpler_colours(quiet=quiet)
        with opening(quiet=quiet):
            from clothseg.models import Model  # noqa: PLC0415 - PyTorch; wrong input is refused without it

            model = Model.load(replace, overrides=settings, device=device)
        with progress_bar(quiet=quiet) as bar, waiting(bar, LOADING):
            load_foreground()
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
            ERRORS.print(f"replaced the {escape(done.class_name)} at {corners} (score {done.score:.2f})")
    if not quiet:
        ERRORS.print(f"wrote {escape(str(out))}")
