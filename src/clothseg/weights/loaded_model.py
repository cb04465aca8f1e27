"""From a weights file to a network that is ready to predict, with its settings and classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clothseg.config import Config
from clothseg.errors import WeightsError, shell_command
from clothseg.instances import Calibration
from clothseg.instances.class_names import wrong_class_names
from clothseg.networks import Network, build_network
from clothseg.weights.check import weights_file
from clothseg.weights.converted import ConvertedWeights, LoadReport
from clothseg.weights.formats.native import write_network
from clothseg.weights.load import load_converted, read_weights
from clothseg.weights.origin_settings import config_from, named_network, network_name


@dataclass(frozen=True)
class LoadedModel:
    """A network from a weights file.

    Attributes:
        network: with all weights loaded.
        config: all settings.
        classes: names of the classes 1..K.
        report: what happened to every key of the file.
        calibration: of the scores; None if they are as the network gives them.
    """

    network: Network
    config: Config
    classes: list[str]
    report: LoadReport
    calibration: Calibration | None = None


def load_model(
    path: Path,
    settings: str | Path | None = None,
    overrides: Sequence[str] = (),
    classes: Sequence[str] | None = None,
) -> LoadedModel:
    """Builds the network of any supported weights file. The origin's defaults complete the settings of the file.

    Args:
        path: the file, or a run's folder.
        settings: a settings file that overrides the defaults: ours with any number of values, or the origin's own
            (Matterport's `Config` as JSON or YAML, detectron2's YAML).
        overrides: such as `input.min_side=320`; they override everything else.
        classes: names of the file's classes 1..K, if it does not contain them.

    Raises:
        RunError: the run's folder has no weights.
        WeightsError: the file cannot be read, has no heads, is not complete, or has another number of classes.
        ConfigError: settings or overrides are wrong.
    """
    path = weights_file(path)
    return _build_model(path, read_weights(path), settings, overrides, classes)


def convert_weights(
    path: Path,
    out: Path,
    settings: str | Path | None = None,
    overrides: Sequence[str] = (),
    classes: Sequence[str] | None = None,
    *,
    half: bool = False,
) -> str:
    """Converts the file at `path` to our format and writes it to `out`; the arguments are those of `load_model`.

    With `half`, floats are written in 16 bits.

    The file of a backbone without heads becomes a file of a backbone without heads.

    Returns:
        A summary in one line.

    Raises:
        WeightsError: the file cannot be converted, or `out` is the same file.
    """
    if out.resolve() == weights_file(path).resolve():
        raise WeightsError(f"{out}: this is the file to convert; give another name for the result")
    converted = read_weights(path)
    if converted.classes is None:
        write_network(out, converted.tensors, config_of(converted, settings, overrides), [], half=half)
        return f"{len(converted.tensors)} tensors of a backbone loaded from {path}"
    model = _build_model(path, converted, settings, overrides, classes)
    write_network(out, model.network.state_dict(), model.config, model.classes, model.calibration, half=half)
    return model.report.summary()


def config_of(converted: ConvertedWeights, settings: str | Path | None = None, overrides: Sequence[str] = ()) -> Config:
    """The configuration for a file: `overrides` over `settings` over the settings of the file and its origin.

    A backbone alone fits any network, so what its origin says of a network is dropped where another one is named.

    Raises:
        ConfigError: settings or overrides are wrong, or name another network than that of the file.
    """
    known = converted.settings
    if converted.classes is None and (named := named_network(settings, overrides)) and named != network_name(known):
        known = {section: values for section, values in known.items() if section != "network"}
    return config_from(known, settings, overrides)


def _build_model(
    path: Path,
    converted: ConvertedWeights,
    settings: str | Path | None,
    overrides: Sequence[str],
    classes: Sequence[str] | None,
) -> LoadedModel:
    if converted.classes is None:
        raise WeightsError(
            f"{path}: {converted.layout}; it has a backbone but no heads, so it cannot predict. Fine-tune it first: "
            f"{shell_command(['clothseg', 'fit', 'DATA', '--weights', path])}"
        )
    names = list(classes) if classes else converted.classes
    if len(names) != len(converted.classes):
        raise WeightsError(f"{path}: has {len(converted.classes)} classes, but {len(names)} names were given")
    if wrong := wrong_class_names(names):
        raise WeightsError(f"{path}: {wrong}; give other names with --class-names")
    config = config_of(converted, settings, overrides)
    network = build_network(config, len(names))
    report = load_converted(network, converted, str(path))
    if report.missing or report.shape_mismatch:
        examples = (report.shape_mismatch or report.missing)[:3]
        raise WeightsError(
            f"{path}: {report.summary()}: {'; '.join(examples)}. The file is not complete, or the settings do not fit"
        )
    return LoadedModel(network, config, names, report, converted.calibration)
