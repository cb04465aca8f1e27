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
from clothseg.distributed import launch, world_size_for
from clothseg.errors import ClothsegError
from clothseg.files import require_absent
from clothseg.models import Model
from clothseg.runs import RunFolder
from clothseg.training import batch_per_rank, stopped_early_after
from clothseg.training.memory.budget import within_budget


class OnNonfinite(StrEnum):
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
    weights: Annotated[
        str | None,
        typer.Option(help="Begin with these weights: a run, a file of anybody's, or a published name such as coco."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    more_epochs: Annotated[
        int | None, typer.Option(min=1, help="Go on with the finished run in --out for so many more epochs.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="With --resume: go on though the data set is another one.")
    ] = False,
    on_nonfinite: Annotated[
        OnNonfinite | None,
        typer.Option("--on-nonfinite", help="A loss that is not finite stops the run, or its step is skipped."),
    ] = None,
    devices: Annotated[
        int | None,
        typer.Option(min=1, help="Learn on so many GPUs, or processes of a CPU, with train.batch_size photos on each."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run in --out.")] = False,
    max_memory: Annotated[
        str | None, typer.Option(help="Choose settings that fit into so much memory, such as 4GB, and say which.")
    ] = None,
    overfit_one_image: Annotated[
        bool,
        typer.Option(
            "--overfit-one-image", help="Only test whether one photo is learned; writes OUT-overfit-one-image.png."
        ),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Fine-tune a network on a data set and write a run: weights, history, curves, checkpoints.

    Three ways to continue: --resume finishes a run that was stopped, exactly as if it had not been; --more-epochs
    trains a finished run longer; --weights starts a new run from the weights of another.

    Example: [b]clothseg fit data/clothes --config demo --out runs/first[/]
    """
    goes_on = resume or more_epochs is not None
    if overfit_one_image and goes_on:
        raise ClothsegError("--overfit-one-image is a test before a run; leave --resume and --more-epochs away")
    if goes_on:
        refuse_settings({"--set": overrides, "--weights": weights, "--max-memory": max_memory})
    if weights is not None:
        overrides = [*(overrides or []), f"weights={json.dumps(weights)}"]
    if on_nonfinite is not None:
        overrides = [*(overrides or []), f"train.on_nonfinite={on_nonfinite.value}"]
    run = RunFolder(out)
    if goes_on and not run.config.is_file():
        raise ClothsegError(f"{out}: no run is there to go on with (no {run.config.name} in it)")
    settings = Config.load(config or (run.config if goes_on else "demo"), overrides or [])
    processes = world_size_for(devices, settings.train.devices)
    if not goes_on:
        settings = settings.changed("train", devices=processes)
    batch_per_rank(settings, processes)
    if more_epochs is not None:
        settings = settings.extended(more_epochs, stopped_early_after(run, settings.train))
    train, val = (CocoLikeDataset().load_data(data, split).prepare() for split in ("train", "val"))
    if max_memory is not None:
        settings, words = within_budget(settings, max_memory, train, val)
        if not quiet:
            ERRORS.print(escape(words))
    model = Model(settings).build(train.classes)
    if overfit_one_image:
        learn_one(model.load_weights(), train, out.with_name(f"{out.name}-overfit-one-image.png"), quiet=quiet)
        return
    if not goes_on:
        require_absent(out, overwrite=overwrite)
        with warnings.catch_warnings(action="ignore"):  # the first words of the run say the same
            model.load_weights()
    unused = model.network is not None and model.network.has_unused_parameters
    fabric = launch(processes, settings.train.precision, find_unused_parameters=unused)
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


def learn_one(model: Model, train: CocoLikeDataset, picture: Path, *, quiet: bool) -> None:
    """Show what came of learning one photo; exit code 1 where it was not learned."""
    if not quiet:
        ERRORS.print("learning one photo, for a minute at most")
    answer = model.overfit_one_image(train, picture)
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
