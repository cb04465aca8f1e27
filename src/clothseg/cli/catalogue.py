"""What `predict` and `cutout` do with a catalogue."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from clothseg.catalogue.names import is_url
from clothseg.cli.exported import load_exported
from clothseg.cli.inputs import least_scores, selection_settings
from clothseg.cli.shard_options import EngineName, ShardOptions
from clothseg.cli.terminal import ERRORS, end_failed, progress_bar
from clothseg.counting import counted
from clothseg.devices import check_device_name
from clothseg.exported import is_onnx
from clothseg.files import require_outside_inputs
from clothseg.instances import class_number
from clothseg.weights import check_model

if TYPE_CHECKING:
    from clothseg.catalogue import CatalogueOptions, CatalogueSummary, Engine, ExportedSource, ModelSource
    from clothseg.catalogue.tasks import Task

_SHOWN = 3  # photos that failed


@dataclass(frozen=True)
class NetworkOptions:
    """Which network finds, and the options of `predict` and `cutout` for it."""

    run: Path
    score_threshold: float | None
    threshold: list[str] | None
    thresholds: str | None
    class_agnostic_nms_iou: float | None
    device: str
    devices: int
    config: str | None = None
    overrides: Sequence[str] = ()
    names: Sequence[str] | None = None
    compiled: bool = False

    def source(self, wanted: Sequence[str] = ()) -> "ModelSource | ExportedSource":
        """Where the network is, after all checks that need no PyTorch.

        Args:
            wanted: names of classes that it must know.

        Raises:
            ClothsegError: there is no such network, class or device, or a setting is wrong.
        """
        check_device_name(self.device)
        if is_onnx(self.run):
            unfit = {"--config": bool(self.config), "--set": bool(self.overrides), "--class-names": bool(self.names)}
            unfit |= {"--compile": self.compiled}
            known: Sequence[str] | None = load_exported(
                self.run, self.threshold, self.thresholds, self.class_agnostic_nms_iou, self.device, unfit
            ).classes
        else:
            known = check_model(self.run, self.config, self._settings(), self.names)
        for name in wanted if known else ():
            class_number(name, known or (), option="--class", ignore_case=True)
        return self._source()

    def facts(self) -> dict[str, Any]:
        """What the results depend on, by name; after the checks of `source`. It needs no PyTorch."""
        return {**self._source().facts(), "score_threshold": self.score_threshold}

    def _source(self) -> "ModelSource | ExportedSource":
        from clothseg.catalogue import ExportedSource, ModelSource  # noqa: PLC0415 - it is not always needed

        score, iou = self.score_threshold or 0.0, self.class_agnostic_nms_iou
        if is_onnx(self.run):
            return ExportedSource(self.run, least_scores(self.run, self.threshold, self.thresholds), iou, score)
        settings = tuple(self._settings())
        return ModelSource(self.run, self.config, settings, self.names, self.device, score, self.compiled)

    def _settings(self) -> list[str]:
        chosen = selection_settings(self.run, self.threshold, self.thresholds, self.class_agnostic_nms_iou)
        return [*self.overrides, *chosen]


def do_catalogue(
    network: NetworkOptions,
    task: "Task",
    photos: Sequence[str],
    out: str,
    options: ShardOptions,
    *,
    recursive: bool,
    overwrite: bool,
    quiet: bool,
    batch: int = 1,
    wanted: Sequence[str] = (),
) -> None:
    """Does a catalogue, prints what was done, and ends with exit code 1 if photos failed, 2 if all did.

    Args:
        network: its options.
        task: what is done with each photo.
        photos, out: the arguments of the command.
        options: of the shards.
        recursive, overwrite, quiet, batch: the options of these names.
        wanted: names of classes that the network must know.

    Raises:
        ClothsegError: see `run_catalogue` and `open_catalogue`.
        typer.Exit: photos could not be read or processed.
    """
    from clothseg.catalogue import (  # noqa: PLC0415 - only catalogues need it
        DEFAULT_SIZE,
        CatalogueOptions,
        Share,
        TableFormat,
        open_catalogue,
        parse_share,
        run_catalogue,
    )

    source = network.source(wanted)
    if not is_url(out):
        require_outside_inputs(Path(out), [name for name in photos if not is_url(name)])
    chosen = CatalogueOptions(
        form=TableFormat(options.form or "parquet"),
        shard_size=options.shard_size or DEFAULT_SIZE,
        share=parse_share(options.shard) if options.shard else Share(),
        batch=batch,
        retry_errors=options.retry_errors,
        overwrite=overwrite,
    )
    listed = open_catalogue(photos, recursive=recursive, photo_column=options.photo_column)
    with progress_bar(quiet=quiet) as bar:
        line = bar.add_task("photos", total=None)
        done = run_catalogue(
            listed,
            task,
            source,
            out,
            chosen,
            work=source.facts(),
            engine=_engine(options, network),
            progress=lambda number: bar.advance(line, number),
            notify=lambda message: None if quiet else ERRORS.print(escape(message)),
        )
    _report(done, task, out, chosen, quiet=quiet)


def _report(done: "CatalogueSummary", task: "Task", out: str, options: "CatalogueOptions", *, quiet: bool) -> None:
    """Prints what was done, and why the first photos failed."""
    from clothseg.catalogue import failures  # noqa: PLC0415 - only catalogues need it

    if not quiet and done.shards:
        what = "detection" if task.table == "detections" else "cut-out"
        found = f"{counted(done.rows, what)} on {counted(done.photos - done.failed, 'photo')}"
        ERRORS.print(f"{found} in {counted(done.shards, 'shard')}; see {escape(out)}")
    if done.failed:
        tables = escape(f"{out.rstrip('/')}/errors")
        such_as = ", such as" if done.failed > _SHOWN else ""
        ERRORS.print(
            f"[bold red]not read:[/] {counted(done.failed, 'photo')}; {tables} has the reason for each{such_as}"
        )
        for reason in itertools.islice(failures(out, options), _SHOWN):
            ERRORS.print(escape(f"  {reason}"))
        end_failed(done=done.failed < done.photos)


def _engine(options: ShardOptions, network: NetworkOptions) -> "Engine":
    from clothseg.catalogue import InProcesses, OnRay, in_this_process  # noqa: PLC0415 - only catalogues need it

    if options.engine is EngineName.RAY:
        gpus = {"auto": None, "cpu": 0}.get(network.device, 1)
        return OnRay(options.ray_address, network.devices, gpus)
    return InProcesses(network.devices) if network.devices > 1 else in_this_process
