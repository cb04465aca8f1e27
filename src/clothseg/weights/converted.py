"""What a reader makes of a file: tensors under our names, and what became of every key."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


@dataclass
class ConvertedWeights:
    """A file in our terms.

    Attributes:
        origin: whose file it is: `torchvision`, `detectron2`, `matterport`, `timm`, `clothseg`.
        layout: the same in words, with the file's kind.
        tensors: by our names, float32.
        renamed: the file's key of each of `tensors`.
        changed: what was done to a key's tensor besides renaming it, by the file's key.
        left_out: why a key of the file was not used, by the file's key.
        settings: sections and values of `Config`: the origin's defaults, and what the tensors show.
        classes: names of the classes 1..K, or None where the file has no heads.
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
        """Note that the file's `key` became `name`."""
        self.tensors[name] = tensor.contiguous()
        self.renamed[key] = name
        if change:
            self.changed[key] = change

    def fold(self, name: str, key: str, change: str, work: Callable[[Tensor], Tensor]) -> None:
        """Let the file's `key` flow into a tensor that is already there."""
        self.tensors[name] = work(self.tensors[name])
        self.renamed[key] = name
        self.changed[key] = change


def background_first(rows: Tensor, count: int = 1) -> Tensor:
    """`[K * count, ...]` with `count` rows of zeros before it, for the background that has none."""
    return torch.cat([rows.new_zeros((count, *rows.shape[1:])), rows])
