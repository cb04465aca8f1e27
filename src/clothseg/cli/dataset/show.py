"""`clothseg dataset show`: draws pictures of a dataset."""

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from clothseg.cli.completion import presets
from clothseg.cli.inputs import Overrides, known_names_in
from clothseg.cli.terminal import ERRORS, progress_bar, walk
from clothseg.config import Config
from clothseg.counting import counted
from clothseg.dataset import CocoLikeDataset
from clothseg.dataset.reading import describe_corrections
from clothseg.errors import ConfigError, DataError
from clothseg.files import require_absent
from clothseg.suggestions import near_path


def show(
    data: Annotated[
        Path, typer.Argument(help="A dataset, an export in COCO's format, or with --annotations a folder of photos.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the pictures and index.html.")] = Path("look"),
    split: Annotated[str, typer.Option(help="The split to show. val also finds valid and val2017.")] = "train",
    annotations: Annotated[Path | None, typer.Option(help="A COCO file, instead of --split.")] = None,
    classes: Annotated[
        list[str] | None, typer.Option(help="Only these classes, repeatable or with commas.", metavar="NAMES")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Number of photos with overlays.")] = 12,
    per_class: Annotated[int, typer.Option(min=1, help="Maximum number of instances of each class.")] = 24,
    photos: Annotated[
        int, typer.Option(min=1, help="Maximum number of photos in the gallery, random ones if there are more.")
    ] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="A different seed selects other photos.")] = 0,
    config: Annotated[
        str | None,
        typer.Option(autocompletion=presets, help="Configuration whose resizing is shown: a YAML file or a preset."),
    ] = None,
    augment: Annotated[
        str | None,
        typer.Option(autocompletion=presets, help="Configuration whose augmentation and resizing are shown."),
    ] = None,
    overrides: Overrides = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the folder of --out.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar and no summary.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of the pictures as JSON.")] = False,
) -> None:
    """Draws random photos with boxes and contours, instances of each class, and a gallery of all photos.

    With --config, it also draws the network's input; with --augment, this and augmented versions, as training sees
    them.

    Exit code 1: some photos could not be read; they are listed.

    Example: [b]clothseg dataset show data/clothes --config demo --out look[/]
    """
    require_absent(out, overwrite=overwrite)
    if config and augment and config != augment:
        raise ConfigError("--config and --augment name different configurations; give only one of them")
    named = augment or config
    if overrides and named is None:
        raise ConfigError("--set changes a configuration; name it with --config or --augment")
    settings = Config.load(named, overrides or []) if named else None
    if annotations is not None and not annotations.is_file():
        raise DataError(f"--annotations {annotations}: no such file{near_path(annotations)}")
    loaded = CocoLikeDataset().load_data(data, split, annotations).prepare()
    if not quiet and (corrected := describe_corrections(loaded.source or data, loaded.corrections)):
        ERRORS.print(escape(corrected))
    names = known_names_in(classes, loaded.classes)
    # Drawing imports more, and PyTorch with a configuration: only now, because wrong input is refused at once.
    from clothseg.dataset.show import show_dataset  # noqa: PLC0415

    with progress_bar(quiet=quiet) as bar:
        shown = show_dataset(
            loaded,
            out,
            config=settings,
            augment=augment is not None,
            count=count,
            per_class=per_class,
            most=photos,
            classes=names,
            seed=seed,
            overwrite=overwrite,
            progress=partial(walk, bar),
        )
    if as_json:
        sheets = [asdict(sheet) for sheet in shown.sheets]
        typer.echo(json.dumps({"folder": str(out), "sheets": sheets, "unread": shown.unread}, ensure_ascii=False))
    elif not quiet:
        typer.echo(f"{counted(len(shown.sheets), 'picture')}. Open {out / 'index.html'}")
    if shown.unread:
        ERRORS.print(f"[bold yellow]incomplete:[/] {counted(len(shown.unread), 'photo')} cannot be read")
        for reason in shown.unread.values():
            ERRORS.print(escape(f"  {reason}"))
        raise typer.Exit(1)
