"""New classes on old heads: the rows of classes that both have, by name."""

import re
from collections.abc import Mapping, Sequence

from torch import Tensor


def plain_name(name: str) -> str:
    """A class's name without what spelling adds: case, spaces, hyphens and underscores."""
    return re.sub(r"[\s_-]+", "", name.casefold())


def shared_classes(old: Sequence[str], new: Sequence[str]) -> dict[int, int]:
    """Positions in `new` of classes that `old` has too, and their positions there; background, 0, always."""
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
    """`tensors` with the last layers made for the `new` classes.

    Args:
        tensors: of a network for the `old` classes, our names.
        fresh: of a new network for the `new` classes; its rows stay where `old` has no such class.
        old, new: names of the classes 1..K.
        layers: how the names of tensors with rows for each class begin.
    """
    shared = shared_classes(old, new)
    answer = dict(tensors)
    for name, tensor in tensors.items():
        if name.startswith(tuple(layers)) and name in fresh:
            made, rows = fresh[name].clone(), len(tensor) // (len(old) + 1)
            if len(made) != rows * (len(new) + 1) or made.shape[1:] != tensor.shape[1:]:
                continue  # the report will say that the shape is another
            for place, source in shared.items():
                made[place * rows : (place + 1) * rows] = tensor[source * rows : (source + 1) * rows]
            answer[name] = made
    return answer
