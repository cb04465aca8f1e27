"""`clothseg fit`."""

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


def fit(
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for the run.")],
    config: Annotated[str, typer.Option(help="A YAML file or the name of a preset.")] = "demo",
    overrides: Overrides = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="With --resume: go on though the data set is another one.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run in --out.")] = False,
    quiet: Quiet = False,
) -> None:
    """Fine-tune a network on a data set and write a run: weights, history, curves, checkpoints.

    Ctrl-C saves; --resume goes on.

    Example: [b]clothseg fit data/clothes --config demo --out runs/first[/]
    """
    if resume and overrides:
        raise ClothsegError("--resume goes on with the run's own configuration; leave --set away")
    settings = Config.load(RunFolder(out).config) if resume else Config.load(config, overrides or [])
    train, val = (CocoLikeDataset().load_data(data, split).prepare() for split in ("train", "val"))
    model = MaskRCNN(settings).build(train.classes)
    if not resume:
        refuse_existing(out, overwrite=overwrite)
        model.load_weights()
        if not quiet and model.loaded:
            ERRORS.print(f"{escape(model.loaded.sentence())}; {len(train)} train, {len(val)} val photos")
    model.fit(train, val, out, overwrite=overwrite, resume=resume, force=force, quiet=quiet)
    if not quiet:
        ERRORS.print(f"wrote {escape(str(out))}; next: clothseg evaluate {escape(str(out))} {escape(str(data))}")
