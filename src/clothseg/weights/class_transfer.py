"""Rows of last layers for new classes, copied from classes with the same name."""

import re
from collections.abc import Mapping, Sequence

from torch import Tensor


def plain_name(name: str) -> str:
    """A class's name without case, spaces, hyphens and underscores."""
    return re.sub(r"[\s_-]+", "", name.casefold())


def shared_classes(old: Sequence[str], new: Sequence[str]) -> dict[int, int]:
    """Class numbers in `new` to class numbers in `old` with the same name; background, 0, is always shared."""
    places = {plain_name(name): number for number, name in enumerate(old, start=1)}
    plain = enumerate((plain_name(name) for name in new), start=1)
    return {0: 0} | {number: places[name] for number, name in plain if name in places}


def transfer_class_rows(
    tensors: Mapping[str, Tensor],
    fresh: Mapping[str, Tensor],
    old: Sequence[str],
    new: Sequence[str],
    layers: Sequence[str],
) -> dict[str, Tensor]:
    """`tensors` with last layers for the `new` classes.

    Args:
        tensors: by our names, of a network for the `old` classes.
        fresh: tensors of a new network for the `new` classes; its rows stay where `old` has no such class.
        old, new: names of the classes 1..K.
        layers: prefixes of the names of tensors that have rows for each class.
    """
    shared = shared_classes(old, new)
    transferred = dict(tensors)
    for name, tensor in tensors.items():
        if name.startswith(tuple(layers)) and name in fresh:
            rows_of_both, rows = fresh[name].clone(), len(tensor) // (len(old) + 1)
            if len(rows_of_both) != rows * (len(new) + 1) or rows_of_both.shape[1:] != tensor.shape[1:]:
                continue  # the report will list a shape mismatch
            for target, source in shared.items():
                rows_of_both[target * rows : (target + 1) * rows] = tensor[source * rows : (source + 1) * rows]
            transferred[name] = rows_of_both
    return transferred
