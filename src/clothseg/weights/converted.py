"""Weights between their file and a network: tensors under our names, what happens to every key, rows of classes."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from clothseg.errors import WeightsError
from clothseg.instances import Calibration

UNKNOWN_PART = "no such part in this network"
BATCH_COUNTER = "counts training batches; a frozen norm does not use it"
IMAGENET_CLASSIFIER = "ImageNet's classifier"
"""Reasons why a key is not used."""

SHAPES = {1: "[channels]", 2: "[outputs, inputs]", 4: "[outputs, inputs, height, width]"}
AXES: tuple[tuple[str, tuple[int, ...]], ...] = (
    (r".*\.(bias|running_mean|running_var)", (1,)),
    (r"backbone\.model\.layer\d\.\d+\.conv\d\.weight", (4,)),
    (r"box_head\.(dense\.\d+|score|delta)\.weight", (2,)),
    (r"(rpn|head)\.(score|delta|coefficient)\.weight", (4,)),
    (r".*\.(predictor|logits|up)\.weight", (4,)),
    (r".*\.weight", (1, 2, 4)),
)
"""How many axes a tensor may have, by our name; the first pattern that matches counts."""


@dataclass
class ConvertedWeights:
    """Tensors under our names, with the settings and the classes of their file.

    Attributes:
        origin: the program that the file comes from: `torchvision`, `detectron2`, `matterport`, `timm`, `clothseg`.
        layout: a description of the origin and the kind of file, for people.
        tensors: by our names, float32.
        renamed: our name for each key of the file that is used, also where both are the same.
        changed: what was done to a tensor besides renaming it, by the file's key.
        unused: why a key of the file is not used, by the file's key.
        settings: sections and values of `Config`: the origin's defaults, and what the shapes of the tensors show.
        classes: names of the classes 1..K, or None if the file has no heads.
        calibration: of the scores; None if the file has none.
    """

    origin: str
    layout: str
    tensors: dict[str, Tensor] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    changed: dict[str, str] = field(default_factory=dict)
    unused: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    classes: list[str] | None = None
    calibration: Calibration | None = None

    def add(self, key: str, name: str, tensor: Tensor, change: str = "") -> None:
        """Adds `tensor`, the file's `key`, under our `name`; `change` describes what was done to it."""
        self.tensors[name] = tensor.contiguous()
        self.renamed[key] = name
        if change:
            self.changed[key] = change

    def update(self, name: str, key: str, change: str, function: Callable[[Tensor], Tensor]) -> None:
        """Replaces the tensor `name` by `function` of it, because of the file's `key`; `change` describes how."""
        self.tensors[name] = function(self.tensors[name])
        self.renamed[key] = name
        self.changed[key] = change


@dataclass(frozen=True)
class LoadReport:
    """What happened to every key of a weights file and to every tensor of the network.

    Attributes:
        source: a description of where the weights come from.
        loaded: names of the network's tensors that were filled.
        unused: keys of the file that were not used.
        missing: names of the network's tensors that stayed as they were.
        shape_mismatch: names with the network's shape and the file's; these tensors stayed as they were.
        renamed: the network's name for each key of the file that has another one there.
        changed: what was done to a tensor besides renaming it, by the file's key.
        reasons: why a key is unused, by the file's key, where it is known.
        transferred: names of the classes whose rows were copied into new last layers; None if these are not new.
        notes: sentences for the user about this file in this network.
    """

    source: str
    loaded: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    shape_mismatch: list[str] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)
    changed: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    transferred: list[str] | None = None
    notes: list[str] = field(default_factory=list)

    def summary(self) -> str:
        """The report in one line."""
        parts = [f"{len(self.loaded)} tensors loaded from {self.source}"]
        if self.missing:
            mismatch = len(self.shape_mismatch)
            why = f", {mismatch} of them because the file's have another shape" if mismatch else ""
            parts.append(f"{len(self.missing)} start new{why}")
        if self.unused:
            parts.append(f"{len(self.unused)} of the file unused")
        if self.transferred is not None:
            rows = f"of background and of {', '.join(self.transferred)}" if self.transferred else "of background alone"
            parts.append(f"last layers new for these classes, with the rows {rows}")
        return "; ".join([", ".join(parts), *self.notes])


def require_shapes(path: Path, converted: ConvertedWeights) -> None:
    """Checks that tensors have the number of axes of their layers, and no empty axis, so that code can rely on it.

    Backbones of timm may have any layers, and are not checked.

    Raises:
        WeightsError: one has not; the message names its key, its shape and the shape that it should have.
    """
    free = "backbone." if converted.origin in {"timm", "clothseg"} else "\0"
    for key, name in converted.renamed.items():
        if (tensor := converted.tensors.get(name)) is None or name.startswith(free):
            continue
        axes = next((axes for pattern, axes in AXES if re.fullmatch(pattern, name)), None)
        if axes and (tensor.dim() not in axes or not tensor.numel()):
            expected = " or ".join(SHAPES[count] for count in axes)
            raise WeightsError(
                f"{path}: tensor {key} has the shape {list(tensor.shape)}, but should be {expected}; the file is "
                "damaged, or of another network"
            )


def prepend_background(rows: Tensor, count: int = 1) -> Tensor:
    """`[K * count, ...]` to `[(K + 1) * count, ...]`: adds rows of zeros for background, which had none."""
    return torch.cat([rows.new_zeros((count, *rows.shape[1:])), rows])


def normalize_name(name: str) -> str:
    """A class name in lower case, without spaces, hyphens and underscores."""
    return re.sub(r"[\s_-]+", "", name.casefold())


def same_classes(first: Sequence[str], second: Sequence[str]) -> bool:
    """Whether both lists have the same classes in the same order, apart from spelling."""
    return [normalize_name(name) for name in first] == [normalize_name(name) for name in second]


def shared_classes(old: Sequence[str], new: Sequence[str]) -> dict[int, int]:
    """Returns `{number in new: number in old}` of classes with the same name. Background is always in it: `{0: 0}`."""
    old_numbers = {normalize_name(name): number for number, name in enumerate(old, start=1)}
    names = enumerate((normalize_name(name) for name in new), start=1)
    return {0: 0} | {number: old_numbers[name] for number, name in names if name in old_numbers}


def transfer_class_rows(
    tensors: Mapping[str, Tensor],
    initial: Mapping[str, Tensor],
    old: Sequence[str],
    new: Sequence[str],
    class_layers: Sequence[str],
) -> dict[str, Tensor]:
    """Returns `tensors` with class layers for the `new` classes.

    Args:
        tensors: of a network for the `old` classes, by our names.
        initial: `state_dict` of a network for the `new` classes; rows of classes that `old` does not have come from it.
        old, new: names of the classes 1..K.
        class_layers: prefixes of the names of tensors with rows for each class, background first.
    """
    shared = shared_classes(old, new)
    result = dict(tensors)
    for name, tensor in tensors.items():
        if not name.startswith(tuple(class_layers)) or name not in initial:
            continue
        rows = len(tensor) // (len(old) + 1)  # of one class
        layer = initial[name].clone()
        if len(layer) != rows * (len(new) + 1) or layer.shape[1:] != tensor.shape[1:]:
            continue  # `load_converted` reports the shape
        for number, old_number in shared.items():
            layer[number * rows : (number + 1) * rows] = tensor[old_number * rows : (old_number + 1) * rows]
        result[name] = layer
    return result
