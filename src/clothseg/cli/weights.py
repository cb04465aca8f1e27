"""`clothseg weights`: inspect, convert, average and download weights files."""

import json
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
import yaml
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from clothseg.cli.completion import published_weights
from clothseg.cli.inputs import Overrides, default_out, split_names
from clothseg.cli.terminal import ERRORS, print_table
from clothseg.errors import ClothsegError
from clothseg.files import require_absent
from clothseg.weights import PUBLISHED, cache_folder, fetch, published, weights_file

if TYPE_CHECKING:
    from clothseg.weights.inspect import Inspection, Key

app = typer.Typer(no_args_is_help=True, add_completion=False)
_SHOWN = 8  # lines of a list that fit on a screen with the others

File = Annotated[Path, typer.Argument(help="A weights file: .pth, .pkl, .h5 or .safetensors.")]
Settings = Annotated[
    str | None,
    typer.Option("--config", help="Settings that override the origin's defaults: a file of clothseg or of the origin."),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress and no summary.")]


@app.callback()
def _group() -> None:
    """Inspect, convert, average and download weights files."""


@app.command()
def inspect(
    file: File,
    config: Settings = None,
    overrides: Overrides = None,
    every: Annotated[
        bool, typer.Option("--all", help="List every key and every changed setting, not only some.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    as_settings: Annotated[
        bool, typer.Option("--settings", help="Print only the settings that fit the file, for --config.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only the summary, without settings and keys.")] = False,
) -> None:
    """Show where a weights file comes from, which network it is for, and what happens to every key.

    Each key is loaded, renamed, changed, unused, missing or shape_mismatch. The exit code is 1 if a key is missing or
    has another shape.

    Example: [b]clothseg weights inspect mask_rcnn_coco.h5 --all[/]
    """
    weights_file(file)
    from clothseg.weights.inspect import inspect_weights  # noqa: PLC0415 - PyTorch

    found = inspect_weights(file, config, overrides or [])
    if as_json:
        typer.echo(json.dumps(found.as_dict(), ensure_ascii=False, indent=1))
    elif as_settings:
        typer.echo(f"weights: {json.dumps(str(file))}\n" + yaml.safe_dump(found.settings, sort_keys=False), nl=False)
    else:
        _show(found, every=every, quiet=quiet)
    if {"missing", "shape_mismatch"} & found.counts().keys():
        raise typer.Exit(1)


@app.command()
def convert(
    file: File,
    out: Annotated[
        Path | None,
        typer.Option(help="The .safetensors file to write. Default: NAME.safetensors in this folder, for NAME.pkl."),
    ] = None,
    class_names: Annotated[str | None, typer.Option(help="Names of the file's classes 1..K, with commas.")] = None,
    config: Settings = None,
    overrides: Overrides = None,
    half: Annotated[bool, typer.Option("--half", help="Write floats in 16 bits: half the size.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file at --out.")] = False,
    quiet: Quiet = False,
) -> None:
    """Write any supported weights file in our format, with settings and classes inside.

    Example: [b]clothseg weights convert model_final_a3ec72.pkl --out coco-r101.safetensors[/]
    """
    out = out or default_out("", file, ".safetensors")
    _require_safetensors(out)
    require_absent(out, overwrite=overwrite)
    names = split_names(class_names) if class_names else None
    weights_file(file)
    from clothseg.weights import convert_weights  # noqa: PLC0415 - PyTorch

    summary = convert_weights(file, out, config, overrides or [], names, half=half)
    if not quiet:
        ERRORS.print(escape(f"{summary}; wrote {out}"))


@app.command()
def average(
    runs: Annotated[list[Path], typer.Argument(help="Runs, or weights files of clothseg; two or more.")],
    out: Annotated[
        Path, typer.Option(help="The .safetensors file to write. Default: average.safetensors in this folder.")
    ] = Path("average.safetensors"),
    half: Annotated[bool, typer.Option("--half", help="Write floats in 16 bits: half the size.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file at --out.")] = False,
    quiet: Quiet = False,
) -> None:
    """Write the mean of the weights of trainings that differ only in their seed: often better than each of them.

    Example: [b]clothseg weights average runs/seed-0 runs/seed-1 runs/seed-2 --out runs/mean/weights.safetensors[/]
    """
    _require_safetensors(out)
    require_absent(out, overwrite=overwrite)
    for run in runs:
        weights_file(run)
    from clothseg.weights.average import average_weights  # noqa: PLC0415 - PyTorch

    summary = average_weights(runs, out, half=half)
    if not quiet:
        ERRORS.print(escape(f"{summary}; wrote {out}"))


@app.command()
def download(
    name: Annotated[
        str | None,
        typer.Argument(autocompletion=published_weights, help="A name of the list; leave it out to see the list."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the file. Default: the cache.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
    quiet: Quiet = False,
) -> None:
    """Download published weights and check them; or list what is published. An interrupted download continues.

    Example: [b]clothseg weights download coco-detectron2-r101[/]
    """
    if name is None:
        _list(as_json=as_json)
        return
    entry = published(name)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(binary_units=True), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task(entry.file_name, total=round(entry.mib * 1024**2))
        path = fetch(entry, out, lambda done, total: bar.update(task, completed=done, total=total))
    print(path)


def _require_safetensors(out: Path) -> None:
    if out.suffix != ".safetensors":
        raise ClothsegError(f"--out {out}: the name must end with .safetensors, the format of the output")


def _list(*, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({name: vars(entry) for name, entry in PUBLISHED.items()}, indent=1))
        return
    table = Table(title=f"Published weights; cached in {escape(str(cache_folder()))}", title_justify="left")
    table.add_column("name", no_wrap=True)
    table.add_column("what")
    table.add_column("MiB", justify="right")
    table.add_column("checked by")
    for name, entry in PUBLISHED.items():
        table.add_row(name, entry.what, f"{entry.mib:.0f}", "SHA-256" if entry.sha256 else "length")
    console = Console(highlight=False)
    print_table(table)
    for licence in dict.fromkeys(entry.licence for entry in PUBLISHED.values()):
        names = [name for name, entry in PUBLISHED.items() if entry.licence == licence]
        console.print(f"{licence}: {', '.join(names)}", markup=False)


def _show(found: "Inspection", *, every: bool, quiet: bool) -> None:
    console = Console(highlight=False, soft_wrap=True)
    classes = "none (a backbone without heads)"
    if found.classes is not None:
        classes = f"{len(found.classes)}: {', '.join(found.classes)}"
    facts = {
        "origin": found.origin,
        "layout": found.layout,
        "backbone": found.backbone,
        "conventions": found.conventions,
        "classes": classes,
        "keys": ", ".join(f"{count} {result}" for result, count in found.counts().items()),
    }
    for title, value in ((title, value) for title, value in facts.items() if value):
        console.print(f"{title:12} {escape(value)}")
    if quiet:
        return
    shown = [key for key in found.keys if every or key.is_problem]
    changed = found.changed_settings()
    _list_lines(console, "settings that differ from the defaults", _setting_lines(changed), every, "--settings")
    _list_lines(console, "keys" if every else "keys with a problem", [_key_line(key) for key in shown], every, "--all")


def _list_lines(console: Console, title: str, lines: Sequence[str], every: bool, option: str) -> None:
    """Prints lines below a title, only some of them unless `every`."""
    if not lines:
        return
    shown = lines if every else lines[:_SHOWN]
    console.print(f"{title}:")
    console.print(escape(textwrap.indent("\n".join(shown), "  ")))
    if len(shown) < len(lines):
        console.print(f"  and {len(lines) - len(shown)} more; {option} prints all")


def _setting_lines(settings: Mapping[str, object]) -> list[str]:
    return [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in settings.items()]


def _key_line(key: "Key") -> str:
    names = " -> ".join(filter(None, (key.key, key.name if key.name != key.key else "")))
    shape = "x".join(map(str, key.shape))
    return f"{key.result:15}{names} {shape}" + (f"  ({key.note})" if key.note else "")
