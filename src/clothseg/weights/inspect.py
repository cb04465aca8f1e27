"""The content of a weights file, key by key, compared with the network that it is for."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from clothseg.config import Config
from clothseg.networks import build_network
from clothseg.weights.converted import UNKNOWN_PART, ConvertedWeights
from clothseg.weights.load import read_weights
from clothseg.weights.loaded_model import config_of

RESULTS = ("loaded", "renamed", "changed", "unused", "missing", "shape_mismatch")


@dataclass(frozen=True)
class Key:
    """One key of the file, or one name of the network that the file does not have.

    Attributes:
        key: in the file; empty if it is missing there.
        name: in the network; empty if it is unused.
        result: one of `RESULTS`.
        shape: in the file, after the change; if it is missing there, the network's.
        note: what was changed, why it is unused, or which shape was expected.
    """

    key: str
    name: str
    result: str
    shape: tuple[int, ...]
    note: str = ""

    @property
    def is_problem(self) -> bool:
        """Whether the network lacks it, or the file lacks it, or the shapes differ."""
        return self.result in {"missing", "shape_mismatch"} or (self.result == "unused" and self.note == UNKNOWN_PART)


@dataclass(frozen=True)
class Inspection:
    """The description of a weights file.

    Attributes:
        path: the file.
        origin, layout: the program that it comes from, and the kind of file.
        backbone: the name of its backbone in `Config`.
        conventions: whose conventions it was trained with.
        classes: names of the classes 1..K; None without heads.
        settings: sections of `Config` that fit it: the origin's defaults and what the tensors show.
        keys: all keys, of the file and of the network.
    """

    path: str
    origin: str
    layout: str
    backbone: str
    conventions: str
    classes: list[str] | None
    settings: dict[str, Any]
    keys: list[Key]

    def counts(self) -> dict[str, int]:
        """Number of keys with each result."""
        found = Counter(key.result for key in self.keys)
        return {result: found[result] for result in RESULTS if found[result]}

    def changed_settings(self) -> dict[str, Any]:
        """The settings that differ from the defaults of `Config`, by their dotted names."""
        name = (self.settings.get("network") or {}).get("name")
        usual = Config.from_tree({"network": {"name": name}} if name else {}, [], "defaults").flat()
        return {key: value for key, value in _flat(self.settings) if value != usual.get(key)}

    def as_dict(self) -> dict[str, Any]:
        """The inspection for JSON."""
        return asdict(self) | {"counts": self.counts()}


def inspect_weights(path: Path, settings: str | Path | None = None, overrides: Sequence[str] = ()) -> Inspection:
    """Reads a file and compares it with the network that it is for, without allocating that network's weights.

    Raises:
        WeightsError: the file cannot be read, or is of another network.
        ConfigError: settings or overrides are wrong.
    """
    converted = read_weights(path)
    config = config_of(converted, settings, overrides)
    known = "backbone" in converted.settings or any("backbone.name" in word for word in overrides)
    with torch.device("meta"):
        network = build_network(config, len(converted.classes or []) or 1)
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()} if known else {}
    if converted.classes is None:
        expected = {name: shape for name, shape in expected.items() if name.startswith("backbone.")}
    return Inspection(
        str(path),
        converted.origin,
        converted.layout,
        config.backbone.name if known else "not known; give it with --set backbone.name=timm/NAME",
        str(getattr(config.network, "conventions", "")),
        converted.classes,
        {section: value for section, value in converted.settings.items() if value != {}},
        _keys(converted, expected, known=known),
    )


def _flat(tree: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def _keys(converted: ConvertedWeights, expected: dict[str, tuple[int, ...]], *, known: bool) -> list[Key]:
    keys = []
    for key, name in converted.renamed.items():
        shape, note = tuple(converted.tensors[name].shape), converted.changed.get(key, "")
        result = "changed" if note else "loaded" if key == name else "renamed"
        if known and name not in expected:
            result, note = "unused", UNKNOWN_PART
        elif known and expected[name] != shape:
            result, note = "shape_mismatch", f"expected {'x'.join(map(str, expected[name]))}"
        keys.append(Key(key, name, result, shape, note))
    keys += [Key(key, "", "unused", (), why) for key, why in converted.unused.items()]
    return keys + [Key("", name, "missing", shape) for name, shape in expected.items() if name not in converted.tensors]
