"""`clothseg export`."""

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from clothseg.cli.completion import networks
from clothseg.cli.inputs import ClassNames, Overrides, Overwrite, Quiet, WeightsSettings, split_names
from clothseg.cli.terminal import ERRORS, fail_for_unread, opening, progress_bar, waiting
from clothseg.counting import counted
from clothseg.dataset.photo_search import find_photos
from clothseg.errors import ClothsegError, PhotoError, shell_command
from clothseg.files import atomic_file, require_absent
from clothseg.photos import RgbImage, read_photo
from clothseg.weights import check_model


def export(
    run: Annotated[
        Path, typer.Argument(autocompletion=networks, help="A run's folder, any supported weights file, or garments.")
    ],
    out: Annotated[Path, typer.Option(help="The ONNX file to write.")] = Path("model.onnx"),
    check: Annotated[
        list[Path] | None,
        typer.Option(help="Photos or folders, repeatable: compare the file with PyTorch on them, and on extreme ones."),
    ] = None,
    int8: Annotated[
        list[Path] | None,
        typer.Option(help="Photos or folders, repeatable, some dozens: compute with 8 bits, in ranges seen on them."),
    ] = None,
    config: WeightsSettings = None,
    overrides: Overrides = None,
    class_names: ClassNames = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Export a network to ONNX, which `predict` and `cutout` run without PyTorch: they start and compute faster.

    The file takes photos of any size and has the classes, thresholds and settings in it. With --check the exit code is
    1 if a detection differs from PyTorch's, or if a photo cannot be read.

    Example: [b]clothseg export runs/first --out first.onnx --check my-photos/[/]

    Example: [b]clothseg predict first.onnx my-photos/ --out found[/]
    """
    if out.suffix.lower() != ".onnx":
        raise ClothsegError(f"--out {out}: the name must end in .onnx, by which other commands know the file")
    require_absent(out, overwrite=overwrite)
    names = split_names(class_names) if class_names else None
    check_model(run, config, overrides or [], names)
    unread: list[str] = []
    checked, ranges = (_readable(find_photos(paths), unread) if paths else iter(()) for paths in (check, int8))
    first, calibration = list(islice(checked, 1)), [photo for _, photo in ranges]
    if (check and not first) or (int8 and not calibration):
        fail_for_unread([*dict.fromkeys(unread)], done=False)
    with atomic_file(out) as written:  # first, as it fails where nothing can be written
        with opening(quiet=quiet):
            from clothseg.export import check_photos, export_onnx, quantize  # noqa: PLC0415 - PyTorch
            from clothseg.export.write import require_libraries  # noqa: PLC0415
            from clothseg.exported import ExportedModel  # noqa: PLC0415
            from clothseg.models import Model  # noqa: PLC0415

            require_libraries()
            model = Model.load(run, settings=config, overrides=overrides or [], classes=names, device="cpu")
        with progress_bar(quiet=quiet) as bar:
            with waiting(bar, "exporting, about a minute"):
                export_onnx(model, written, overwrite=True)
            if calibration:
                with waiting(bar, "quantizing"):
                    quantize(written, calibration)
    if check:
        with progress_bar(quiet=quiet) as bar, waiting(bar, "comparing with PyTorch"):
            result = check_photos(model, ExportedModel.load(out), chain(first, checked))
    if not quiet:
        predict = shell_command(["clothseg", "predict", out, "PHOTOS"])
        ERRORS.print(escape(f"wrote {out} ({out.stat().st_size / 1e6:.1f} MB); next: {predict}"))
    if check:
        for photo in result.photos:
            if photo.changed:
                print(f"{photo.name}: {photo.changed} of {counted(photo.found, 'detection')} changed")
        print(result.summary())
    fail_for_unread([*dict.fromkeys(unread)])
    if check and result.changed:
        raise typer.Exit(1)


def _readable(paths: Iterable[Path], unread: list[str]) -> Iterator[tuple[str, RgbImage]]:
    """Yields photos with their names. The messages of those that cannot be read are added to `unread`."""
    for path in paths:
        try:
            yield path.name, read_photo(path)
        except PhotoError as error:
            unread.append(str(error))
