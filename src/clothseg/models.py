"""`MaskRCNN`: build, load_weights, fit, predict, evaluate, save, in scikit-learn's habit."""

import json
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset, to_tensor
from clothseg.errors import RunError
from clothseg.evaluation import Metrics, evaluate_coco
from clothseg.evaluation.results import coco_results
from clothseg.files import refuse_existing, write_whole
from clothseg.instances import Instances
from clothseg.networks import MaskRCNNNetwork, build_network
from clothseg.photos import read_photo
from clothseg.training import fit, read_history
from clothseg.weights import (
    LoadReport,
    Reading,
    load_reading,
    load_start,
    open_network,
    read_network,
    write_network,
)

REPORT_CLASSES = ("Suit", "Dress", "Jeans")


class MaskRCNN:
    """Mask R-CNN for people who want an answer.

    Attributes:
        config: all settings.
        classes: names of the classes 1..K.
        network: the network; there after `build`.
        loaded: what `load_weights` did.
    """

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or Config()
        self.classes: list[str] = []
        self.network: MaskRCNNNetwork | None = None
        self.loaded: LoadReport | None = None

    def build(self, classes: Sequence[str] = REPORT_CLASSES) -> Self:
        """Make the network for `classes`, with random weights.

        Raises:
            ConfigError: the configuration names a backbone that does not exist or does not fit.
        """
        self.classes = list(classes)
        self.network = build_network(self.config, len(self.classes))
        return self

    def load_weights(self, source: str | Path | None = None, exclude: str | Sequence[str] = ()) -> Self:
        """Fill the network; see `weights.load_start`. Without a source, from what the configuration names.

        Raises:
            WeightsError: the source is not known, cannot be read, or does not fit.
        """
        names = [exclude] if isinstance(exclude, str) else list(exclude)
        self.loaded = load_start(self._built(), str(source or self.config.weights), names, self.classes)
        return self

    @classmethod
    def load(
        cls,
        run: Path | str,
        *,
        settings: str | Path | None = None,
        overrides: Sequence[str] = (),
        classes: Sequence[str] | None = None,
    ) -> "MaskRCNN":
        """A trained network from a run's folder or a weights file of anybody's; see `weights.open_network`.

        Raises:
            RunError: the folder holds no weights.
            WeightsError: the file cannot be read, or is not of such a network.
            ConfigError: settings or overrides are wrong.
        """
        path = Path(run)
        if path.is_dir():
            if not (path / "weights.safetensors").is_file():
                raise RunError(f"{path}: no weights.safetensors in it; was the run finished? `clothseg fit` makes one")
            path = path / "weights.safetensors"
        opened = open_network(path, settings, overrides, classes)
        model = cls(opened.config)
        model.classes, model.network, model.loaded = opened.classes, opened.network, opened.report
        return model

    def save(self, path: Path | str) -> None:
        """Write the network alone to a `.safetensors` file that `load` reads."""
        write_network(Path(path), self._built().state_dict(), self.config, self.classes)

    def fit(
        self,
        train: CocoLikeDataset,
        val: CocoLikeDataset,
        run: Path | str,
        *,
        overwrite: bool = False,
        resume: bool = False,
        quiet: bool = False,
    ) -> Self:
        """Train on prepared data sets and write the folder `run`; afterwards the network has the weights handed out.

        Raises:
            ClothsegError: `run` is in the way (unless `overwrite` or `resume`), or as `training.fit` says.
        """
        run = Path(run)
        if self.network is None or self.classes != train.classes:
            self._rebuild(train.classes)
        if not resume:
            refuse_existing(run, overwrite=overwrite)
            for old in ("history.csv", "metrics.json", "metrics-untrained.json", "predictions.json", "report.html"):
                (run / old).unlink(missing_ok=True)
            write_whole(run / "config.yaml", self.config.to_yaml())
        begun = time.monotonic()
        fit(self._built(), train, val, self.config, run, resume=resume, quiet=quiet)
        self._built().load_state_dict(read_network(run / "weights.safetensors").tensors)
        facts = self._facts(train, val) | {"timings": {"train": round(time.monotonic() - begun, 1)}}
        facts["steps"] = int(read_history(run / "history.csv")[-1]["step"])
        write_facts(run, facts)
        return self

    def predict(self, photo: Path | str | NDArray[np.uint8]) -> Instances:
        """What is on a photo, given as a path or as `[H, W, 3]` uint8 RGB.

        Raises:
            PhotoError: the photo cannot be read.
        """
        pixels = photo if isinstance(photo, np.ndarray) else read_photo(photo)
        return self._built().eval().detect([to_tensor(pixels)])[0]

    def predict_dataset(self, dataset: CocoLikeDataset) -> Iterator[list[dict[str, Any]]]:
        """For each photo of a prepared data set its detections in COCO's results form."""
        network = self._built().eval()
        for position, image in enumerate(dataset.images):
            found = network.detect([to_tensor(dataset.load_image(position))])[0]
            yield coco_results(image.id, found, dataset.source_class_id)

    def evaluate(self, dataset: CocoLikeDataset) -> Metrics:
        """COCO's figures on a data set that was loaded from a file.

        Raises:
            RunError: the data set has no annotations file, or other classes than the network.
        """
        if dataset.source is None:
            raise RunError("evaluate needs a data set that was loaded from a file")
        if dataset.classes != self.classes:
            raise RunError(f"the network knows {self.classes}, but {dataset.source} has {dataset.classes}")
        return evaluate_coco(dataset.source, [row for rows in self.predict_dataset(dataset) for row in rows])

    def _built(self) -> MaskRCNNNetwork:
        if self.network is None:
            raise RunError("the network is not there yet; call build() first")
        return self.network

    def _rebuild(self, classes: Sequence[str]) -> None:
        """A network for other classes, that keeps what it can of the one before."""
        before, loaded, names = self.network, self.loaded, self.classes
        self.build(classes)
        if before is not None and loaded is not None:
            reading = Reading("clothseg", "", before.state_dict(), classes=names)
            self.loaded = load_reading(self._built(), reading, loaded.source, classes=self.classes)

    def _facts(self, train: CocoLikeDataset, val: CocoLikeDataset) -> dict[str, Any]:
        network = self._built()
        frozen = self.config.backbone.frozen_stages
        return {
            "data": str(train.source.parent.parent) if train.source else "",
            "classes": self.classes,
            "device": str(next(network.parameters()).device),
            "weights": self.loaded.sentence() if self.loaded else "random numbers",
            "parameters": {
                "total": sum(p.numel() for p in network.parameters()),
                "trained": sum(p.numel() for p in network.parameters() if p.requires_grad),
            },
            "frozen": f"the first {frozen} of 5 stages of the backbone" if frozen else "nothing",
            "photos": {"train": len(train), "val": len(val)},
            "versions": {
                "python": python_version(),
                **{name: version(name) for name in ("clothseg", "torch", "torchvision", "timm", "hotcoco")},
            },
        }


def write_facts(run: Path, facts: dict[str, Any]) -> None:
    """Add to `run.json` what is known of a run; timings are joined with those that are there."""
    path = run / "run.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    timings = known.get("timings", {}) | facts.get("timings", {})
    write_whole(path, json.dumps(known | facts | {"timings": timings}, indent=1))
