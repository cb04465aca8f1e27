"""A weights file after conversion: tensors under our names, and what happened to every key of the file."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

UNKNOWN_PART = "no such part in this network"
BATCH_COUNTER = "counts training batches; a frozen norm does not use it"
IMAGENET_CLASSIFIER = "ImageNet's classifier"
"""Reasons why a key is not used."""


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
    """

    origin: str
    layout: str
    tensors: dict[str, Tensor] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    changed: dict[str, str] = field(default_factory=dict)
    unused: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    classes: list[str] | None = None

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


def prepend_background(rows: Tensor, count: int = 1) -> Tensor:
    """`[K * count, ...]` to `[(K + 1) * count, ...]`: adds rows of zeros for background, which had none."""
    return torch.cat([rows.new_zeros((count, *rows.shape[1:])), rows])
