"""`clothseg dataset show`: look at a data set."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from clothseg.cli.terminal import ERRORS, progress_bar
from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset
from clothseg.dataset.show import show_dataset
from clothseg.errors import ConfigError
from clothseg.files import require_absent
from clothseg.networks import input_transform

_LISTED = 10


def show(
    data: Annotated[Path, typer.Argument(help="A data set's folder, or a folder of photos with --annotations.")],
    out: Annotated[Path, typer.Option(help="Folder for the pictures and their index.html.")],
    split: Annotated[str, typer.Option(help="Which annotations: train or val.")] = "train",
    annotations: Annotated[Path | None, typer.Option(help="A COCO file elsewhere, in place of --split.")] = None,
    classes: Annotated[
        list[str] | None, typer.Option(help="Only these classes, repeated or with commas.", metavar="NAMES")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Photos with overlays.")] = 12,
    per_class: Annotated[int, typer.Option(min=1, help="Instances on the page of a class.")] = 24,
    seed: Annotated[int, typer.Option(min=0, help="Another seed chooses other photos.")] = 0,
    config: Annotated[str | None, typer.Option(help="Whose resizing is shown: a YAML file or a preset.")] = None,
    augment: Annotated[
        str | None, typer.Option(help="Whose augmentation, and resizing, is shown: a YAML file or a preset.")
    ] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="section.key=value, repeated.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is at --out.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar and no summary.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")] = False,
) -> None:
    """Random photos with boxes and contours, photos on the network's grid, and a page for each class.

    With --augment each photo stands beside changed versions of it, as training would see them.

    Exit code 1 means that some photos could not be read; they are listed.

    Example: [b]clothseg dataset show data/clothes --config demo --out look[/]
    """
    require_absent(out, overwrite=overwrite)
    if config and augment and config != augment:
        raise ConfigError("--config and --augment name two configurations; the network sees what one of them makes")
    named = augment or config
    if overrides and named is None:
        raise ConfigError("--set changes a configuration; say with --config or --augment which one")
    settings = Config.load(named, overrides or []) if named else Config()
    loaded = CocoLikeDataset().load_data(data, split, annotations).prepare()
    names = [name.strip() for given in classes or [] for name in given.split(",") if name.strip()]
    with progress_bar(quiet=quiet) as bar:

        def progress(positions: Sequence[int], text: str) -> Iterator[int]:
            yield from bar.track(positions, description=text)

        shown = show_dataset(
            loaded,
            out,
            transform=input_transform(settings),
            count=count,
            per_class=per_class,
            classes=names,
            seed=seed,
            augmented=settings if augment else None,
            overwrite=overwrite,
            progress=progress,
        )
    if as_json:
        sheets = [asdict(sheet) for sheet in shown.sheets]
        typer.echo(json.dumps({"folder": str(out), "sheets": sheets, "unread": shown.unread}, ensure_ascii=False))
    elif not quiet:
        typer.echo(f"{len(shown.sheets)} pictures. Open {out / 'index.html'}")
    if shown.unread:
        ERRORS.print(f"[bold yellow]done in part:[/] {len(shown.unread)} photos cannot be shown")
        for reason in list(shown.unread.values())[:_LISTED]:
            ERRORS.print(escape(f"  {reason}"))
        raise typer.Exit(1)
