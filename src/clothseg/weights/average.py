"""The mean of the weights of several trainings: one network, as fast as each, and often better.

It works for trainings from the same initial weights that differ in seed, photos or augmentation.

Source: Wortsman et al., Model soups: averaging weights of multiple fine-tuned models improves accuracy without
increasing inference time (2022), the "uniform soup".
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from clothseg.errors import WeightsError
from clothseg.weights.check import weights_file
from clothseg.weights.formats.native import SavedNetwork, read_network, write_network

SAME_SECTIONS = ("network", "backbone", "input")
"""What the networks must have in common, besides their classes."""


def average_weights(sources: Sequence[Path], out: Path, *, half: bool = False) -> str:
    """Writes a weights file with the mean of the weights of several runs or files of clothseg.

    Settings and classes are those of the first. It has no calibration, because the scores are new.

    Args:
        sources: runs or weights files, at least two.
        out: the `.safetensors` file to write.
        half: whether floats are written in 16 bits.

    Returns:
        what was averaged, and what speaks against it, for people.

    Raises:
        RunError: a run has no weights.
        WeightsError: there are fewer than two, one is named twice or cannot be read, or they are of different networks.
    """
    paths = [weights_file(source) for source in sources]
    if len(paths) < 2:
        raise WeightsError("a mean needs at least two runs or weights files")
    places = [path.resolve() for path in paths]
    if again := [path for number, path in enumerate(places) if path in places[:number]]:
        raise WeightsError(f"{again[0]}: named twice; name each run once")
    networks = [read_network(path) for path in paths]
    for path, other in zip(paths[1:], networks[1:], strict=True):
        if difference := _difference(networks[0], other):
            raise WeightsError(f"{path}: {difference} as {paths[0]}, so they have no mean")
    first = networks[0]
    write_network(out, mean_of([network.tensors for network in networks]), first.config, first.classes, half=half)
    return "; ".join([f"mean of the weights of {len(paths)} trainings", *_notes(networks)])


def mean_of(networks: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of each tensor of networks of one form, in its own type; integers are those of the first network."""
    return {
        name: torch.stack([tensors[name].double() for tensors in networks]).mean(dim=0).to(one.dtype)
        if one.is_floating_point()
        else one
        for name, one in networks[0].items()
    }


def _difference(one: SavedNetwork, other: SavedNetwork) -> str:
    """What two networks do not have in common, as the start of a sentence; empty if they have a mean."""
    if one.classes != other.classes:
        return f"its classes are not the same ({', '.join(other.classes)})"
    trees = one.config.to_tree(), other.config.to_tree()
    changed = [section for section in SAME_SECTIONS if trees[0][section] != trees[1][section]]
    if changed:
        return f"its settings are not the same in {', '.join(changed)}"
    shapes = [{name: tensor.shape for name, tensor in network.tensors.items()} for network in (one, other)]
    return "" if shapes[0] == shapes[1] else "its tensors do not have the same shapes"


def _notes(networks: Sequence[SavedNetwork]) -> list[str]:
    notes = []
    starts = list(dict.fromkeys(network.config.weights for network in networks))
    if len(starts) > 1 or starts == ["random"]:
        notes.append(f"they did not start from the same weights ({', '.join(starts)}), so it may be worse than each")
    inferences = [network.config.inference for network in networks]
    if any(inference != inferences[0] for inference in inferences):
        notes.append("their settings of inference differ; those of the first are taken")
    if any(network.calibration for network in networks):
        notes.append("the scores are not calibrated any more; `evaluate --calibrate` does it")
    return notes
