"""Random damage to JSON."""

import copy
import random
from collections.abc import Sequence
from typing import Any


def damage(tree: Any, values: Sequence[Any], generator: random.Random) -> None:
    """Removes, doubles or replaces one random node of `tree`; `values` are what it may become."""
    node = tree
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return
        key = generator.choice(keys)
        if isinstance(node[key], dict | list) and node[key] and generator.random() < 0.9:
            node = node[key]
            continue
        action = generator.random()
        if action < 0.15:
            del node[key]
        elif action < 0.25 and isinstance(node, list):
            node.append(copy.deepcopy(node[key]))
        else:
            node[key] = copy.deepcopy(generator.choice(values))
        return
