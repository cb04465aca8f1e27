"""Tensors into a network, with a report of every key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor, nn

from clothseg.errors import WeightsError
from clothseg.weights.efficientnet_lite import bundled_efficientnet_lite0
from clothseg.weights.own import read_network

HEADS = ("rpn.", "box_head.", "mask_head.")
LAST_LAYERS = ("box_head.score.", "box_head.delta.", "mask_head.logits.")


@dataclass(frozen=True)
class LoadReport:
    """What became of every key of a weights file and of the network.

    Attributes:
        source: where the weights came from, for people.
        taken: names in the network that were filled.
        left_out: names in the file that were not used, on purpose or because the network has no such part.
        missing: names in the network that stayed as they were.
        wrong_shape: names with the network's and the file's shape; they stayed as they were.
    """

    source: str
    taken: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    wrong_shape: list[str] = field(default_factory=list)

    def sentence(self) -> str:
        """The report in one sentence."""
        parts = [f"{len(self.taken)} tensors taken from {self.source}"]
        parts += [f"{len(self.missing)} start new"] if self.missing else []
        parts += [f"{len(self.left_out)} of the file not needed"] if self.left_out else []
        parts += [f"{len(self.wrong_shape)} of another shape and left as they were"] if self.wrong_shape else []
        return ", ".join(parts)


def load_tensors(
    network: nn.Module, tensors: Mapping[str, Tensor], source: str, exclude: Sequence[str] = ()
) -> LoadReport:
    """Fill `network` with `tensors` of our names, except those that begin with one of `exclude`.

    Raises:
        WeightsError: not one tensor fits.
    """
    state = network.state_dict()
    report = LoadReport(source)
    chosen = {}
    for name, tensor in tensors.items():
        if name not in state or name.startswith(tuple(exclude)):
            report.left_out.append(name)
        elif state[name].shape != tensor.shape:
            report.wrong_shape.append(f"{name}: {tuple(state[name].shape)} here, {tuple(tensor.shape)} in the file")
        else:
            chosen[name] = tensor
    report.taken.extend(chosen)
    report.missing.extend(name for name in state if name not in chosen)
    if not chosen:
        raise WeightsError(f"{source}: no tensor of it fits this network; was it made for another backbone?")
    network.load_state_dict(chosen, strict=False)
    return report


def load_start(network: nn.Module, source: str, exclude: Sequence[str] = ()) -> LoadReport:
    """Fill `network` from what `Config.weights` names.

    Args:
        network: as from `build_network`.
        source: `random`, `imagenet-efficientnet-lite0`, or a `.safetensors` file of ours.
        exclude: beginnings of names to leave as they are; `heads` stands for all three heads.

    Raises:
        WeightsError: the source is not known, cannot be read, or does not fit.
    """
    if source == "random":
        return LoadReport("random numbers", missing=list(network.state_dict()))
    prefixes = [prefix for name in exclude for prefix in (HEADS if name == "heads" else (name,))]
    if source == "imagenet-efficientnet-lite0":
        tensors = {f"backbone.model.{name}": tensor for name, tensor in bundled_efficientnet_lite0().items()}
        where = "EfficientNet-Lite0 trained on ImageNet"
        report = load_tensors(network, tensors, where, prefixes)
        if unfilled := [name for name in report.missing if name.startswith("backbone.")]:
            raise WeightsError(f"{where}: {len(unfilled)} tensors of the backbone are not in it: {unfilled[:3]}")
        return report
    if Path(source).suffix == ".safetensors":
        return load_tensors(network, read_network(Path(source)).tensors, source, prefixes)
    raise WeightsError(
        f"weights {source!r}: expected random, imagenet-efficientnet-lite0 or the path of a .safetensors file of ours"
    )
