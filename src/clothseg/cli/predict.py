"""`clothseg predict`."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from clothseg import videos
from clothseg.cli.catalogue import NetworkOptions, do_catalogue
from clothseg.cli.completion import networks
from clothseg.cli.exported import load_exported
from clothseg.cli.inputs import (
    ClassAgnosticNms,
    ClassNames,
    Compile,
    Device,
    Gallery,
    Overrides,
    Overwrite,
    Quiet,
    Recursive,
    ThresholdOf,
    Thresholds,
    WeightsSettings,
    compile_network,
    search_photos,
    selection_settings,
    split_names,
)
from clothseg.cli.ranking import check_ranking, rank_photos
from clothseg.cli.shard_options import (
    EngineName,
    EngineOption,
    PhotoColumn,
    PredictFormat,
    RayAddress,
    RetryErrors,
    ShardOption,
    ShardOptions,
    ShardSize,
    refuse_in_shards,
    table_format,
)
from clothseg.cli.terminal import ERRORS, end_failed, fail_for_unread, opening, progress_bar, walk
from clothseg.counting import counted
from clothseg.dataset.prelabel_files import PHOTOS_URL, SHOWN_FROM, LabelFormat, write_prelabels
from clothseg.devices import check_device_name, resolve_device
from clothseg.exported import ExportedModel, is_onnx
from clothseg.files import require_outside_inputs
from clothseg.instances import Selection
from clothseg.journal import require_absent_or_unfinished
from clothseg.photos import SUFFIXES
from clothseg.prediction import MAPS, OutputFormat, PredictOptions, predict_files
from clothseg.prediction.options import Find
from clothseg.weights import check_model

if TYPE_CHECKING:
    from clothseg.distributed import DistributedContext
    from clothseg.models import Model
    from clothseg.prediction import Predicted


def predict(
    run: Annotated[
        Path, typer.Argument(autocompletion=networks, help="A run's folder, any supported weights file, or garments.")
    ],
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="PHOTOS...",
            help="Photos, videos, folders of photos, patterns in quotes, COCO datasets. For catalogues also lists and "
            "addresses.",
        ),
    ],
    place: Annotated[str, typer.Option("--out", help="Folder for the results.")] = "found",
    formats: Annotated[
        list[PredictFormat] | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="What to write: coco, pictures, csv, class-maps, instance-maps; repeat for several. Default: coco and "
            "pictures. For catalogues: parquet or jsonl.",
        ),
    ] = None,
    score_threshold: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            metavar="SCORE",
            help="Leave out detections with a lower score. Default: 0.5 for pictures, maps and labels.",
        ),
    ] = None,
    threshold: ThresholdOf = None,
    thresholds: Thresholds = None,
    class_agnostic_nms_iou: ClassAgnosticNms = None,
    recursive: Recursive = False,
    split: Annotated[str | None, typer.Option(help="Only this split of a dataset. Default: all its photos.")] = None,
    batch: Annotated[
        int, typer.Option(min=1, max=1024, metavar="N", help="Number of photos that are processed together.")
    ] = 1,
    frame_stride: Annotated[int, typer.Option(min=1, metavar="N", help="Process every Nth frame of a video.")] = 1,
    device: Device = "auto",
    devices: Annotated[
        int, typer.Option(min=1, metavar="N", help="Share the photos between this many GPUs or CPU processes.")
    ] = 1,
    config: WeightsSettings = None,
    overrides: Overrides = None,
    class_names: ClassNames = None,
    labels: Annotated[
        list[LabelFormat] | None,
        typer.Option(
            metavar="FORMAT",
            help="Also write labels-FORMAT.json for a labelling tool: coco or coco-rle for CVAT, label-studio; repeat "
            "for several.",
        ),
    ] = None,
    photos_url: Annotated[
        str,
        typer.Option(show_default="that of its local files", help="Prefix of the photos' addresses in Label Studio."),
    ] = PHOTOS_URL,
    rank_for_labelling: Annotated[
        bool,
        typer.Option("--rank-for-labelling", help="Write ranking.csv: the photos in the order in which to label them."),
    ] = False,
    label_first: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Copy the first N photos of the ranking, and predict only on these."),
    ] = None,
    gallery: Gallery = True,
    overwrite: Overwrite = False,
    compile_: Compile = False,
    shard_size: ShardSize = None,
    shard: ShardOption = None,
    photo_column: PhotoColumn = None,
    retry_errors: RetryErrors = False,
    engine: EngineOption = EngineName.LOCAL,
    ray_address: RayAddress = None,
    quiet: Quiet = False,
) -> None:
    """Find garments on photos and videos: COCO results, drawn pictures, label maps or a table.

    Files that cannot be read are listed, the rest is processed, and the exit code is 1, or 2 if none can
    be read. After Ctrl-C or a kill, the same command continues where it was.

    Example: [b]clothseg predict runs/first my-photos/ --out found[/]

    Example: [b]clothseg predict runs/first unlabelled/ --rank-for-labelling --label-first 50 --labels coco[/]

    Example: [b]clothseg predict runs/first "shop/**/*.jpg" clip.mp4 --thresholds best --out found[/]

    Example: [b]clothseg predict runs/first photos.csv --format parquet --shard 3/40 --out found[/]
    """
    sharding = ShardOptions(table_format(formats or []), shard_size, shard, photo_column, retry_errors, engine,
                            ray_address)  # fmt: skip
    sharding.check(inputs, place)
    names = split_names(class_names) if class_names else None
    network = NetworkOptions(run, score_threshold, threshold, thresholds, class_agnostic_nms_iou, device, devices,
                             config, overrides or (), names, compile_)  # fmt: skip
    if sharding.form is not None:
        refuse_in_shards({"--labels": labels, "--split": split, "--rank-for-labelling": rank_for_labelling,
                          "--label-first": label_first, "--frame-stride": frame_stride > 1})  # fmt: skip
        from clothseg.catalogue import Predict  # noqa: PLC0415 - only catalogues need it

        do_catalogue(network, Predict(), inputs, place, sharding, recursive=recursive, overwrite=overwrite, quiet=quiet,
                     batch=batch)  # fmt: skip
        return
    photos, out = [Path(name) for name in inputs], Path(place)
    require_absent_or_unfinished(out, overwrite=overwrite)
    require_outside_inputs(out, photos)
    exported: ExportedModel | None = None
    if is_onnx(run):
        unfit = {"--config": bool(config), "--set": bool(overrides), "--class-names": bool(class_names)}
        unfit |= {"--compile": compile_, "--devices": devices > 1, "--rank-for-labelling": rank_for_labelling}
        exported = load_exported(run, threshold, thresholds, class_agnostic_nms_iou, device, unfit)
    settings = [*(overrides or []), *selection_settings(run, threshold, thresholds, class_agnostic_nms_iou)]
    check_device_name(device)
    if exported is None:
        check_model(run, config, settings, names)
    paths = search_photos(photos, recursive=recursive, quiet=quiet, suffixes=SUFFIXES | videos.SUFFIXES, datasets=True,
                          split=split)  # fmt: skip
    if rank_for_labelling or label_first:
        check_ranking(paths, devices, label_first, labels, rank=rank_for_labelling)
    if exported is not None:
        opened = _open_exported(exported, score_threshold)
    else:
        opened = _open_network(run, config, settings, names, device, devices, score_threshold, compiled=compile_,
                               quiet=quiet)  # fmt: skip
    quiet = quiet or not (opened.distributed is None or opened.distributed.is_first)
    unread: list[str] = []
    if rank_for_labelling and opened.model is not None:
        paths, unread = rank_photos(opened.model, paths, out, label_first, quiet=quiet)
        overwrite = True
        if not paths:
            fail_for_unread(unread)
            return
    shown = Selection(SHOWN_FROM if score_threshold is None else score_threshold, opened.selection.thresholds)
    forms = frozenset(map(OutputFormat, formats or PredictOptions().formats))
    forms |= {OutputFormat.COCO} if labels else set()
    options = PredictOptions(forms, shown, batch, frame_stride, opened.calibrated, gallery, tuple(labels or ()))
    with progress_bar(quiet=quiet) as bar:
        done = predict_files(
            opened.find, dict(enumerate(opened.classes, start=1)), paths, out, options,
            distributed=opened.distributed, overwrite=overwrite, progress=partial(walk, bar), work=network.facts(),
            notify=lambda message: None if quiet else ERRORS.print(escape(message)),
        )  # fmt: skip
    if done is None:
        return
    if not quiet and (done.photos or done.videos):
        print_summary(done, options, out)
    if labels and done.photos:
        _write_labels(labels, out, options.shown, photos_url, quiet=quiet)
    _fail_for_files([*unread, *done.failed], done)


@dataclass(frozen=True)
class _Opened:
    """A network that is ready to find: of PyTorch (`model`), or exported."""

    find: Find
    classes: list[str]
    selection: Selection
    calibrated: bool = False
    distributed: "DistributedContext | None" = None
    model: "Model | None" = None


def _open_exported(exported: ExportedModel, score_threshold: float | None) -> _Opened:
    selection = exported.selection()
    find = partial(exported.find_each, score_threshold=score_threshold or 0.0)
    return _Opened(find, exported.classes, selection, exported.calibration is not None)


def _open_network(
    run: Path,
    config: str | None,
    settings: list[str],
    names: list[str] | None,
    device: str,
    devices: int,
    score_threshold: float | None,
    *,
    compiled: bool,
    quiet: bool,
) -> _Opened:
    # PyTorch takes seconds to import: only now, because wrong input is refused at once.
    with opening(quiet=quiet):
        from clothseg.distributed import launch_context, world_size_for  # noqa: PLC0415
        from clothseg.models import Model  # noqa: PLC0415
        from clothseg.prediction import detect_batch  # noqa: PLC0415

        where = resolve_device(device)
        processes = world_size_for(devices if devices > 1 else None, 1, where)
        model = Model.load(run, settings=config, overrides=settings, classes=names, device="cpu")
    distributed = launch_context(processes, where)
    model.to(distributed.device)
    compile_network(model, compiled=compiled, quiet=quiet or not distributed.is_first)
    return _Opened(
        partial(detect_batch, model, score_threshold=score_threshold or 0.0),
        model.classes,
        model.selection(),
        model.calibration is not None,
        distributed,
        model,
    )


def _write_labels(labels: list[LabelFormat], out: Path, shown: Selection, photos_url: str, *, quiet: bool) -> None:
    """Writes the files for labelling tools, and prints what polygons lose."""
    lost = write_prelabels(out, labels, shown=shown, photos_url=photos_url)
    if lost and not quiet:
        ERRORS.print(lost.sentence())


def _fail_for_files(messages: list[str], done: "Predicted") -> None:
    """Lists the photos and videos that were not read; exit code 1, or 2 if nothing was done."""
    for message in messages:
        ERRORS.print(f"[bold red]not read, or only in part:[/] {escape(message)}")
    if messages:
        end_failed(done=bool(done.photos or done.videos))


def print_summary(done: "Predicted", options: PredictOptions, out: Path) -> None:
    """Prints how much was found and where it is, and which formats videos do not have."""
    seen = [counted(n, what) for n, what in ((done.photos, "photo"), (done.videos, "video")) if n]
    found = f"{counted(done.instances, 'instance')} on {' and '.join(seen)}"
    place = out / "index.html" if options.gallery and done.photos else out
    limit = f"{options.shown.score_threshold:g}{' or the threshold of its class' if options.shown.thresholds else ''}"
    ERRORS.print(f"{found}, each with a score of {limit} or more; see {escape(str(place))}")
    if done.videos and (maps := sorted(options.formats & MAPS)):
        ERRORS.print(f"there are no {' and no '.join(maps)} for videos; --format coco has the masks of each frame")
