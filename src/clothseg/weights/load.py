"""From any supported weights file into a network, with a report of every key.

One path: find the file, read its tensors (`files/`), convert them to our names (`formats/`), transfer the rows of
shared classes, fill the network.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from torch import Tensor

from clothseg.config import deep_merge
from clothseg.errors import WeightsError, shell_command
from clothseg.networks import Network
from clothseg.weights.catalogue import find_weights_file
from clothseg.weights.check import weights_file
from clothseg.weights.converted import (
    ConvertedWeights,
    LoadReport,
    require_shapes,
    same_classes,
    shared_classes,
    transfer_class_rows,
)
from clothseg.weights.files.tensor_file import TensorFile, read_tensor_file
from clothseg.weights.formats import (
    deeplab,
    detectron2,
    detectron2_deeplab,
    matterport,
    native,
    resnet,
    timm,
    torchvision,
    yolact,
)
from clothseg.weights.formats.efficientnet_lite import BUNDLED
from clothseg.weights.infer_settings import infer_classes, infer_settings
from clothseg.weights.origin_settings import network_name

if TYPE_CHECKING:
    from clothseg.http import TransferProgress

EXCLUDED = "excluded by the user"
LAYER_MISMATCH = "another tensor of its layer has another shape"


class Format(Protocol):
    """A module of `formats/`. A new one also needs an entry in `FORMATS`."""

    def recognizes(self, file: TensorFile) -> bool:
        """Whether the file has this format, by its tensor names or metadata."""

    def convert(self, file: TensorFile) -> ConvertedWeights:
        """Converts a recognized file to our names, with the default settings of its origin."""


FORMATS: tuple[Format, ...] = (
    native,
    torchvision,
    deeplab,
    detectron2_deeplab,
    detectron2,
    matterport,
    yolact,
    resnet,
    timm,
)
"""In this order; the first format that recognizes a file converts it."""


def read_weights(path: Path) -> ConvertedWeights:
    """Reads any supported weights file, of a run or an installed network too, and converts it to our names.

    Raises:
        RunError: the folder has no weights.
        WeightsError: it cannot be read, is of another network, has a tensor with a shape that its layer cannot have, or
            contains values that are not finite.
    """
    path = weights_file(path)
    file = read_tensor_file(path)
    converted = find_format(file).convert(file)
    require_shapes(path, converted)
    if broken := [name for name, tensor in converted.tensors.items() if not is_finite(tensor)]:
        raise WeightsError(
            f"{path}: {len(broken)} of {len(converted.tensors)} tensors contain values that are not finite, among them "
            f"{', '.join(broken[:3])}; the training that it comes from has diverged, or the file is damaged"
        )
    for key in file.stored_dtypes.keys() & converted.renamed.keys():
        changes = (f"from {file.stored_dtypes[key]} to float32", converted.changed.get(key))
        converted.changed[key] = "; ".join(filter(None, changes))
    converted.unused |= file.non_tensors
    if converted.origin != native.ORIGIN and converted.classes is None:
        converted.settings = deep_merge(converted.settings, infer_settings(converted.tensors))
        converted.classes = infer_classes(converted.tensors)
    if converted.classes == []:
        raise WeightsError(f"{path}: the class layer has no class besides background")
    return converted


def is_finite(tensor: Tensor) -> bool:
    """Whether all values are finite. A finite sum shows it at once; an infinite one may come from finite values too."""
    return bool(tensor.sum().isfinite()) or bool(tensor.isfinite().all())


def find_format(file: TensorFile) -> Format:
    """Returns the format of a file.

    Raises:
        WeightsError: no format recognizes the file.
    """
    for candidate in FORMATS:
        if candidate.recognizes(file):
            return candidate
    if native.is_checkpoint(file):
        raise WeightsError(
            f"{file.path}: a training checkpoint of a clothseg run, for --resume only; give the run's folder instead"
        )
    names = ", ".join(list(file.tensors)[:4])
    raise WeightsError(
        f"{file.path}: weights of another network ({len(file.tensors)} tensors: {names}, ...); supported are Mask "
        "R-CNN of torchvision, detectron2 and Matterport, YOLACT of its authors, DeepLab of torchvision, VainF and "
        "detectron2, ResNets and other timm classifiers as backbones, and files of clothseg"
    )


def load_converted(
    network: Network,
    converted: ConvertedWeights,
    source: str,
    exclude: Sequence[str] = (),
    classes: Sequence[str] | None = None,
) -> LoadReport:
    """Fills `network`, built for `classes`, with converted weights whose classes may be others.

    Last layers for other classes start new, except for the rows of background and of classes that both have by name. A
    layer loads whole or not at all: if one of its tensors has another shape, its others start new too.

    Args:
        network: as from `build_network`.
        converted: as from `read_weights`.
        source: a description of where the weights come from.
        exclude: prefixes of names that are not loaded.
        classes: names of the network's classes; None if they are those of `converted`.

    Raises:
        WeightsError: no tensor fits, or no tensor of the network has a prefix of `exclude`.
    """
    _check_prefixes(network, exclude)
    tensors, old, transferred = converted.tensors, converted.classes, None
    if old is not None and classes is not None and not same_classes(old, classes):
        tensors = transfer_class_rows(tensors, network.state_dict(), old, classes, network.class_layers)
        if not all(layer.startswith(tuple(exclude)) for layer in network.class_layers):
            transferred = [classes[number - 1] for number in shared_classes(old, classes) if number]
    report = LoadReport(source, changed=dict(converted.changed), transferred=transferred)
    report.renamed.update({key: name for key, name in converted.renamed.items() if key != name})
    keys = {name: key for key, name in converted.renamed.items() if key not in converted.changed}
    chosen = _choose(report, tensors, network.state_dict(), exclude, keys)
    if not chosen:
        raise WeightsError(f"{source}: no tensor of it fits this network; was it made for another backbone?")
    report.unused.extend(converted.unused)
    report.reasons.update(converted.unused)
    network.load_state_dict(chosen, strict=False)
    return report


def _choose(
    report: LoadReport,
    tensors: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    exclude: Sequence[str],
    keys: Mapping[str, str],
) -> dict[str, Tensor]:
    """The tensors that fit `state`; the others go into the report. `keys` has the file's key of a name."""
    mismatched = {_layer(n) for n, tensor in tensors.items() if n in state and state[n].shape != tensor.shape}
    chosen = {}
    for name, tensor in tensors.items():
        key = keys.get(name, name)
        if name not in state:
            report.unused.append(key)
        elif name.startswith(tuple(exclude)):
            report.unused.append(key)
            report.reasons[key] = EXCLUDED
        elif state[name].shape != tensor.shape:
            report.shape_mismatch.append(f"{name}: {tuple(state[name].shape)} here, {tuple(tensor.shape)} in the file")
        elif _layer(name) in mismatched:
            report.unused.append(key)
            report.reasons[key] = LAYER_MISMATCH
        else:
            chosen[name] = tensor
    report.loaded.extend(chosen)
    report.missing.extend(name for name in state if name not in chosen)
    return chosen


def _check_prefixes(network: Network, exclude: Sequence[str]) -> None:
    state = network.state_dict()
    for prefix in exclude:
        if not any(name.startswith(prefix) for name in state):
            parts = ", ".join(dict.fromkeys(name.split(".")[0] for name in state))
            raise WeightsError(
                f"exclude {prefix!r}: no tensor of the network has this prefix; its parts are {parts}, heads"
            )


def _layer(name: str) -> str:
    return name.rpartition(".")[0]


def load_initial_weights(
    network: Network,
    source: str,
    exclude: Sequence[str] = (),
    classes: Sequence[str] | None = None,
    progress: "TransferProgress | None" = None,
) -> LoadReport:
    """Fills `network` from the source that `Config.weights` names.

    Args:
        network: as from `build_network`.
        source: `random`, one of `BUNDLED` such as `imagenet-efficientnet-lite0`, a name of the catalogue, a run's
            folder, or any supported weights file.
        exclude: prefixes of names that are not loaded; `heads` stands for all heads.
        classes: names of the network's classes, for the rows of last layers that can be transferred.
        progress: called with the progress of a download.

    Raises:
        WeightsError: the source is unknown, cannot be read, or does not fit.
    """
    if source == "random":
        return LoadReport("random numbers", missing=list(network.state_dict()))
    prefixes = [prefix for name in exclude for prefix in (network.head_prefixes if name == "heads" else (name,))]
    if bundled := BUNDLED.get(source):
        converted, source = bundled.read(), bundled.title
    else:
        converted = read_weights(find_weights_file(source, network.config.backbone.name, progress))
        _require_network(converted, source, network)
        if network.config.backbone.name.startswith("timm/") and converted.classes is None:
            converted = timm.rename_for_extractor(converted, network.state_dict().keys())
    report = load_converted(network, converted, source, prefixes, classes)
    _require_backbone(report, converted, prefixes, network)
    report.notes.extend(_differences(converted, network))
    return report


def _require_network(converted: ConvertedWeights, source: str, network: Network) -> None:
    """Raises an error if weights with heads are of another network; a backbone alone fits any."""
    of_file, own = network_name(converted.settings), network.config.network.name
    if converted.classes is not None and of_file != own:
        raise WeightsError(
            f"{source}: weights of {of_file}, but the configuration's network is {own}; "
            f"`{shell_command(['clothseg', 'weights', 'inspect', source, '--settings'])} > FILE.yaml` makes a "
            "configuration for them"
        )


def _require_backbone(
    report: LoadReport, converted: ConvertedWeights, exclude: Sequence[str], network: Network
) -> None:
    """Raises an error if the file left a tensor of the backbone new that `exclude` does not name."""
    missing = [name for name in report.missing if name.startswith("backbone.")]
    if not (unfilled := [name for name in missing if not name.startswith(tuple(exclude))]):
        return
    of_file, own = str(converted.settings.get("backbone", {}).get("name", "")), network.config.backbone.name
    if of_file not in ("", own):
        raise WeightsError(
            f"{report.source}: its backbone is {of_file}, the configuration's is {own}; "
            f"`{shell_command(['clothseg', 'weights', 'inspect', report.source, '--settings'])} > FILE.yaml` makes one "
            "for --config that fits"
        )
    shapes = f" ({'; '.join(report.shape_mismatch[:2])})" if report.shape_mismatch else ""
    raise WeightsError(
        f"{report.source}: {len(unfilled)} tensors of the backbone are not in it, among them "
        f"{', '.join(unfilled[:3])}{shapes}; was it made for another backbone?"
    )


def _differences(converted: ConvertedWeights, network: Network) -> list[str]:
    """A note if the file was trained with other conventions than the network's."""
    of_file = converted.settings.get("network", {}).get("conventions", "torchvision")
    own = getattr(network.config.network, "conventions", of_file)
    if of_file == own:
        return []
    return [
        f"the file was trained with {of_file}'s conventions, this network has {own}'s: set "
        f"network.conventions={of_file}"
    ]
