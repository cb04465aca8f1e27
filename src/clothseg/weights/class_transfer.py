"""Class layers for new classes: the rows of classes with the same name are copied."""

import re
from collections.abc import Mapping, Sequence

from torch import Tensor


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
            continue  # `load_tensors` reports the shape
        for number, old_number in shared.items():
            layer[number * rows : (number + 1) * rows] = tensor[old_number * rows : (old_number + 1) * rows]
        result[name] = layer
    return result
