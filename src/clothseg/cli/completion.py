"""What the shell offers after TAB: presets, runs, names of classes and settings. Never imports PyTorch.

Typer calls these functions with the word that is being typed. They return whole words; where none fits, the shell
offers the names of files. An error would be printed into the command line, so what cannot be read has no suggestions.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel

from clothseg import sample
from clothseg.errors import ClothsegError
from clothseg.runs import RunFolder

RUNS = Path("runs")
"""Where `clothseg fit` writes in all examples."""


def presets(incomplete: str) -> list[tuple[str, str]]:
    """The presets that begin like this, each with its purpose."""
    from clothseg.config import preset_meanings  # noqa: PLC0415 - most completions need no settings

    return [(name, meaning) for name, meaning in preset_meanings().items() if name.startswith(incomplete)]


def runs(incomplete: str) -> list[str]:
    """The runs in `runs/`, as paths."""
    try:
        folders = [str(RUNS / file.parent.name) for file in RUNS.glob(f"*/{RunFolder(RUNS).weights.name}")]
    except OSError:
        return []
    return _beginning(incomplete, sorted(folders))


def networks(incomplete: str) -> list[str]:
    """The runs, and the networks that are installed."""
    from clothseg.weights import INSTALLED  # noqa: PLC0415 - most completions need no weights

    return runs(incomplete) + _beginning(incomplete, [*INSTALLED])


def initial_weights(incomplete: str) -> list[str]:
    """`auto`, the published weights, those that are installed, and the runs."""
    from clothseg.weights import INSTALLED  # noqa: PLC0415 - as below

    return _beginning(incomplete, ["auto", *INSTALLED]) + published_weights(incomplete) + runs(incomplete)


def published_weights(incomplete: str) -> list[str]:
    """The names of weights that `clothseg weights download` and `fit --weights` know."""
    from clothseg.weights import BUNDLED, PUBLISHED  # noqa: PLC0415 - most completions need no weights

    return _beginning(incomplete, [*PUBLISHED, *BUNDLED])


def devices(incomplete: str) -> list[str]:
    """The names of devices, whether this machine has them or not: to look takes PyTorch."""
    return _beginning(incomplete, ["auto", "cpu", "cuda", "mps"])


def network_names(incomplete: str) -> list[str]:
    """The networks of the demo, separated by commas."""
    from clothseg.config import NETWORK_SETTINGS  # noqa: PLC0415 - most completions need no settings

    return _listed(incomplete, ["all", *NETWORK_SETTINGS])


def setting_names(incomplete: str) -> list[str]:
    """The keys of all settings with `=`, those of each network too."""
    from clothseg.config import NETWORK_SETTINGS, Config  # noqa: PLC0415 - most completions need no settings

    own = [key for key in _keys(Config) if not key.startswith("network.")]
    of_networks = (key for section in NETWORK_SETTINGS.values() for key in _keys(section, "network."))
    return _beginning(incomplete, [f"{key}=" for key in dict.fromkeys([*own, *of_networks])])


def classes_of_run(ctx: typer.Context, incomplete: str) -> list[str]:
    """The classes of the run on the command line."""
    return _beginning(incomplete, _written_without_quotes(_names_of(_first_argument(ctx, "run"))))


def thresholds_of_run(ctx: typer.Context, incomplete: str) -> list[str]:
    """`CLASS=` for each class of the run on the command line."""
    return [f"{name}=" for name in classes_of_run(ctx, incomplete)]


def classes_of_source(ctx: typer.Context, incomplete: str) -> list[str]:
    """The classes of the folder of Open Images files on the command line, separated by commas."""
    from clothseg.openimages import class_file, read_classes  # noqa: PLC0415 - Polars

    source = _first_argument(ctx, "source")
    try:
        folder = sample.folder() if source is None or str(source) == "sample" else Path(source)
        known = [row.name for row in read_classes(class_file(folder))]
    except (ClothsegError, OSError):
        return []
    return _listed(incomplete, _written_without_quotes(known))


def _first_argument(ctx: typer.Context, name: str) -> Any:
    """The argument before the options, or None. Parsing ends where the value of an option is still missing."""
    return ctx.params.get(name) or next(iter(ctx.args), None)


def _names_of(run: Any) -> list[str]:
    """The classes of a run or a weights file of clothseg. Opening an ONNX file takes too long."""
    from clothseg.weights import check_model  # noqa: PLC0415 - most completions need no weights

    if run is None or Path(run).suffix == ".onnx":
        return []
    try:
        return check_model(Path(run)) or []
    except (ClothsegError, OSError):
        return []


def _keys(section: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """The dotted keys of a section, those of the sections in it too."""
    for name, about in section.model_fields.items():
        if isinstance(about.annotation, type) and issubclass(about.annotation, BaseModel):
            yield from _keys(about.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _beginning(incomplete: str, words: Iterable[str]) -> list[str]:
    return [word for word in words if word.startswith(incomplete)]


def _listed(incomplete: str, words: Iterable[str]) -> list[str]:
    """The words that fit after the last comma, each with what is before it."""
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{word}" for word in _beginning(last, words) if word not in before.split(",")]


def _written_without_quotes(names: Iterable[str]) -> list[str]:
    """The names that a shell takes as one word: it inserts what is offered as it is."""
    return [name for name in names if name.replace("-", "").replace("_", "").isalnum()]
