"""`clothseg learning-curve`."""

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from clothseg.cli.completion import presets
from clothseg.cli.failures import who_stopped
from clothseg.cli.fit import only_readable
from clothseg.cli.inputs import Data, Device, Overrides, Overwrite, Quiet, default_out, names_in
from clothseg.cli.terminal import ERRORS, fail_for_unread, progress_bar, walk
from clothseg.config import Config
from clothseg.dataset.nested_subsets import PARTS, PLAN, part_sizes
from clothseg.dataset.readable import read_left_out
from clothseg.dataset.train_val import read_training_data
from clothseg.devices import check_device_name, resolve_device
from clothseg.errors import ClothsegError, InterruptedRun
from clothseg.files import require_absent
from clothseg.weights import check_source


def learning_curve(
    data: Data,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the trainings and the page. Default: runs/ and NAME-curve for a dataset NAME."),
    ] = None,
    config: Annotated[str, typer.Option(autocompletion=presets, help="A YAML file or the name of a preset.")] = "demo",
    overrides: Overrides = None,
    parts: Annotated[
        str,
        typer.Option(
            help="Parts of the photos, as fractions or numbers of photos, separated by commas. Default parts that are "
            "smaller than a batch are left out."
        ),
    ] = ",".join(PARTS),
    seed: Annotated[int, typer.Option(min=0, help="Another seed puts other photos into the parts.")] = 0,
    split: Annotated[str, typer.Option(help="The split to learn from.")] = "train",
    val_split: Annotated[str, typer.Option(help="The split to validate on.")] = "val",
    val_fraction: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Keep this part of the photos for validation, where there is no other file."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue in --out.")] = False,
    device: Device = "auto",
    overwrite: Overwrite = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the curve as JSON.")] = False,
    quiet: Quiet = False,
) -> None:
    """Find out how much more labelled photos would help: train on parts of those that there are, and extrapolate.

    Each part contains the smaller ones, and all are trained for the same number of steps. Expect the time of a training
    on all photos once for each part.

    Example: [b]clothseg learning-curve data/clothes --config small --out runs/curve[/]
    """
    out = out or default_out("runs", data, "-curve")
    settings = Config.load(config, overrides or [])
    check_device_name(device)
    check_source(settings.weights)
    if resume and overwrite:
        raise ClothsegError("--resume and --overwrite do not go together")
    if not resume:
        require_absent(out, overwrite=overwrite, resumable=(out / PLAN).is_file())
    with progress_bar(quiet=quiet) as bar:
        train, val = read_training_data(data, split, val_split, val_fraction, progress=partial(walk, bar))
    part_sizes(names_in([parts]), len(train))  # refused before the photos are decoded
    known = read_left_out(out / PLAN) if resume else None
    train, val, unread = only_readable(train, val, known, quiet=quiet)
    # PyTorch takes seconds to import: only now, because wrong input is refused at once.
    from clothseg.report.learning_curve import AGAIN  # noqa: PLC0415
    from clothseg.report.learning_curve import learning_curve as make  # noqa: PLC0415

    try:
        with progress_bar(quiet=quiet) as bar:
            curve = make(
                train, val, settings, out, parts=names_in([parts]), seed=seed, resume=resume, quiet=quiet,
                device=resolve_device(device), progress=partial(walk, bar), unread=unread,
            )  # fmt: skip
    except KeyboardInterrupt as error:
        raise InterruptedRun(f"{who_stopped(error)}; what is done is saved; continue with: {AGAIN}") from error
    if as_json or not quiet:
        print(json.dumps(asdict(curve), indent=1) if as_json else curve.sentence())
    if not quiet:
        ERRORS.print(f"wrote {escape(str(out / 'learning-curve.html'))}")
    fail_for_unread(list(dict.fromkeys(unread)))
