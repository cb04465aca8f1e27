"""`clothseg fit`, `evaluate` and `predict`."""

import json
import time
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from PIL import Image
from rich.console import Console
from rich.markup import escape
from rich.progress import track

from clothseg.cli.terminal import ERRORS
from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset
from clothseg.errors import ClothsegError, PhotoError
from clothseg.evaluation import evaluate_coco
from clothseg.evaluation.results import coco_results
from clothseg.files import refuse_existing, whole_file, write_whole
from clothseg.models import MaskRCNN, write_facts
from clothseg.photos import find_photos, read_photo
from clothseg.pictures import draw_instances
from clothseg.report import write_report

Data = Annotated[Path, typer.Argument(help="A data set's folder, as `clothseg dataset build` makes it.")]
SHOWN_FROM = 0.5
"""Pictures show what is this sure, unless told otherwise; predictions.json has all, as average precision needs."""

Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bar.")]


def library_versions() -> dict[str, str]:
    """Versions of the libraries that results depend on."""
    return {name: version(name) for name in ("torch", "torchvision", "timm", "lightning-fabric", "hotcoco", "numpy")}


def fit(
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for the run.")],
    config: Annotated[str, typer.Option(help="A YAML file or the name of a preset.")] = "demo",
    overrides: Annotated[list[str] | None, typer.Option("--set", help="section.key=value, repeated.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run in --out.")] = False,
    quiet: Quiet = False,
) -> None:
    """Fine-tune a network on a data set and write a run: weights, history, checkpoints.

    Ctrl-C saves; --resume goes on.

    Example: [b]clothseg fit data/clothes --config demo --out runs/first[/]
    """
    if resume and overrides:
        raise ClothsegError("--resume goes on with the run's own configuration; leave --set away")
    settings = Config.load(out / "config.yaml") if resume else Config.load(config, overrides or [])
    train, val = (CocoLikeDataset().load_data(data, split).prepare() for split in ("train", "val"))
    model = MaskRCNN(settings).build(train.classes)
    if not resume:
        refuse_existing(out, overwrite=overwrite)
        model.load_weights()
        if not quiet:
            ERRORS.print(
                f"{model.loaded.sentence() if model.loaded else ''}; {len(train)} train, {len(val)} val photos"
            )
    model.fit(train, val, out, overwrite=overwrite, resume=resume, quiet=quiet)
    if not quiet:
        ERRORS.print(f"wrote {escape(str(out))}; next: clothseg evaluate {escape(str(out))} {escape(str(data))}")


def evaluate(
    run: Annotated[Path, typer.Argument(help="A run's folder.")],
    data: Data,
    untrained: Annotated[
        bool, typer.Option("--untrained", help="Judge the network as it was before training, for comparison.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    quiet: Quiet = False,
) -> None:
    """Score a run on the validation photos: COCO's box and mask AP, with intervals; write figures and report.html.

    Example: [b]clothseg evaluate runs/first data/clothes[/]
    """
    begun = time.monotonic()
    val = CocoLikeDataset().load_data(data, "val").prepare()
    if untrained:
        model = MaskRCNN(Config.load(run / "config.yaml")).build(val.classes).load_weights()
    else:
        model = MaskRCNN.load(run)
    if model.classes != val.classes:
        raise ClothsegError(f"the network knows {model.classes}, but {data} has {val.classes}")
    photos = track(
        model.predict_dataset(val), "evaluating", total=len(val), console=Console(stderr=True), disable=quiet
    )
    results = [row for rows in photos for row in rows]
    if val.source is None:
        raise ClothsegError(f"{data}: no annotations to judge by")
    metrics = evaluate_coco(val.source, results)
    write_whole(run / ("metrics-untrained.json" if untrained else "metrics.json"), metrics.to_json())
    if not untrained:
        write_whole(run / "predictions.json", json.dumps(results))
    write_facts(
        run, {"timings": {"evaluate untrained" if untrained else "evaluate": round(time.monotonic() - begun, 1)}}
    )
    page = write_report(run, data)
    print(metrics.to_json() if as_json else metrics.table())
    if not quiet:
        ERRORS.print(f"wrote {escape(str(page))}")


def predict(
    run: Annotated[Path, typer.Argument(help="A run's folder, or a weights file of ours or of others.")],
    photos: Annotated[list[Path], typer.Argument(help="Photos, or folders of photos.")],
    out: Annotated[Path, typer.Option(help="Folder for predictions.json and pictures.")],
    min_confidence: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Leave out what is less sure. Default: pictures show from 0.5 on."),
    ] = None,
    config: Annotated[str | None, typer.Option(help="Settings laid over those of the weights: YAML.")] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="section.key=value, repeated.")] = None,
    classes: Annotated[str | None, typer.Option(help="Names of a foreign file's classes, with commas.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is in --out.")] = False,
    quiet: Quiet = False,
) -> None:
    """Find garments on photos: COCO results (with RLE masks) in predictions.json, and a PNG for every photo.

    A photo that cannot be read is listed and the rest goes on; the exit code is 1 then.

    Example: [b]clothseg predict runs/first my-photos/ --out found[/]
    """
    refuse_existing(out, overwrite=overwrite)
    names_given = [name.strip() for name in classes.split(",")] if classes else None
    model = MaskRCNN.load(run, settings=config, overrides=overrides or [], classes=names_given)
    paths = find_photos(photos)
    images: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    failed: list[str] = []
    names = dict(enumerate(model.classes, start=1))
    for number, path in enumerate(track(paths, "predicting", console=Console(stderr=True), disable=quiet), start=1):
        try:
            photo = read_photo(path)
        except PhotoError as error:
            failed.append(str(error))
            continue
        found = model.predict(photo)
        if min_confidence is not None:
            found = found[found.scores >= min_confidence]
        shown = found[found.scores >= (SHOWN_FROM if min_confidence is None else min_confidence)]
        picture = out / f"{number:04d}-{path.stem}.png"
        images.append(
            {
                "id": number,
                "file_name": str(path),
                "width": photo.shape[1],
                "height": photo.shape[0],
                "picture": picture.name,
            }
        )
        results += coco_results(number, found, lambda label: label)
        with whole_file(picture) as temporary:
            Image.fromarray(draw_instances(photo, shown, names)).save(temporary, format="PNG")
    if images:
        write_whole(out / "predictions.json", json.dumps(results))
        categories = [{"id": number, "name": name} for number, name in names.items()]
        write_whole(out / "images.json", json.dumps({"images": images, "categories": categories}, indent=1))
    if not quiet:
        ERRORS.print(f"{len(results)} garments on {len(images)} photos; see {escape(str(out))}")
    for message in failed:
        ERRORS.print(f"[bold red]not read:[/] {escape(message)}", highlight=False)
    if failed:
        raise typer.Exit(1 if images else 2)
