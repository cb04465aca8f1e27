"""From any weights file to a network that answers: its settings, its conventions, its classes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clothseg.config import Config, read_settings
from clothseg.errors import WeightsError
from clothseg.networks import MaskRCNNNetwork, build_network
from clothseg.weights.class_transfer import plain_name
from clothseg.weights.converted import Reading
from clothseg.weights.foreign_settings import in_our_terms
from clothseg.weights.formats.native import write_network
from clothseg.weights.load import LoadReport, load_reading
from clothseg.weights.read import read_weights

Tree = dict[str, Any]


@dataclass(frozen=True)
class OpenedNetwork:
    """A network from a file, with all that it needs."""

    network: MaskRCNNNetwork
    config: Config
    classes: list[str]
    report: LoadReport


def open_network(
    path: Path,
    settings: str | Path | None = None,
    overrides: Sequence[str] = (),
    classes: Sequence[str] | None = None,
) -> OpenedNetwork:
    """The network of a weights file of anybody's, with the origin's defaults where the file says nothing.

    Args:
        path: the file.
        settings: a settings file to lay over the defaults: ours, with as few values as one likes, or the origin's own
            (Matterport's `Config` as JSON or YAML, detectron2's YAML).
        overrides: such as `picture.min_side=320`, laid over everything.
        classes: names of the file's classes 1..K, where it does not tell them.

    Raises:
        WeightsError: the file cannot be read, has no heads, is not complete, or has another number of classes.
        ConfigError: settings or overrides are wrong.
    """
    reading = read_weights(path)
    if reading.classes is None:
        raise WeightsError(
            f"{path}: {reading.layout}; it has a backbone but no heads, so there is nothing to predict with. "
            "Fine-tune with it: clothseg fit DATA --set weights=FILE"
        )
    names = list(classes) if classes else reading.classes
    if len(names) != len(reading.classes):
        raise WeightsError(f"{path}: has {len(reading.classes)} classes, but {len(names)} names were given")
    if twice := [name for name, count in Counter(map(plain_name, names)).items() if count > 1 or not name]:
        raise WeightsError(f"{path}: each class needs a name of its own, but {twice[0]!r} is there twice or empty")
    config = config_of(reading, settings, overrides)
    network = build_network(config, len(names))
    report = load_reading(network, reading, str(path))
    if report.missing or report.wrong_shape:
        first = (report.wrong_shape or report.missing)[:3]
        raise WeightsError(
            f"{path}: {report.sentence()}: {'; '.join(first)}. The file is not complete, or settings do not fit it"
        )
    return OpenedNetwork(network, config, names, report)


def convert_weights(
    path: Path,
    out: Path,
    settings: str | Path | None = None,
    overrides: Sequence[str] = (),
    classes: Sequence[str] | None = None,
) -> str:
    """Write the file at `path` as one of ours to `out`; a backbone alone stays one. See `open_network`.

    Returns:
        what was done, in one sentence.
    """
    reading = read_weights(path)
    if reading.classes is None:
        write_network(out, reading.tensors, config_of(reading, settings, overrides), [])
        return f"{len(reading.tensors)} tensors of a backbone taken from {path}"
    opened = open_network(path, settings, overrides, classes)
    write_network(out, opened.network.state_dict(), opened.config, opened.classes)
    return opened.report.sentence()


def config_of(reading: Reading, settings: str | Path | None = None, overrides: Sequence[str] = ()) -> Config:
    """The configuration of a file: the origin's defaults and what its tensors show, `settings`, `overrides`.

    Raises:
        ConfigError: settings or overrides are wrong.
    """
    tree = laid_over(reading.settings, {})
    if settings is not None:
        given, name = read_settings(settings)
        tree = laid_over(tree, in_our_terms(given, name))
    return Config.from_tree(tree, overrides, str(settings or "the settings of these weights"))


def laid_over(below: Tree, above: Tree) -> Tree:
    """Both trees in one; where both have a value, that of `above`."""
    answer = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(answer.get(key), dict)
        answer[key] = laid_over(answer[key], value) if both else value
    return answer
