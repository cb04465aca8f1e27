"""`clothseg demo`: all steps on the sample; `demo_networks.py` has those with several networks."""

import io
import time
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from clothseg import sample
from clothseg.cli.completion import network_names
from clothseg.cli.dataset.build import build
from clothseg.cli.demo_networks import chosen_presets, demo_networks, set_options
from clothseg.cli.evaluate import evaluate
from clothseg.cli.fit import fit
from clothseg.cli.inputs import Device, Overwrite, Quiet
from clothseg.cli.predict import predict
from clothseg.cli.terminal import say_command
from clothseg.devices import AUTO, check_device_name, resolve_device
from clothseg.errors import InterruptedRun, shell_command
from clothseg.files import require_absent
from clothseg.journal import folder_lock
from clothseg.runs import RunFolder

PRESET = "garments"
"""Of the demo with one network. Those with several start from ImageNet, so that they can be compared."""


def demo(
    out: Annotated[
        Path | None, typer.Option(help="Folder for the run. Default: runs/demo, or runs/demo-networks.")
    ] = None,
    networks: Annotated[
        str | None,
        typer.Option(
            autocompletion=network_names,
            metavar="all|NAME,NAME",
            help="Train several networks, and write a page that compares them.",
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Train this many epochs: 1 shows each step, but learns little.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the demo in --out that was stopped.")] = False,
    device: Device = "auto",
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Run all steps on the sample photos: dataset, fine-tuning, evaluation, pictures and a report. Takes minutes.

    It prints each step as the command that does it. After Ctrl-C, --resume continues.

    Example: [b]clothseg demo --out runs/demo[/]

    Example: [b]clothseg demo --networks all[/]
    """
    begun = time.monotonic()
    settings = [] if epochs is None else [f"train.epochs={epochs}"]
    presets = None if networks is None else chosen_presets(networks)
    out = out or Path("runs/demo" if networks is None else "runs/demo-networks")
    if not resume:
        require_absent(out, overwrite=overwrite, resumable=(out / "data").is_dir())
    check_device_name(device)
    resolve_device(device)  # now, not after the dataset is built
    with folder_lock(out, "demo"), redirect_stdout(io.StringIO()) if quiet else nullcontext():
        try:
            if presets is None:
                page = _one_network(out, device, settings, resume=resume, overwrite=overwrite, quiet=quiet)
            else:
                page = demo_networks(out, presets, device, settings, resume=resume, overwrite=overwrite, quiet=quiet)
        except (InterruptedRun, KeyboardInterrupt) as error:
            chosen = [] if networks is None else ["--networks", networks]
            again = shell_command(["clothseg", "demo", *chosen, "--out", out, "--resume"])
            raise InterruptedRun(f"what is done is saved; continue with: {again}") from error
    print(page if quiet else f"\nAll done in {time.monotonic() - begun:.0f} seconds. Open {page}")


def _one_network(
    out: Path, device: str, settings: Sequence[str], *, resume: bool, overwrite: bool, quiet: bool
) -> Path:
    """All steps with one network; returns its report."""
    begun = time.monotonic()
    timings = _steps(out, device, settings, resume=resume, overwrite=overwrite, quiet=quiet)
    from clothseg.report import write_report  # noqa: PLC0415 - PyTorch; wrong input is refused without it

    timings["all together"] = time.monotonic() - begun
    RunFolder(out).add_facts({"timings": {name: round(seconds, 1) for name, seconds in timings.items()}})
    return write_report(out, out / "data")


def _steps(
    out: Path, device: str, settings: Sequence[str], *, resume: bool, overwrite: bool, quiet: bool
) -> dict[str, float]:
    """All steps, without those that `resume` finds done; returns the seconds of some."""
    chosen = [] if device == AUTO else ["--device", device]
    data, run, timings = out / "data", RunFolder(out), {}
    if not (resume and (data / "dataset.yaml").is_file()):
        begun = time.monotonic()
        say_command("dataset", "build", "sample", "--keep-empty", "--out", data)
        build(sample.folder(), data, keep_empty=True, overwrite=overwrite or resume, quiet=quiet)
        timings["build"] = time.monotonic() - begun
    if resume and run.last.is_file():
        say_command("fit", data, "--out", out, "--resume", *chosen)
        fit(data, out, resume=True, device=device, quiet=quiet)
    else:
        say_command("fit", data, "--config", PRESET, *set_options(settings), "--out", out, "--overwrite", *chosen)
        fit(data, out, config=PRESET, overrides=list(settings), overwrite=True, device=device, quiet=quiet)
    if not (resume and run.initial_metrics.is_file()):
        say_command("evaluate", out, data, "--initial-weights", *chosen)
        evaluate(out, data, initial=True, device=device, quiet=quiet)
    say_command("evaluate", out, data, *chosen)
    evaluate(out, data, device=device, quiet=quiet)
    pictures = out / "predictions"
    say_command("predict", out, sample.folder() / "validation", "--out", pictures, *chosen)
    begun = time.monotonic()
    predict(out, [str(sample.folder() / "validation")], str(pictures), device=device, overwrite=True, quiet=quiet)
    return timings | {"predict": time.monotonic() - begun}
