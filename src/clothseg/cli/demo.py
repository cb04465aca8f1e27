"""`clothseg demo`: all steps on the sample."""

import time
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
from clothseg.errors import shell_command
from clothseg.files import require_absent
from clothseg.runs import RunFolder


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the run.")] = Path("runs/demo"),
    device: Device = "auto",
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Run all steps on the sample photos: dataset, fine-tuning, evaluation, pictures and a report. Takes minutes.

    It prints each step as the command that does it.

    Example: [b]clothseg demo --out runs/demo[/]
    """
    begun = time.monotonic()
    require_absent(out, overwrite=overwrite)
    check_device_name(device)
    resolve_device(device)  # now, not after the dataset is built
    chosen = [] if device == AUTO else ["--device", device]
    data = out / "data"
    _say("dataset", "build", "sample", "--keep-empty", "--out", data)
    build(sample.folder(), data, keep_empty=True, overwrite=overwrite, quiet=quiet)
    built = time.monotonic()
    _say("fit", data, "--config", "demo", "--out", out, "--overwrite", *chosen)
    fit(data, out, config="demo", overwrite=True, device=device, quiet=quiet)
    _say("evaluate", out, data, "--initial-weights", *chosen)
    evaluate(out, data, initial=True, device=device, quiet=quiet)
    _say("evaluate", out, data, *chosen)
    evaluate(out, data, device=device, quiet=quiet)
    pictures = out / "predictions"
    _say("predict", out, sample.folder() / "validation", "--out", pictures, *chosen)
    predicted = time.monotonic()
    predict(out, [sample.folder() / "validation"], pictures, device=device, overwrite=True, quiet=quiet)
    from clothseg.report import write_report  # noqa: PLC0415 - PyTorch; wrong input is refused without it

    now = time.monotonic()
    timings = {"build": built - begun, "predict": now - predicted, "all together": now - begun}
    RunFolder(out).add_facts({"timings": {name: round(seconds, 1) for name, seconds in timings.items()}})
    print(f"\nAll done in {now - begun:.0f} seconds. Open {write_report(out, data)}")


def _say(*words: object) -> None:
    print(f"\n$ {shell_command(['clothseg', *words])}", flush=True)
