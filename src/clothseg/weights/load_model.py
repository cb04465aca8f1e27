"""A network from a weights file alone: its settings, its conventions, its classes."""

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
from clothseg.weights.formats.native import write_network
from clothseg.weights.load import LoadReport, load_converted, read_weights
from clothseg.weights.origin_settings import to_our_settings

Tree = dict[str, Any]


@dataclass(frozen=True)
class LoadedModel:
    """A network from a weights file.

    Attributes:
        network: with the file's weights.
        config: all settings.
        classes: names of the classes 1..K.
        report: what happened to every key.
    """

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
    """The network of any supported weights file, with its origin's defaults for settings that the file lacks.

    Args:
        path: the file.
        settings: a settings file that overrides the defaults: ours, also with only a few values, or the origin's own
            (Matterport's `Config` as JSON or YAML, detectron2's YAML).
        overrides: such as `input.min_side=320`; they override everything.
        classes: names of the classes 1..K, for a file without names.

    Raises:
        WeightsError: the file cannot be read, has no heads, is incomplete, or has another number of classes.
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
        raise WeightsError(f"{path}: each class needs a name of its own, but {twice[0]!r} occurs twice or is empty")
    config = config_of(converted, settings, overrides)
    network = build_network(config, len(names))
    report = load_converted(network, converted, str(path))
    if report.missing or report.shape_mismatch:
        first = (report.shape_mismatch or report.missing)[:3]
        raise WeightsError(
            f"{path}: {report.summary()}: {'; '.join(first)}. The file is incomplete, or the settings do not fit it"
        )
    return LoadedModel(network, config, names, report)


def convert_weights(
    path: Path,
    out: Path,
    settings: str | Path | None = None,
    overrides: Sequence[str] = (),
    classes: Sequence[str] | None = None,
) -> str:
    """Writes the weights file at `path` in our format to `out`, also a backbone alone. See `load_model`.

    Returns:
        the result in one sentence.

    Raises:
        WeightsError: the file cannot be converted, or `out` is the same file.
    """
    if out.resolve() == path.resolve():
        raise WeightsError(f"{out}: this is the file to convert; give another name for the result")
    converted = read_weights(path)
    if converted.classes is None:
        write_network(out, converted.tensors, config_of(converted, settings, overrides), [])
        return f"{len(converted.tensors)} tensors of a backbone loaded from {path}"
    model = load_model(path, settings, overrides, classes)
    write_network(out, model.network.state_dict(), model.config, model.classes)
    return model.report.summary()


def config_of(converted: ConvertedWeights, settings: str | Path | None = None, overrides: Sequence[str] = ()) -> Config:
    """The configuration of a file: its origin's defaults and what its tensors show, then `settings` and `overrides`.

    Raises:
        ConfigError: settings or overrides are wrong.
    """
    tree = deep_merge(converted.settings, {})
    if settings is not None:
        given, name = read_settings(settings)
        tree = deep_merge(tree, to_our_settings(given, name))
    return Config.from_tree(tree, overrides, str(settings or "the settings of these weights"))
