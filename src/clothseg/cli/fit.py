"""`clothseg fit`."""

import json
import warnings
from collections.abc import Mapping
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
from clothseg.processes import processes_wanted
from clothseg.runs import RunFolder
from clothseg.training import batch_of_each, early_end, start_processes
from clothseg.training.memory.budget import within_budget


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
    memory: Annotated[
        str | None, typer.Option(help="Choose settings that fit into so much memory, such as 4GB, and say which.")
    ] = None,
    overfit_one: Annotated[
        bool, typer.Option("--overfit-one", help="Only test whether one photo is learned; writes OUT-overfit-one.png.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Fine-tune a network on a data set and write a run: weights, history, curves, checkpoints.

    Three ways to go on: --resume finishes a run that was stopped, exactly as if it had not been; --extend adds epochs
    to a finished one, at its learning rate anew; --start-from begins a new run with the weights of another.

    Example: [b]clothseg fit data/clothes --config demo --out runs/first[/]
    """
    goes_on = resume or extend is not None
    if overfit_one and goes_on:
        raise ClothsegError("--overfit-one is a test before a run; leave --resume and --extend away")
    if goes_on:
        refuse_settings({"--set": overrides, "--start-from": start_from, "--memory": memory})
    if start_from is not None:
        overrides = [*(overrides or []), f"weights={json.dumps(start_from)}"]
    if on_nan is not None:
        overrides = [*(overrides or []), f"train.on_nan={on_nan.value}"]
    run = RunFolder(out)
    if goes_on and not run.config.is_file():
        raise ClothsegError(f"{out}: no run is there to go on with (no {run.config.name} in it)")
    settings = Config.load(config or (run.config if goes_on else "demo"), overrides or [])
    processes = processes_wanted(devices, settings.train.devices)
    if not goes_on:
        settings.train.devices = processes
    batch_of_each(settings, processes)
    if extend is not None:
        settings = settings.extended(extend, early_end(run, settings.train))
    train, val = (CocoLikeDataset().load_data(data, split).prepare() for split in ("train", "val"))
    if memory is not None:
        settings, words = within_budget(settings, memory, train, val)
        if not quiet:
            ERRORS.print(escape(words))
    model = MaskRCNN(settings).build(train.classes)
    if overfit_one:
        learn_one(model.load_weights(), train, out.with_name(f"{out.name}-overfit-one.png"), quiet=quiet)
        return
    if not goes_on:
        refuse_existing(out, overwrite=overwrite)
        with warnings.catch_warnings(action="ignore"):  # the first words of the run say the same
            model.load_weights()
    fabric = start_processes(settings, processes)
    quiet = quiet or fabric.global_rank > 0
    model.fit(train, val, out, overwrite=overwrite, resume=goes_on, force=force, quiet=quiet, fabric=fabric)
    if not quiet:
        ERRORS.print(f"wrote {escape(str(out))}; next: clothseg evaluate {escape(str(out))} {escape(str(data))}")


def refuse_settings(options: Mapping[str, object]) -> None:
    """Refuse options that change a run which goes on.

    Raises:
        ClothsegError: one of them was given.
    """
    if given := [name for name, value in options.items() if value]:
        raise ClothsegError(
            f"a run goes on with its own configuration; leave {' and '.join(given)} away. What may change, such as "
            "train.patience, is said in a YAML file: the run's config.yaml, copied and edited, for --config"
        )


def learn_one(model: MaskRCNN, train: CocoLikeDataset, picture: Path, *, quiet: bool) -> None:
    """Show what came of learning one photo; exit code 1 where it was not learned."""
    if not quiet:
        ERRORS.print("learning one photo, for a minute at most")
    answer = model.overfit_one(train, picture)
    losses = ", ".join(f"{name} {value:.2f} -> {answer.last[name]:.2f}" for name, value in answer.first.items())
    found = ", ".join(f"{overlap:.2f}" for overlap in answer.overlaps)
    print(f"photo    {train.images[answer.position].path}")
    print(f"learned  {answer.steps} steps in {answer.seconds:.0f} s")
    print(f"losses   {losses}")
    print(f"found    mask IoU of each object {found}")
    print(f"picture  {picture}")
    if answer.causes:
        print("NOT learned; likely causes, the first one first:")
        for cause in answer.causes:
            print(f"  - {cause}")
        raise typer.Exit(1)
    print("all is well: one photo is learned")
