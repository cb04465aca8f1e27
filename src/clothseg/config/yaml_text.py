"""YAML text to plain values, with limits: no text makes it slow, huge or recursive, and no tag runs code."""

from collections.abc import Iterator
from typing import Any

import yaml

from clothseg.errors import ConfigError

_MOST_VALUES = 100_000
"""Of one text, with each alias counted as the values that it stands for."""
_DEEPEST = 50


class _Loader(yaml.SafeLoader):
    """Like `yaml.safe_load`, but a key that occurs twice is an error, because one of its values would be lost.

    A text that is nested too deeply is refused while it is read, because the time for it grows with the square.
    """

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """The next node, with the nodes in it."""
        self.depth += 1
        if self.depth > _DEEPEST:
            raise yaml.MarkedYAMLError(problem="nested too deeply", problem_mark=self.get_mark())
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping of a node."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {key} occurs twice", problem_mark=key_node.start_mark)
            seen |= {key} if isinstance(key, str) else set()
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """A whole number of at most 64 bits."""
        value: int = super().construct_yaml_int(node)
        if not -(2**63) <= value < 2**63:
            raise yaml.MarkedYAMLError(problem="a whole number of over 64 bits", problem_mark=node.start_mark)
        return value


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


def parse_yaml(text: str, name: str) -> Any:
    """Parses a YAML (or JSON) text.

    Args:
        text: of one document.
        name: of the source, for messages.

    Raises:
        ConfigError: it is not valid YAML, a key occurs twice, or it is nested or repeated too much to be settings.
    """
    loader = _Loader("")
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        _require_small(root)
        return None if root is None else loader.construct_document(root)
    except yaml.YAMLError as error:
        raise ConfigError(f"{name} is not valid YAML: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"{name} is not valid YAML: it is nested too deeply") from error
    except Exception as error:  # for dates, numbers and tags that it cannot convert, the library raises many types
        raise ConfigError(f"{name} is not valid YAML: it has a value that cannot be read ({error})") from error
    finally:
        loader.dispose()


def _require_small(root: yaml.Node | None) -> None:
    """Refuses a tree of nodes that would become too many values: a few lines of aliases can stand for billions."""
    sizes: dict[int, int] = {}
    pending: list[tuple[yaml.Node, int, bool]] = [(root, 0, False)] if root else []
    path: set[int] = set()
    while pending:
        node, depth, done = pending.pop()
        key = id(node)
        if done:
            path.discard(key)
            sizes[key] = 1 + sum(sizes[id(child)] for child in _children(node))
            if sizes[key] > _MOST_VALUES:
                raise yaml.MarkedYAMLError(problem="too many values for settings", problem_mark=node.start_mark)
            continue
        if key in path:
            raise yaml.MarkedYAMLError(problem="a value that contains itself", problem_mark=node.start_mark)
        if depth > _DEEPEST:
            raise yaml.MarkedYAMLError(problem="nested too deeply", problem_mark=node.start_mark)
        if key not in sizes:
            path.add(key)
            pending.append((node, depth, True))
            pending += [(child, depth + 1, False) for child in _children(node)]


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        yield from node.value
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key
            yield value
