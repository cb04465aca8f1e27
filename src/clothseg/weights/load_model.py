"""From any weights file to a network that answers: its settings, its conventions, its classes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clothseg.config import Config, deep_merge, read_settings
from clothseg.errors import WeightsError
from clothseg.networks import Network, build_network
from clothseg.weights.class_transfer import plain_name
from clothseg.weights.converted import ConvertedWeights
from clothseg.weights.foreign_settings import to_our_settings
from clothseg.weights.formats.native import write_network
from clothseg.weights.load import LoadReport, load_converted
from clothseg.weights.read import read_weights

Tree = dict[str, Any]


@dataclass(frozen=True)
class LoadedModel:
    """A network from a file, with all that it needs."""

    network: Network
    config: Config
    classes: list[str]
    report: LoadReport


def load_model(
    path: Path,
    settings: str | Path | None = None,
    overrides: Sequence[str] = (),
    classes: Sequence[str] | None = None,
) -> LoadedModel:
    """The network of a weights file of anybody's, with the origin's defaults where the file says nothing.

    Args:
        path: the file.
        settings: a settings file to lay over the defaults: ours, with as few values as one likes, or the origin's own
            (Matterport's `Config` as JSON or YAML, detectron2's YAML).
        overrides: such as `input.min_side=320`, laid over everything.
        classes: names of the file's classes 1..K, where it does not tell them.

    Raises:
        WeightsError: the file cannot be read, has no heads, is not complete, or has another number of classes.
        ConfigError: settings or overrides are wrong.
    """
    converted = read_weights(path)
    if converted.classes is None:
        raise WeightsError(
            f"{path}: {converted.layout}; it has a backbone but no heads, so there is nothing to predict with. "
            "Fine-tune with it: clothseg fit DATA --set weights=FILE"
        )
    names = list(classes) if classes else converted.classes
    if len(names) != len(converted.classes):
        raise WeightsError(f"{path}: has {len(converted.classes)} classes, but {len(names)} names were given")
    if twice := [name for name, count in Counter(map(plain_name, names)).items() if count > 1 or not name]:
        raise WeightsError(f"{path}: each class needs a name of its own, but {twice[0]!r} is there twice or empty")
    config = config_of(converted, settings, overrides)
    network = build_network(config, len(names))
    report = load_converted(network, converted, str(path))
    if report.missing or report.shape_mismatch:
        first = (report.shape_mismatch or report.missing)[:3]
        raise WeightsError(
            f"{path}: {report.summary()}: {'; '.join(first)}. The file is not complete, or settings do not fit it"
        )
    return LoadedModel(network, config, names, report)


def convert_weights(
    path: Path,
    out: Path,
    settings: str | Path | None = None,
    overrides: Sequence[str] = (),
    classes: Sequence[str] | None = None,
) -> str:
    """Write the file at `path` as one of ours to `out`; a backbone alone stays one. See `load_model`.

    Returns:
        what was done, in one sentence.
    """
    converted = read_weights(path)
    if converted.classes is None:
        write_network(out, converted.tensors, config_of(converted, settings, overrides), [])
        return f"{len(converted.tensors)} tensors of a backbone taken from {path}"
    opened = load_model(path, settings, overrides, classes)
    write_network(out, opened.network.state_dict(), opened.config, opened.classes)
    return opened.report.summary()


def config_of(converted: ConvertedWeights, settings: str | Path | None = None, overrides: Sequence[str] = ()) -> Config:
    """The configuration of a file: the origin's defaults and what its tensors show, `settings`, `overrides`.

    Raises:
        ConfigError: settings or overrides are wrong.
    """
    tree = deep_merge(converted.settings, {})
    if settings is not None:
        given, name = read_settings(settings)
        tree = deep_merge(tree, to_our_settings(given, name))
    return Config.from_tree(tree, overrides, str(settings or "the settings of these weights"))
