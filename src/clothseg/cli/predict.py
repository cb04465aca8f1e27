"""`clothseg predict`."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from clothseg import videos
from clothseg.cli.compile import Compile, compile_network
from clothseg.cli.inputs import Overrides, Quiet, Recursive
from clothseg.cli.selection import ClassAgnosticNms, ThresholdOf, Thresholds, selection_settings
from clothseg.cli.terminal import ERRORS, counted, progress_bar, walk
from clothseg.dataset.prelabel_files import PHOTOS_URL, SHOWN_FROM, LabelFormat, write_prelabels
from clothseg.distributed import DistributedContext, launch, world_size_for
from clothseg.files import require_absent, require_outside_inputs
from clothseg.instances import Selection
from clothseg.models import Model
from clothseg.photos import SUFFIXES, find_photos
from clothseg.prediction import MAPS, OutputFormat, Predicted, PredictOptions, detect_batch, predict_files


def predict(
    run: Annotated[Path, typer.Argument(help="A run's folder, or a weights file of ours or of others.")],
    photos: Annotated[list[Path], typer.Argument(help="Photos, videos, folders of photos, quoted patterns.")],
    out: Annotated[Path, typer.Option(help="Folder for the results.")],
    formats: Annotated[
        list[OutputFormat] | None,
        typer.Option("--format", help="What is written, repeated. Default: coco and pictures."),
    ] = None,
    score_threshold: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Leave out what is less sure. Default: pictures, maps, labels from 0.5 on."),
    ] = None,
    threshold: ThresholdOf = None,
    thresholds: Thresholds = None,
    class_agnostic_nms_iou: ClassAgnosticNms = None,
    recursive: Recursive = False,
    batch: Annotated[
        int, typer.Option(min=1, max=1024, help="Photos that are read, looked at and written together.")
    ] = 1,
    frame_stride: Annotated[int, typer.Option(min=1, help="Of a video, look at every so manieth frame.")] = 1,
    devices: Annotated[int, typer.Option(min=1, help="Share the photos among so many GPUs or processor cores.")] = 1,
    config: Annotated[str | None, typer.Option(help="Settings laid over those of the weights: YAML.")] = None,
    overrides: Overrides = None,
    class_names: Annotated[str | None, typer.Option(help="Names of a foreign file's classes, with commas.")] = None,
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
    """Find garments on photos and videos: COCO results, drawn pictures, label maps or a table.

    A file that cannot be read is listed and the rest goes on; the exit code is 1 then.

    Example: [b]clothseg predict runs/first my-photos/ --out found[/]

    Example: [b]clothseg predict runs/first "shop/**/*.jpg" clip.mp4 --thresholds best --out found[/]
    """
    require_absent(out, overwrite=overwrite)
    require_outside_inputs(out, photos)
    settings = [*(overrides or []), *selection_settings(run, threshold, thresholds, class_agnostic_nms_iou)]
    names = [name.strip() for name in class_names.split(",")] if class_names else None
    model = Model.load(run, settings=config, overrides=settings, classes=names)
    paths = find_photos(photos, recursive=recursive, suffixes=SUFFIXES | videos.SUFFIXES)
    least = SHOWN_FROM if score_threshold is None else score_threshold
    forms = frozenset(formats or PredictOptions().formats) | ({OutputFormat.COCO} if labels else set())
    options = PredictOptions(forms, Selection(least, model.selection().thresholds), batch, frame_stride)
    distributed = DistributedContext.of(launch(world_size_for(devices if devices > 1 else None, 1)))
    model.to(distributed.device)
    quiet = quiet or not distributed.is_first
    compile_network(model, compiled=compile_, quiet=quiet)
    with progress_bar(quiet=quiet) as bar:
        done = predict_files(
            partial(detect_batch, model, score_threshold=score_threshold or 0.0),
            dict(enumerate(model.classes, start=1)),
            paths,
            out,
            options,
            distributed=distributed,
            overwrite=overwrite,
            track=partial(walk, bar),
        )
    if done is None:
        return
    if not quiet and (done.photos or done.videos):
        say_what_came(done, options, out)
    if labels and done.photos:
        lost = write_prelabels(out, labels, shown=options.shown, photos_url=photos_url)
        if lost and not quiet:
            ERRORS.print(lost.sentence())
    for message in done.failed:
        ERRORS.print(f"[bold red]not read, or not wholly:[/] {escape(message)}")
    if done.failed:
        raise typer.Exit(1 if done.photos or done.videos else 2)


def say_what_came(done: Predicted, options: PredictOptions, out: Path) -> None:
    """How much was found and where it is, and what videos do not get."""
    seen = [counted(n, what) for n, what in ((done.photos, "photo"), (done.videos, "video")) if n]
    found = f"{counted(done.instances, 'instance')} on {' and '.join(seen)}"
    limit = f"{options.shown.score_threshold:g}{' or the threshold of its class' if options.shown.thresholds else ''}"
    ERRORS.print(f"{found}, each with a score of {limit} or more; see {escape(str(out))}")
    if done.videos and (maps := sorted(options.formats & MAPS)):
        ERRORS.print(f"videos get no {' and no '.join(maps)}; --format coco has the masks of each frame")
