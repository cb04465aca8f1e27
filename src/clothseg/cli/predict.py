"""`clothseg predict`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from clothseg.cli.compiling import Compile, compile_network
from clothseg.cli.inputs import Overrides, Quiet
from clothseg.cli.terminal import ERRORS, progress_bar
from clothseg.dataset.prelabel_files import PHOTOS_URL, LabelFormat, write_prelabels
from clothseg.files import refuse_existing
from clothseg.models import MaskRCNN
from clothseg.photos import find_photos
from clothseg.prediction import predict_photos


def predict(
    run: Annotated[Path, typer.Argument(help="A run's folder, or a weights file of ours or of others.")],
    photos: Annotated[list[Path], typer.Argument(help="Photos, or folders of photos (not the folders in them).")],
    out: Annotated[Path, typer.Option(help="Folder for predictions.json and pictures.")],
    min_confidence: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Leave out what is less sure. Default: pictures and labels show from 0.5 on."),
    ] = None,
    config: Annotated[str | None, typer.Option(help="Settings laid over those of the weights: YAML.")] = None,
    overrides: Overrides = None,
    classes: Annotated[str | None, typer.Option(help="Names of a foreign file's classes, with commas.")] = None,
    labels: Annotated[
        list[LabelFormat] | None,
        typer.Option(help="Also write labels-FORMAT.json for a labelling tool: coco is for CVAT. Repeated."),
    ] = None,
    photos_url: Annotated[
        str, typer.Option(help="What Label Studio finds the photos under, before their names.")
    ] = PHOTOS_URL,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is in --out.")] = False,
    compile_: Compile = False,
    quiet: Quiet = False,
) -> None:
    """Find garments on photos: COCO results (with RLE masks) in predictions.json, and a PNG for every photo.

    A photo that cannot be read is listed and the rest goes on; the exit code is 1 then.

    Example: [b]clothseg predict runs/first my-photos/ --out found[/]
    """
    refuse_existing(out, overwrite=overwrite)
    names = [name.strip() for name in classes.split(",")] if classes else None
    model = MaskRCNN.load(run, settings=config, overrides=overrides or [], classes=names)
    paths = find_photos(photos)
    compile_network(model, wanted=compile_, quiet=quiet)
    with progress_bar(quiet=quiet) as bar:

        def track(places: Sequence[Path]) -> Iterator[Path]:
            yield from bar.track(places, description="predicting")

        done = predict_photos(model, paths, out, min_confidence=min_confidence, overwrite=overwrite, track=track)
    if not quiet and done.photos:
        ERRORS.print(f"{done.instances} instances on {done.photos} photos; see {escape(str(out))}")
    if labels and done.photos:
        lost = write_prelabels(out, labels, min_confidence=min_confidence, photos_url=photos_url)
        if lost and not quiet:
            ERRORS.print(lost.sentence())
    for message in done.failed:
        ERRORS.print(f"[bold red]not read:[/] {escape(message)}")
    if done.failed:
        raise typer.Exit(1 if done.photos else 2)
