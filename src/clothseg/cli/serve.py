"""`clothseg serve`."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from clothseg.cli.completion import networks
from clothseg.cli.exported import load_exported
from clothseg.cli.failures import report_failure
from clothseg.cli.inputs import (
    ClassAgnosticNms,
    ClassNames,
    Device,
    Overrides,
    Quiet,
    ThresholdOf,
    Thresholds,
    WeightsSettings,
    least_scores,
    selection_settings,
    split_names,
)
from clothseg.cli.terminal import ERRORS, opening, say_simpler_colours
from clothseg.devices import check_device_name
from clothseg.errors import package_error
from clothseg.exported import ExportedModel, is_onnx
from clothseg.instances import class_number
from clothseg.runs import RunFolder
from clothseg.weights import check_model

if TYPE_CHECKING:
    from clothseg.models import Model
    from clothseg.serve.engine import Find


def serve(
    run: Annotated[
        Path | None,
        typer.Argument(
            autocompletion=networks,
            help="A run's folder, any supported weights file, an ONNX file of clothseg, or garments. Default: the "
            "newest run in runs/, or garments.",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Where to listen; 0.0.0.0 lets other machines in, with a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes any free port.")] = 8000,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="CLOTHSEG_TOKEN",
            show_envvar=True,
            help="Token that every request needs. Default: a new one if other machines can reach the server.",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A further host name that the server answers to, repeatable.")
    ] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")] = True,
    score_threshold: Annotated[
        float, typer.Option(min=0, max=1, metavar="SCORE", help="Where the score slider of the page begins.")
    ] = 0.5,
    threshold: ThresholdOf = None,
    thresholds: Thresholds = None,
    class_agnostic_nms_iou: ClassAgnosticNms = None,
    max_megabytes: Annotated[
        int, typer.Option(min=1, max=500, metavar="MB", help="Largest size of a photo's file.")
    ] = 25,
    max_megapixels: Annotated[int, typer.Option(min=1, max=500, metavar="MP", help="Largest size of a photo.")] = 50,
    queue: Annotated[
        int, typer.Option(min=1, max=1000, metavar="N", help="Requests that may wait; more are refused.")
    ] = 32,
    device: Device = "auto",
    config: WeightsSettings = None,
    overrides: Overrides = None,
    class_names: ClassNames = None,
    quiet: Quiet = False,
) -> None:
    """Open a web page that finds garments on photos and cuts them out, with a JSON interface for programs.

    It listens on this machine only, unless --host says otherwise. Photos stay in memory and are never written to disk.
    Ctrl-C ends it.

    Example: [b]clothseg serve[/]

    Example: [b]clothseg serve runs/first[/]

    Example: [b]clothseg serve runs/first --host 0.0.0.0 --port 9000 --no-browser[/]
    """
    run = run or newest_run(Path("runs"))
    least = least_scores(run, threshold, thresholds)
    settings = [*(overrides or []), *selection_settings(run, None, None, class_agnostic_nms_iou)]
    names = split_names(class_names) if class_names else None
    check_device_name(device)
    exported: ExportedModel | None = None
    if is_onnx(run):
        unfit = {"--config": bool(config), "--set": bool(overrides), "--class-names": bool(class_names)}
        exported = load_exported(run, threshold, thresholds, class_agnostic_nms_iou, device, unfit)
    known = exported.classes if exported else check_model(run, config, settings, names)
    for name in least if known else ():
        class_number(name, known or (), option="--threshold")
    try:
        import python_multipart  # noqa: F401, PLC0415 - of the extra; Starlette imports it late

        from clothseg.serve.access import access_for  # noqa: PLC0415
        from clothseg.serve.run import address_elsewhere, address_of, bind, open_browser  # noqa: PLC0415
        from clothseg.serve.run import serve as serve_app  # noqa: PLC0415
    except ImportError as error:
        raise package_error(error, 'the web page needs more packages: pip install "clothseg[serve]"') from error
    access = access_for(host, token, allow_host or ())
    listening = bind(host, port)
    from clothseg.serve import Engine, Limits, create_app  # noqa: PLC0415

    if exported is not None:
        model: ExportedModel | Model = exported
        find: Find = exported.find_each
    else:  # PyTorch takes seconds to import: only now, because wrong input is refused at once
        with opening(quiet=False):
            from clothseg.models import Model as TorchModel  # noqa: PLC0415
            from clothseg.prediction import detect_batch  # noqa: PLC0415

            model = TorchModel.load(run, settings=config, overrides=settings, classes=names, device=device)
        find = partial(detect_batch, model)
    for name in least:
        class_number(name, model.classes, option="--threshold")
    of_config = {model.classes[number - 1]: score for number, score in model.selection().thresholds.items()}
    limits = Limits(max_megabytes << 20, max_megapixels * 1_000_000, queue)
    engine = Engine(find, model.classes, limits)
    app = create_app(
        engine,
        access,
        name=run.resolve().name,
        score_threshold=score_threshold,
        class_thresholds=of_config | least,
        report=lambda error: report_failure(error, ["serve", str(run)]),
    )
    address = address_of(listening, host, access.token)

    def started() -> None:
        print(address, flush=True)
        if not quiet:
            _explain(run.resolve().name, access.local, address_elsewhere(listening, host, access.token))
        say_simpler_colours(quiet=quiet)
        if browser:
            open_browser(address)

    serve_app(app, listening, on_start=started)


def _explain(name: str, local: bool, elsewhere: str | None) -> None:
    where = "this machine only" if local else "every machine that reaches it, with the token"
    ERRORS.print(f"{escape(name)} serves {where}; Ctrl-C ends it")
    if elsewhere:
        ERRORS.print(f"on a phone or another machine of this network: {escape(elsewhere)}", soft_wrap=True)


def newest_run(folder: Path) -> Path:
    """The run below `folder` with the newest weights, or else the network that comes with the package."""
    files = [RunFolder(path).weights for path in folder.iterdir()] if folder.is_dir() else []
    found = [file for file in files if file.is_file()]
    if not found:
        return Path("garments")
    return max(found, key=lambda file: file.stat().st_mtime).parent
