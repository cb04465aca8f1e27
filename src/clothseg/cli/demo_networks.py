"""`clothseg demo --networks`: several networks on the sample, and the page that compares them."""

from collections.abc import Sequence
from pathlib import Path

from clothseg import sample
from clothseg.cli.compare import PAGE, compare
from clothseg.cli.dataset.build import build
from clothseg.cli.evaluate import evaluate
from clothseg.cli.fit import fit
from clothseg.cli.terminal import say_command
from clothseg.config import NETWORK_SETTINGS, Config, preset_names
from clothseg.devices import AUTO
from clothseg.errors import ConfigError
from clothseg.runs import RunFolder
from clothseg.suggestions import did_you_mean

ALL = "all"


def demo_presets() -> dict[str, str]:
    """The preset of demo length of each network, by the network's name."""
    presets = [name for name in preset_names() if name == "demo" or name.startswith("demo-")]
    found = {Config.load(name).network.name: name for name in presets}
    return {name: found[name] for name in NETWORK_SETTINGS if name in found}


def chosen_presets(networks: str) -> dict[str, str]:
    """The presets of `all` networks, or of names separated by commas.

    Raises:
        ConfigError: there is no demo of a name, or fewer than two are named.
    """
    known = demo_presets()
    names = [name.strip() for name in networks.split(",") if name.strip()]
    if names == [ALL]:
        return known
    for name in names:
        if name not in known:
            raise ConfigError(
                f"--networks {name}: no such network; {did_you_mean(name, [*known, ALL], otherwise='there is')}"
            )
    chosen = {name: preset for name, preset in known.items() if name in names}
    if len(chosen) < 2:
        raise ConfigError(f"--networks {networks}: name two or more of {', '.join(known)}, or {ALL}")
    return chosen


def demo_networks(
    out: Path,
    presets: dict[str, str],
    device: str,
    settings: Sequence[str],
    *,
    resume: bool,
    overwrite: bool,
    quiet: bool,
) -> Path:
    """Trains and evaluates the networks on the sample, one after the other, and compares them; returns the page.

    Args:
        out: folder for `data`, a run for each network, and the page.
        presets: the preset of each network by its name.
        device: where the networks run.
        settings: overrides of each preset, such as `train.epochs=1`.
        resume: whether what is done already is left out.
        overwrite: whether what is in `out` may be replaced.
        quiet: whether messages and progress bars are left out.
    """
    data = out / "data"
    if not (resume and (data / "dataset.yaml").is_file()):
        say_command("dataset", "build", "sample", "--keep-empty", "--out", data)
        build(sample.folder(), data, keep_empty=True, overwrite=overwrite or resume, quiet=quiet)
    runs = [out / name for name in presets]
    for run, preset in zip(runs, presets.values(), strict=True):
        if not (resume and RunFolder(run).metrics.is_file()):
            _train(run, preset, data, device, settings, resume=resume, quiet=quiet)
    page = out / PAGE
    say_command("compare", *runs, "--out", page, "--overwrite", *_on(device))
    compare(runs, data=data, out=page, device=device, overwrite=True, quiet=quiet)
    return page


def _train(
    run: Path, preset: str, data: Path, device: str, settings: Sequence[str], *, resume: bool, quiet: bool
) -> None:
    """Trains, or continues, and evaluates one network."""
    if resume and RunFolder(run).last.is_file():
        say_command("fit", data, "--out", run, "--resume", *_on(device))
        fit(data, run, resume=True, device=device, quiet=quiet)
    else:
        say_command("fit", data, "--config", preset, *set_options(settings), "--out", run, "--overwrite", *_on(device))
        fit(data, run, config=preset, overrides=list(settings), overwrite=True, device=device, quiet=quiet)
    say_command("evaluate", run, data, *_on(device))
    evaluate(run, data, device=device, quiet=quiet)


def set_options(settings: Sequence[str]) -> list[str]:
    """The options of the command line that set these."""
    return [word for setting in settings for word in ("--set", setting)]


def _on(device: str) -> Sequence[str]:
    return [] if device == AUTO else ["--device", device]
