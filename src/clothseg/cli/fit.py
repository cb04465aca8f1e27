"""`clothseg fit`."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from clothseg.cli.inputs import Data, Overrides, Quiet
from clothseg.cli.terminal import ERRORS
from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset
from clothseg.errors import ClothsegError
from clothseg.files import refuse_existing
from clothseg.models import MaskRCNN
from clothseg.runs import RunFolder
from clothseg.training import batch_of_each, early_end, processes_wanted, start_processes


class OnNan(StrEnum):
    """What becomes of a step whose loss is not finite."""

    STOP = "stop"
    SKIP = "skip"


def fit(
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for the run.")],
    config: Annotated[
        str | None, typer.Option(help="A YAML file or the name of a preset. Default: demo, or the run's own.")
    ] = None,
    overrides: Overrides = None,
    start_from: Annotated[
        str | None,
        typer.Option(help="Begin with these weights: a run, a file of anybody's, or a published name such as coco."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    extend: Annotated[
        int | None, typer.Option(min=1, help="Go on with the finished run in --out for so many more epochs.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="With --resume: go on though the data set is another one.")
    ] = False,
    on_nan: Annotated[
        OnNan | None, typer.Option("--on-nan", help="A loss that is not finite stops the run, or its step is skipped.")
    ] = None,
    devices: Annotated[
        int | None,
        typer.Option(min=1, help="Learn on so many GPUs, or processes of a CPU, with train.batch_size photos on each."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run in --out.")] = False,
    quiet: Quiet = False,
) -> None:
    """Fine-tune a network on a data set and write a run: weights, history, curves, checkpoints.

    Three ways to go on: --resume finishes a run that was stopped, exactly as if it had not been; --extend adds epochs
    to a finished one, at its learning rate anew; --start-from begins a new run with the weights of another.

    Example: [b]clothseg fit data/clothes --config demo --out runs/first[/]
    """
    goes_on = resume or extend is not None
    if goes_on and (overrides or start_from):
        raise ClothsegError("a run goes on with its own configuration; leave --set and --start-from away")
    if start_from is not None:
        overrides = [*(overrides or []), f"weights={json.dumps(start_from)}"]
    if on_nan is not None:
        overrides = [*(overrides or []), f"train.on_nan={on_nan.value}"]
    run = RunFolder(out)
    settings = Config.load(config or (run.config if goes_on else "demo"), overrides or [])
    processes = processes_wanted(devices, settings.train.devices)
    if not goes_on:
        settings.train.devices = processes
    batch_of_each(settings, processes)
    if extend is not None:
        settings = settings.extended(extend, early_end(run, settings.train))
    train, val = (CocoLikeDataset().load_data(data, split).prepare() for split in ("train", "val"))
    model = MaskRCNN(settings).build(train.classes)
    if not goes_on:
        refuse_existing(out, overwrite=overwrite)
        model.load_weights()
    fabric = start_processes(settings, processes)
    quiet = quiet or fabric.global_rank > 0
    if not goes_on and not quiet and model.loaded:
        ERRORS.print(f"{escape(model.loaded.sentence())}; {len(train)} train, {len(val)} val photos")
    model.fit(train, val, out, overwrite=overwrite, resume=goes_on, force=force, quiet=quiet, fabric=fabric)
    if not quiet:
        ERRORS.print(f"wrote {escape(str(out))}; next: clothseg evaluate {escape(str(out))} {escape(str(data))}")
