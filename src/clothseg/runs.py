"""A run's folder: the files in it, by name. Every part that reads or writes a run gets the names from here."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clothseg.errors import RunError
from clothseg.files import atomic_write


@dataclass(frozen=True)
class RunFolder:
    """The files of a run; none needs to be there yet.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def config(self) -> Path:
        """Every setting, as resolved."""
        return self.path / "config.yaml"

    @property
    def history(self) -> Path:
        """A row an epoch."""
        return self.path / "history.csv"

    @property
    def curves(self) -> Path:
        """The losses over the epochs, drawn."""
        return self.path / "curves.png"

    @property
    def events(self) -> Path:
        """Folder of the history for TensorBoard."""
        return self.path / "events"

    @property
    def last(self) -> Path:
        """The checkpoint to go on from."""
        return self.path / "checkpoints" / "last.pt"

    @property
    def best(self) -> Path:
        """The checkpoint of the best epoch."""
        return self.path / "checkpoints" / "best.pt"

    @property
    def weights(self) -> Path:
        """The network alone, as `predict` needs it."""
        return self.path / "weights.safetensors"

    @property
    def metrics(self) -> Path:
        """How good the network is on the validation photos."""
        return self.path / "metrics.json"

    @property
    def initial_metrics(self) -> Path:
        """How good it was before training."""
        return self.path / "metrics-initial.json"

    @property
    def predictions(self) -> Path:
        """What it found on the validation photos, as COCO results."""
        return self.path / "predictions.json"

    @property
    def report(self) -> Path:
        """The page that shows all of it."""
        return self.path / "report.html"

    @property
    def log(self) -> Path:
        """What the training said, with the time."""
        return self.path / "log.txt"

    @property
    def nonfinite(self) -> Path:
        """Folder of what is known of losses that were not finite."""
        return self.path / "nonfinite"

    @property
    def facts(self) -> Path:
        """Data, device, versions and timings."""
        return self.path / "run.json"

    def clear(self) -> None:
        """Delete the run's files, so that none of them outlives the training that made it; others stay."""
        for folder in (self.last.parent, self.nonfinite, self.events):
            shutil.rmtree(folder, ignore_errors=True)
        for file in (
            self.config,
            self.history,
            self.curves,
            self.weights,
            self.metrics,
            self.initial_metrics,
            self.predictions,
            self.report,
            self.log,
            self.facts,
        ):
            file.unlink(missing_ok=True)

    def read_facts(self) -> dict[str, Any]:
        """What `add_facts` wrote; empty where there is nothing.

        Raises:
            RunError: the file is broken.
        """
        if not self.facts.is_file():
            return {}
        try:
            known = json.loads(self.facts.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunError(f"{self.facts}: cannot be read ({error}); delete it, it is made again") from error
        if not isinstance(known, dict):
            raise RunError(f"{self.facts}: expected keys and values; delete it, it is made again")
        return known

    def add_facts(self, facts: Mapping[str, Any]) -> None:
        """Add to what is known of the run; timings are joined with those that are there."""
        known = self.read_facts()
        timings = known.get("timings", {}) | facts.get("timings", {})
        atomic_write(self.facts, json.dumps(known | dict(facts) | {"timings": timings}, indent=1))


def refuse_data_set(run: RunFolder) -> None:
    """Refuse to write a run among the files of a data set.

    Raises:
        RunError: the folder is one.
    """
    if (run.path / "annotations").is_dir():
        raise RunError(f"{run.path} is a data set; choose another place for the run")
