"""What happened to every key of a weights file."""

from dataclasses import dataclass, field


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
