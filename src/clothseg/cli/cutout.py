"""`clothseg cutout`."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from clothseg.catalogue.tables import TableFormat
from clothseg.cli.catalogue import NetworkOptions, do_catalogue
from clothseg.cli.completion import classes_of_run, networks
from clothseg.cli.exported import load_exported
from clothseg.cli.inputs import (
    ClassAgnosticNms,
    Device,
    Gallery,
    Overwrite,
    Quiet,
    Recursive,
    ThresholdOf,
    Thresholds,
    search_photos,
    selection_settings,
)
from clothseg.cli.shard_options import (
    EngineName,
    EngineOption,
    PhotoColumn,
    RayAddress,
    RetryErrors,
    ShardOption,
    ShardOptions,
    ShardSize,
)
from clothseg.cli.terminal import (
    ERRORS,
    LOADING,
    fail_for_unread,
    opening,
    progress_bar,
    say_simpler_colours,
    waiting,
    walk,
)
from clothseg.counting import counted
from clothseg.devices import check_device_name
from clothseg.errors import ClothsegError
from clothseg.exported import ExportedModel, is_onnx
from clothseg.files import require_outside_inputs
from clothseg.garments import CutoutSettings, Edges, load_foreground, write_cutouts, write_one_cutout
from clothseg.garments.cutout_files import Predict
from clothseg.instances import class_number
from clothseg.journal import require_absent_or_unfinished
from clothseg.photos import SUFFIXES
from clothseg.weights import check_model


def cutout(
    run: Annotated[
        Path, typer.Argument(autocompletion=networks, help="A run's folder, any supported weights file, or garments.")
    ],
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="PHOTOS...",
            help="Photos, folders of photos, or quoted patterns. With --format also lists and addresses.",
        ),
    ],
    place: Annotated[
        str,
        typer.Option("--out", help="Folder for the PNGs and cutouts.json; for one photo also a file: NAME.png."),
    ] = "cutouts",
    form: Annotated[
        TableFormat | None,
        typer.Option("--format", help="List the cut-outs in tables in shards, for catalogues. Default: cutouts.json."),
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option(
            "--class",
            autocompletion=classes_of_run,
            help="Only garments of this class, repeatable. Default: all classes.",
        ),
    ] = None,
    score_threshold: Annotated[
        float, typer.Option(min=0, max=1, metavar="SCORE", help="Lowest score of a garment.")
    ] = 0.5,
    threshold: ThresholdOf = None,
    thresholds: Thresholds = None,
    class_agnostic_nms_iou: ClassAgnosticNms = None,
    recursive: Recursive = False,
    full_frame: Annotated[
        bool, typer.Option("--full-frame", help="Write PNGs of the photo's size, not trimmed to the garment.")
    ] = False,
    edges: Annotated[
        Edges,
        typer.Option(
            metavar="METHOD", help="How to find edges: regions, of even colour, or grabcut, GrabCut in a band."
        ),
    ] = "regions",
    min_part: Annotated[
        float,
        typer.Option(min=0, max=1, metavar="SHARE", help="Drop separate parts below this share of the garment's area."),
    ] = 0.01,
    min_hole: Annotated[
        float, typer.Option(min=0, max=1, metavar="SHARE", help="Close holes below this share of the garment's area.")
    ] = 0.001,
    device: Device = "auto",
    devices: Annotated[
        int, typer.Option(min=1, metavar="N", help="With --format: processes, or GPUs, that share the photos.")
    ] = 1,
    gallery: Gallery = True,
    overwrite: Overwrite = False,
    shard_size: ShardSize = None,
    shard: ShardOption = None,
    photo_column: PhotoColumn = None,
    retry_errors: RetryErrors = False,
    engine: EngineOption = EngineName.LOCAL,
    ray_address: RayAddress = None,
    quiet: Quiet = False,
) -> None:
    """Cut garments out of photos: one PNG for each, with a soft, transparent edge, in the photo's resolution.

    Photos that cannot be read are listed, and the others are processed; the exit code is then 1, or 2 if none can be
    read. After Ctrl-C or a kill, the same command continues where it was.

    Example: [b]clothseg cutout runs/first my-photos/ --out cut[/]

    Example: [b]clothseg cutout runs/first anna.jpg --class Dress --out dress.png[/]

    Example: [b]clothseg cutout runs/first s3://shop/photos/ --format parquet --out s3://shop/cut[/]
    """
    cut = CutoutSettings(edges, min_part, min_hole)
    sharding = ShardOptions(form, shard_size, shard, photo_column, retry_errors, engine, ray_address)
    sharding.check(inputs, place, devices=devices)
    network = NetworkOptions(run, score_threshold, threshold, thresholds, class_agnostic_nms_iou, device, devices)
    if form is not None:
        from clothseg.catalogue import CutOut  # noqa: PLC0415 - only catalogues need it

        task = CutOut(tuple(classes or ()), full_frame, cut)
        say_simpler_colours(quiet=quiet)
        do_catalogue(network, task, inputs, place, sharding, recursive=recursive, overwrite=overwrite, quiet=quiet,
                     wanted=classes or ())  # fmt: skip
        return
    photos, out = [Path(name) for name in inputs], Path(place)
    exported: ExportedModel | None = None
    if is_onnx(run):
        exported = load_exported(run, threshold, thresholds, class_agnostic_nms_iou, device, {})
    settings = selection_settings(run, threshold, thresholds, class_agnostic_nms_iou)
    require_absent_or_unfinished(out, overwrite=overwrite)
    require_outside_inputs(out, photos)
    check_device_name(device)
    if known := exported.classes if exported else check_model(run, overrides=settings):
        for name in classes or ():
            class_number(name, known, option="--class", ignore_case=True)
    paths = search_photos(photos, recursive=recursive, quiet=quiet)
    one_file = out.suffix.lower() in SUFFIXES and not out.is_dir()
    if one_file:
        require_one_photo(paths, out)
    say_simpler_colours(quiet=quiet)
    names, predict = _open(exported, run, settings, device, score_threshold, quiet=quiet)
    with progress_bar(quiet=quiet) as bar:
        with waiting(bar, LOADING):
            load_foreground()
        if one_file:
            best = write_one_cutout(predict, names, paths[0], out, classes=classes or (), full_frame=full_frame,
                                    settings=cut, overwrite=overwrite)  # fmt: skip
            if not quiet:
                ERRORS.print(f"wrote the {escape(best.class_name)} (score {best.score:.2f}) to {escape(str(out))}")
            return
        done = write_cutouts(
            predict, names, paths, out, classes=classes or (), full_frame=full_frame, settings=cut, overwrite=overwrite,
            gallery=gallery, progress=partial(walk, bar), work=network.facts(),
            notify=lambda message: None if quiet else ERRORS.print(escape(message)),
        )  # fmt: skip
    result = out / "index.html" if gallery and done.garments else out
    if not quiet and done.photos:
        ERRORS.print(
            f"{counted(done.garments, 'garment')} cut out of {counted(done.photos, 'photo')}; see {escape(str(result))}"
        )
    fail_for_unread(done.failed, done=bool(done.photos))


def _open(
    exported: ExportedModel | None, run: Path, settings: list[str], device: str, score_threshold: float, *, quiet: bool
) -> tuple[Sequence[str], Predict]:
    """The names of the classes, and what finds them on a photo."""
    if exported is not None:
        return exported.classes, partial(exported.find, score_threshold=score_threshold)
    with opening(quiet=quiet):
        from clothseg.models import Model  # noqa: PLC0415 - PyTorch; wrong input is refused without it

        model = Model.load(run, overrides=settings, device=device)
    return model.classes, partial(model.predict, score_threshold=score_threshold)


def require_one_photo(paths: Sequence[Path], out: Path) -> None:
    """Refuses a file at --out for several photos, and one that cannot be transparent.

    Raises:
        ClothsegError: see above.
    """
    if len(paths) > 1:
        raise ClothsegError(f"--out {out}: a file is for one photo, but these are {len(paths)}; name a folder")
    if out.suffix.lower() != ".png":
        raise ClothsegError(f"--out {out}: a cut-out has a transparent edge, so the name must end in .png")
