"""Checks of a weights file that need no PyTorch, so that wrong input is refused before PyTorch is imported."""

import os
from collections.abc import Sequence
from pathlib import Path

from clothseg.config import read_settings
from clothseg.errors import RunError, WeightsError, shell_command
from clothseg.instances import class_number
from clothseg.paths import Wanted, explain_wrong_path
from clothseg.runs import RunFolder, unfinished_run
from clothseg.suggestions import near_path, nearest
from clothseg.weights.catalogue import INSTALLED, PUBLISHED, installed_network
from clothseg.weights.formats.native_metadata import read_metadata
from clothseg.weights.origin_settings import config_from


def weights_file(path: Path) -> Path:
    """The weights file in a run's folder, the file `path` itself, or the installed network of that name.

    Raises:
        RunError: the folder has no weights.
        WeightsError: there is no such file.
    """
    if installed := installed_network(str(path)):
        return installed
    if os.path.isdir(path):
        file = RunFolder(path).weights
        if not file.is_file():
            raise RunError(
                explain_wrong_path(path, Wanted.RUN)
                or unfinished_run(path)
                or f"{path}: no {file.name} in it; `clothseg fit` writes it after an epoch"
            )
        return file
    if not os.path.isfile(path):
        if str(path) in PUBLISHED:
            fetch = f"`{shell_command(['clothseg', 'weights', 'download', path])}` fetches it and prints its path"
            raise WeightsError(f"{path}: no such file; {fetch}")
        raise WeightsError(f"{path}: no such weights file or run{_near(path)}")
    if wrong := explain_wrong_path(path, Wanted.RUN):
        raise WeightsError(wrong)
    return path


def _near(path: Path) -> str:
    """What exists near a wrong path, among files and among networks that have a name; see `near_path`."""
    found = near_path(path)
    if "did you mean" not in found and (known := nearest(str(path), [*INSTALLED, *PUBLISHED], 1)):
        return f"; did you mean {known[0]}?"
    return found


def check_model(
    path: Path,
    settings: str | Path | None = None,
    overrides: Sequence[str] = (),
    classes: Sequence[str] | None = None,
) -> list[str] | None:
    """Raises the errors of `load_model`, with the same arguments, that can be known without reading tensors.

    Settings and classes are checked only for files that clothseg wrote: those of other files follow from their tensors.

    Returns:
        The names of the classes 1..K; None if they are not known yet.

    Raises:
        RunError, WeightsError: there is no such file, or its metadata is damaged.
        ConfigError: settings or overrides are wrong, or a score threshold is for an unknown class.
    """
    known = read_metadata(weights_file(path))
    if known is None:
        if settings is not None:
            read_settings(settings)
        return list(classes) if classes else None
    config, names = known
    if not names:  # a backbone alone: `load_model` explains it
        return None
    config = config_from(config.to_tree(), settings, overrides)
    names = list(classes) if classes and len(classes) == len(names) else names
    for name in config.inference.class_thresholds:
        class_number(name, names)
    return names
