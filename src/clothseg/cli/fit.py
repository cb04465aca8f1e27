"""`clothseg fit`."""

import json
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from clothseg.cli.completion import initial_weights, presets
from clothseg.cli.inputs import Data, Device, Overrides, Overwrite, Quiet, default_out
from clothseg.cli.terminal import ERRORS, fail_for_unread, opening, progress_bar, walk
from clothseg.config import Config
from clothseg.config.train import OnNonfinite
from clothseg.counting import counted
from clothseg.dataset import CocoLikeDataset, readable
from clothseg.dataset.photo_split import read_photo_split
from clothseg.dataset.readable import leave_out, read_left_out
from clothseg.dataset.train_val import read_training_data
from clothseg.dataset.unlabelled import UnlabelledPhotos, find_unlabelled
from clothseg.devices import check_device_name, resolve_device
from clothseg.errors import ClothsegError, shell_command
from clothseg.files import require_absent
from clothseg.runs import RunFolder
from clothseg.suggestions import near_path
from clothseg.weights import check_source

if TYPE_CHECKING:
    from clothseg.models import Model


def fit(
    data: Data,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the run. Default: runs/ and the name of the dataset.")
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(
            autocompletion=presets, help="A YAML file or the name of a preset. Default: demo, or the continued run's."
        ),
    ] = None,
    overrides: Overrides = None,
    weights: Annotated[
        str | None,
        typer.Option(
            autocompletion=initial_weights,
            help="Initial weights: auto, garments, a run, any weights file, or a published name such as coco.",
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="The split to learn from.")] = "train",
    val_split: Annotated[
        str, typer.Option(help="The split to validate on. val also finds valid, validation and val2017.")
    ] = "val",
    val_fraction: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Keep this part of the photos of --split for validation, where there is no other file."
        ),
    ] = None,
    unlabelled: Annotated[
        list[Path] | None,
        typer.Option(help="Learn from these photos without labels too: a folder, repeatable. See docs/unlabelled.md."),
    ] = None,
    split_seed: Annotated[int, typer.Option(min=0, help="Another seed gives another split by --val-fraction.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --out.")] = False,
    more_epochs: Annotated[
        int | None, typer.Option(min=1, help="Train the finished run in --out for this many more epochs.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="With --resume: continue although the dataset has changed.")
    ] = False,
    on_nonfinite: Annotated[
        OnNonfinite | None,
        typer.Option("--on-nonfinite", help="If a loss is not finite: stop the run, or skip the step."),
    ] = None,
    device: Device = "auto",
    devices: Annotated[
        int | None,
        typer.Option(min=1, help="Number of GPUs, or of CPU processes; each takes train.batch_size photos."),
    ] = None,
    overwrite: Overwrite = False,
    max_memory: Annotated[
        str | None, typer.Option(help="Choose settings that fit this budget, such as 4GB, and print them.")
    ] = None,
    overfit_one_image: Annotated[
        bool,
        typer.Option(
            "--overfit-one-image",
            help="Only test whether one photo is learned; writes a picture of it beside --out.",
        ),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Fine-tune a network on a dataset and write a run: weights, history, curves, checkpoints.

    Three ways to continue: --resume finishes a stopped run, exactly as if it had never stopped; --more-epochs trains a
    finished run longer; --weights starts a new run from the weights of another run.

    Example: [b]clothseg fit data/clothes --config demo --out runs/first[/]
    """
    out = out or default_out("runs", data)
    continues = resume or more_epochs is not None
    if overfit_one_image and continues:
        raise ClothsegError("--overfit-one-image is a test before a run; remove --resume and --more-epochs")
    if continues:
        refuse_settings(
            {
                **{"--set": overrides, "--weights": weights, "--max-memory": max_memory},
                **{"--val-fraction": val_fraction, "--unlabelled": unlabelled},
            }
        )
    named = {"weights": weights, "train.on_nonfinite": on_nonfinite}
    overrides = [*(overrides or []), *(f"{key}={json.dumps(value)}" for key, value in named.items() if value)]
    run = RunFolder(out)
    settings = _settings(run, config, overrides, continues=continues)
    check_device_name(device)
    if not continues:
        check_source(settings.weights)
        require_absent(out, overwrite=overwrite or overfit_one_image, resumable=run.last.is_file())
    chosen = partial(read_training_data, data, split, val_split, val_fraction, seed=split_seed)
    train, val, unread = _read_photos(chosen, run if continues else None, quiet=quiet)
    more = find_more_photos(unlabelled, train, val, quiet=quiet) if unlabelled else None
    unread += more.unread if more else ()
    # PyTorch takes seconds to import: only now, because wrong input is refused at once.
    with opening(quiet=quiet):
        from clothseg.distributed import launch, world_size_for  # noqa: PLC0415
        from clothseg.models import Model  # noqa: PLC0415
        from clothseg.training import batch_per_rank, stopped_early_after  # noqa: PLC0415
        from clothseg.training.memory.budget import within_budget  # noqa: PLC0415

    where = resolve_device(device)
    processes = world_size_for(devices, settings.train.devices, where)
    if not continues:
        settings = settings.changed("train", devices=processes)
    batch_per_rank(settings, processes)
    if more_epochs is not None:
        settings = settings.extended(more_epochs, stopped_early_after(run, settings.train))
    if max_memory is not None:
        settings, words = within_budget(settings, max_memory, train, val, where)
        if not quiet:
            ERRORS.print(escape(words))
    model = Model(settings).build(train.classes)
    if overfit_one_image:
        picture = out.with_name(f"{out.name}-overfit-one-image.png")
        learn_one(model.load_weights(), train, picture, device, quiet=quiet)
        return
    if not continues:
        with warnings.catch_warnings(action="ignore"):  # the run logs the same
            model.load_weights()
    fabric = launch(
        processes, settings.train.precision, device=where,
        find_unused_parameters=model.network is not None and model.network.has_unused_parameters,
    )  # fmt: skip
    quiet = quiet or fabric.global_rank > 0
    model.fit(train, val, out, overwrite=overwrite, resume=continues, force=force, quiet=quiet, fabric=fabric,
              unlabelled=more)  # fmt: skip
    if fabric.global_rank == 0:
        finish(run, data, [*unread, *map(str, run.read_facts().get("lost") or ())], quiet=quiet)


def _settings(run: RunFolder, config: str | None, overrides: list[str], *, continues: bool) -> Config:
    """The configuration: that of a run that continues, or of a preset or file.

    Raises:
        ClothsegError: there is no run to continue, or a setting is wrong.
    """
    if continues and not run.config.is_file():
        near = "" if run.path.exists() else near_path(run.path)
        raise ClothsegError(f"{run.path}: there is no run to continue (no {run.config.name} in this folder){near}")
    if continues and not config:
        return Config.load_saved(run.config, overrides)
    return Config.load(config or "demo", overrides)


def finish(run: RunFolder, data: Path, unread: list[str], *, quiet: bool) -> None:
    """Keeps which photos could not be read, and prints what comes next; exit code 1 if there are such photos."""
    if unread:
        run.add_facts({"unread": unread})
    if not quiet:
        evaluate = shell_command(["clothseg", "evaluate", run.path, data])
        ERRORS.print(escape(f"wrote {run.path}; next: {evaluate}"))
    fail_for_unread(unread)


def _read_photos(
    read: Callable[..., tuple[CocoLikeDataset, CocoLikeDataset]], continued: RunFolder | None, *, quiet: bool
) -> tuple[CocoLikeDataset, CocoLikeDataset, list[str]]:
    """The photos to learn from and to validate with, and why others cannot be read, which is printed too.

    Args:
        read: `read_training_data` with its data.
        continued: the run that continues, with the same photos as when it began.
        quiet: show no progress bar.
    """
    with progress_bar(quiet=quiet) as bar:
        split = read_photo_split(continued.split) if continued else None
        train, val = read(known=split, progress=partial(walk, bar))
    return only_readable(train, val, read_left_out(continued.facts) if continued else None, quiet=quiet)


def only_readable(
    train: CocoLikeDataset, val: CocoLikeDataset, known: Mapping[str, Mapping[int, str]] | None = None, *, quiet: bool
) -> tuple[CocoLikeDataset, CocoLikeDataset, list[str]]:
    """Both without the photos that cannot be read, and a message for each of these, which is printed too.

    Args:
        train, val: prepared.
        known: what the run that continues left out when it began, so that it goes on with the same photos.
        quiet: show no progress bar.
    """
    if known is None:
        with progress_bar(quiet=quiet) as bar:
            train, val = (readable(split, progress=partial(walk, bar))[0] for split in (train, val))
    else:
        train, val = leave_out(train, known["train"]), leave_out(val, known["val"])
    unread = [*train.left_out.values(), *val.left_out.values()]
    for message in unread:
        ERRORS.print(f"[bold red]left out:[/] {escape(message)}")
    return train, val, unread


def find_more_photos(
    places: list[Path], train: CocoLikeDataset, val: CocoLikeDataset, *, quiet: bool
) -> UnlabelledPhotos:
    """The photos without labels, with a line for each that is left out."""
    with progress_bar(quiet=quiet) as bar:
        found = find_unlabelled(places, train, val, progress=partial(walk, bar))
    for message in (*found.unread, *found.known):
        ERRORS.print(f"[bold red]left out:[/] {escape(message)}")
    if not quiet:
        ERRORS.print(f"{counted(len(found), 'photo')} without labels to learn from")
    return found


def refuse_settings(options: Mapping[str, object]) -> None:
    """Refuses options that would change a run that continues.

    Raises:
        ClothsegError: one of them is given.
    """
    if given := [name for name, value in options.items() if value]:
        raise ClothsegError(
            f"a run continues with its own configuration; remove {' and '.join(given)}. To change train.patience or "
            "another setting that may change, copy the run's config.yaml, edit the copy, and give it to --config"
        )


def learn_one(model: "Model", train: CocoLikeDataset, picture: Path, device: str, *, quiet: bool) -> None:
    """Trains on one photo and prints the result; exit code 1 if the network did not learn it."""
    if not quiet:
        ERRORS.print("training on one photo, for at most a minute")
    result = model.overfit_one_image(train, picture, device=device)
    losses = ", ".join(f"{name} {value:.2f} -> {result.last[name]:.2f}" for name, value in result.first.items())
    found = ", ".join(f"{overlap:.2f}" for overlap in result.overlaps)
    print(f"photo    {train.images[result.position].path}")
    print(f"learned  {counted(result.steps, 'step')} in {result.seconds:.0f} s")
    print(f"losses   {losses}")
    print(f"found    mask IoU of each object {found}")
    print(f"picture  {picture}")
    if result.causes:
        print("NOT learned; likely causes, the most likely first:")
        for cause in result.causes:
            print(f"  - {cause}")
        raise typer.Exit(1)
    print("good: the network can learn one photo")
