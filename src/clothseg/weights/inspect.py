"""What is in a weights file, key by key, beside the network that it is for."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from clothseg.networks import build_network
from clothseg.weights.converted import ConvertedWeights
from clothseg.weights.load_model import config_of
from clothseg.weights.read import read_weights

FATES = ("taken", "renamed", "changed", "left out", "missing", "wrong shape")


@dataclass(frozen=True)
class Key:
    """One key of the file, or one name of the network that the file does not have.

    Attributes:
        key: in the file; empty for what is missing.
        name: in the network; empty for what is left out.
        fate: one of `FATES`.
        shape: in the file, after the change; of what is missing, that of the network.
        note: what was changed, why it is left out, which shape was expected.
    """

    key: str
    name: str
    fate: str
    shape: tuple[int, ...]
    note: str = ""


@dataclass(frozen=True)
class Inspection:
    """A weights file in words.

    Attributes:
        path: the file.
        origin, layout: whose it is.
        backbone: its name here.
        conventions: whose arithmetic it was trained with.
        classes: names of 1..K; None without heads.
        settings: what of `Config` goes with it: the origin's defaults and what the tensors show.
        keys: all of them.
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
        """How many keys met each fate."""
        found = Counter(key.fate for key in self.keys)
        return {fate: found[fate] for fate in FATES if found[fate]}

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"counts": self.counts()}


def inspect_weights(path: Path, settings: str | Path | None = None, overrides: Sequence[str] = ()) -> Inspection:
    """Read a file and hold it against the network that it is for, without making that network's weights.

    Raises:
        WeightsError: it cannot be read, or is of another network.
        ConfigError: settings or overrides are wrong.
    """
    converted = read_weights(path)
    config = config_of(converted, settings, overrides)
    known = "backbone" in converted.settings or any("backbone.name" in word for word in overrides)
    with torch.device("meta"):
        network = build_network(config, len(converted.classes or []) or 1)
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()} if known else {}
    if converted.classes is None:
        wanted = {name: shape for name, shape in wanted.items() if name.startswith("backbone.")}
    return Inspection(
        str(path),
        converted.origin,
        converted.layout,
        config.backbone.name if known else "not known; give it with --set backbone.name=timm/NAME",
        str(getattr(config.network, "conventions", "")),
        converted.classes,
        {section: value for section, value in converted.settings.items() if value != {}},
        _keys(converted, wanted, known=known),
    )


def _keys(converted: ConvertedWeights, wanted: dict[str, tuple[int, ...]], *, known: bool) -> list[Key]:
    keys = []
    for key, name in converted.renamed.items():
        shape, note = tuple(converted.tensors[name].shape), converted.changed.get(key, "")
        fate = "changed" if note else "taken" if key == name else "renamed"
        if known and name not in wanted:
            fate, note = "left out", "no such part in this network"
        elif known and wanted[name] != shape:
            fate, note = "wrong shape", f"expected {'x'.join(map(str, wanted[name]))}"
        keys.append(Key(key, name, fate, shape, note))
    keys += [Key(key, "", "left out", (), why) for key, why in converted.unused.items()]
    return keys + [Key("", name, "missing", shape) for name, shape in wanted.items() if name not in converted.tensors]
