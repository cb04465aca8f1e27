"""The names of the files in a run's folder. Every part that reads or writes a run gets them from here."""

import json
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clothseg.errors import RunError, reading, shell_command, shown
from clothseg.files import atomic_write, is_finite_number, read_json, replace_file

_KINDS: dict[str, Any] = {
    **dict.fromkeys(("data", "device", "weights", "frozen", "precision", "edges"), str),
    **dict.fromkeys(("timings", "photos", "parameters", "versions", "anchors"), dict),
    **{"classes": list, "lost": list, "left_out": dict},
    "steps": int,
}
"""The types of the facts that others read. More facts may be there."""
_NUMBERS = ("timings", "photos", "parameters")
"""Facts whose values are numbers."""


@dataclass(frozen=True)
class RunFolder:
    """The files of a run; they may not exist yet.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def config(self) -> Path:
        """Every setting, with defaults and overrides applied."""
        return self.path / "config.yaml"

    @property
    def history(self) -> Path:
        """One row per epoch."""
        return self.path / "history.csv"

    @property
    def curves(self) -> Path:
        """The plot of the losses over the epochs."""
        return self.path / "curves.png"

    @property
    def events(self) -> Path:
        """The history for TensorBoard, a folder."""
        return self.path / "events"

    @property
    def last(self) -> Path:
        """The checkpoint to resume from."""
        return self.path / "checkpoints" / "last.pt"

    @property
    def weights(self) -> Path:
        """The network alone, as `predict` needs it."""
        return self.path / "weights.safetensors"

    @property
    def metrics(self) -> Path:
        """The metrics on the validation photos."""
        return self.path / "metrics.json"

    @property
    def initial_metrics(self) -> Path:
        """The metrics before training."""
        return self.path / "metrics-initial.json"

    @property
    def predictions(self) -> Path:
        """The detections on the validation photos, as COCO results."""
        return self.path / "predictions.json"

    @property
    def report(self) -> Path:
        """The report: one page with everything about the run."""
        return self.path / "report.html"

    @property
    def log(self) -> Path:
        """The messages of the training, with time stamps."""
        return self.path / "log.txt"

    @property
    def nonfinite(self) -> Path:
        """What is known about losses that were not finite, a folder."""
        return self.path / "nonfinite"

    @property
    def split(self) -> Path:
        """Which photos of one file were for training, and which for validation."""
        return self.path / "split.json"

    @property
    def unlabelled(self) -> Path:
        """Which photos without labels the run learns from too."""
        return self.path / "unlabelled.json"

    @property
    def pseudo_labels(self) -> Path:
        """How the teacher labelled these photos last, in COCO's format."""
        return self.path / "pseudo-labels.json"

    @property
    def pseudo_masks(self) -> Path:
        """The masks that the teacher drew last for objects labelled with only a box, in COCO's format."""
        return self.path / "pseudo-masks.json"

    @property
    def facts(self) -> Path:
        """The dataset, device, versions and timings."""
        return self.path / "run.json"

    def clear(self) -> None:
        """Deletes the run's files, all or none, so that they do not mix with a new run's; other files stay.

        Raises:
            RunError: one cannot be deleted; on Windows, for example, because a program has it open.
        """
        aside = self.path / f".{secrets.token_hex(8)}"
        moved: list[Path] = []
        for place in (
            self.last.parent,
            self.nonfinite,
            self.events,
            self.config,
            self.history,
            self.curves,
            self.weights,
            self.metrics,
            self.initial_metrics,
            self.predictions,
            self.report,
            self.log,
            self.split,
            self.unlabelled,
            self.pseudo_labels,
            self.pseudo_masks,
            self.facts,
        ):
            if not place.exists() and not place.is_symlink():
                continue
            try:
                aside.mkdir(exist_ok=True)
                replace_file(place, aside / place.name)
            except OSError as error:
                for other in moved:
                    replace_file(aside / other.name, other)
                shutil.rmtree(aside, ignore_errors=True)
                raise RunError(
                    f"{place}: cannot be replaced ({error}); close the programs that have files of this run open, "
                    "or choose another place for the run"
                ) from error
            moved.append(place)
        shutil.rmtree(aside, ignore_errors=True)

    def read_facts(self) -> dict[str, Any]:
        """Reads what `add_facts` wrote; empty if the file does not exist.

        Raises:
            RunError: the file is damaged.
        """
        if not self.facts.is_file():
            return {}
        advice = "delete the file, it will be written again"
        with reading(self.facts, RunError, advice):
            known = read_json(self.facts)
        if not isinstance(known, dict):
            raise RunError(f"{self.facts}: expected keys and values; {advice}")
        for key, kind in _KINDS.items():
            if not isinstance(known.get(key), kind | None):
                raise RunError(f"{self.facts}: {key} is {shown(known[key])}, which no run writes; {advice}")
        for key in _NUMBERS:
            for name, value in (known.get(key) or {}).items():
                if not (value is None or is_finite_number(value)):
                    raise RunError(f"{self.facts}: {key}.{name} is {shown(value)}, not a number; {advice}")
        return known

    def add_facts(self, facts: Mapping[str, Any]) -> None:
        """Adds facts about the run; timings are merged with those in the file."""
        known = self.read_facts()
        timings = known.get("timings", {}) | facts.get("timings", {})
        atomic_write(self.facts, json.dumps(known | dict(facts) | {"timings": timings}, indent=1))


def unfinished_run(path: Path | str) -> str:
    """What to do if the run in a folder was stopped before its first epoch ended; otherwise the empty string."""
    run = RunFolder(Path(path))
    if run.weights.is_file() or not run.last.is_file():
        return ""
    again = shell_command(["clothseg", "fit", "DATA", "--out", path, "--resume"])
    return f"{path}: the training stopped before its first epoch ended, so it has no weights; continue with: {again}"


def refuse_data_set(run: RunFolder) -> None:
    """Refuses a run folder that is a dataset's folder.

    Raises:
        RunError: the folder has annotations in it.
    """
    if (run.path / "annotations").is_dir():
        raise RunError(f"{run.path} is a dataset; choose another place for the run")
