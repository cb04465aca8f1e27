"""`clothseg demo`: all steps on the sample."""

import io
import time
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from clothseg import sample
from clothseg.cli.dataset.build import build
from clothseg.cli.evaluate import evaluate
from clothseg.cli.fit import fit
from clothseg.cli.inputs import Device, Overwrite, Quiet
from clothseg.cli.predict import predict
from clothseg.devices import AUTO, check_device_name, resolve_device
from clothseg.errors import InterruptedRun, shell_command
from clothseg.files import require_absent
from clothseg.runs import RunFolder


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the run.")] = Path("runs/demo"),
    resume: Annotated[bool, typer.Option("--resume", help="Continue the demo in --out that was stopped.")] = False,
    device: Device = "auto",
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Run all steps on the sample photos: dataset, fine-tuning, evaluation, pictures and a report. Takes minutes.

    It prints each step as the command that does it. After Ctrl-C, --resume continues.

    Example: [b]clothseg demo --out runs/demo[/]
    """
    begun = time.monotonic()
    if not resume:
        require_absent(out, overwrite=overwrite)
    check_device_name(device)
    resolve_device(device)  # now, not after the dataset is built
    with redirect_stdout(io.StringIO()) if quiet else nullcontext():
        try:
            timings = _steps(out, device, resume=resume, overwrite=overwrite, quiet=quiet)
        except (InterruptedRun, KeyboardInterrupt) as error:
            again = shell_command(["clothseg", "demo", "--out", out, "--resume"])
            raise InterruptedRun(f"what is done is saved; continue with: {again}") from error
    from clothseg.report import write_report  # noqa: PLC0415 - PyTorch; wrong input is refused without it

    timings["all together"] = time.monotonic() - begun
    RunFolder(out).add_facts({"timings": {name: round(seconds, 1) for name, seconds in timings.items()}})
    page = write_report(out, out / "data")
    print(page if quiet else f"\nAll done in {timings['all together']:.0f} seconds. Open {page}")


def _steps(out: Path, device: str, *, resume: bool, overwrite: bool, quiet: bool) -> dict[str, float]:
    """All steps, without those that `resume` finds done; returns the seconds of some."""
    chosen = [] if device == AUTO else ["--device", device]
    data, run, timings = out / "data", RunFolder(out), {}
    if not (resume and (data / "dataset.yaml").is_file()):
        begun = time.monotonic()
        _say("dataset", "build", "sample", "--keep-empty", "--out", data)
        build(sample.folder(), data, keep_empty=True, overwrite=overwrite or resume, quiet=quiet)
        timings["build"] = time.monotonic() - begun
    if resume and run.last.is_file():
        _say("fit", data, "--out", out, "--resume", *chosen)
        fit(data, out, resume=True, device=device, quiet=quiet)
    else:
        _say("fit", data, "--config", "demo", "--out", out, "--overwrite", *chosen)
        fit(data, out, config="demo", overwrite=True, device=device, quiet=quiet)
    if not (resume and run.initial_metrics.is_file()):
        _say("evaluate", out, data, "--initial-weights", *chosen)
        evaluate(out, data, initial=True, device=device, quiet=quiet)
    _say("evaluate", out, data, *chosen)
    evaluate(out, data, device=device, quiet=quiet)
    pictures = out / "predictions"
    _say("predict", out, sample.folder() / "validation", "--out", pictures, *chosen)
    begun = time.monotonic()
    predict(out, [sample.folder() / "validation"], pictures, device=device, overwrite=True, quiet=quiet)
    return timings | {"predict": time.monotonic() - begun}


def _say(*words: object) -> None:
    print(f"\n$ {shell_command(['clothseg', *words])}", flush=True)
