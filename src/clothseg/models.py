"""`MaskRCNN`: build, load_weights, fit, predict, evaluate, save, in scikit-learn's habit."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset, to_tensor
from clothseg.errors import ConfigError, RunError
from clothseg.evaluation import Metrics, evaluate_coco
from clothseg.evaluation.results import detections
from clothseg.files import refuse_existing, whole_file, write_whole
from clothseg.instances import Instances, Selection
from clothseg.networks import MaskRCNNNetwork, build_network
from clothseg.photos import read_photo
from clothseg.pictures import contact_sheet, draw_instances, loss_curves
from clothseg.runs import RunFolder, refuse_data_set
from clothseg.training import check_photos, check_same_config, fit, overfitting, read_history
from clothseg.training.overfit import Overfit, overfit_one
from clothseg.versions import library_versions
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

        It warns where layers start new because the file's have another shape; `loaded` says which.

        Raises:
            WeightsError: the source is not known, cannot be read, or does not fit.
        """
        names = [exclude] if isinstance(exclude, str) else list(exclude)
        self.loaded = load_start(self._built(), str(source or self.config.weights), names, self.classes)
        if self.loaded.wrong_shape:
            warnings.warn(self.loaded.sentence(), stacklevel=2)
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
            folder, path = path, RunFolder(path).weights
            if not path.is_file():
                raise RunError(f"{folder}: no {path.name} in it; was the run finished? `clothseg fit` makes one")
        opened = open_network(path, settings, overrides, classes)
        model = cls(opened.config)
        model.classes, model.network, model.loaded = opened.classes, opened.network, opened.report
        model.selection()  # says now whether the thresholds name classes that are there
        return model

    @classmethod
    def load_untrained(cls, run: Path | str, classes: Sequence[str]) -> "MaskRCNN":
        """The network of a run as it was before its training: what the training is compared with.

        Raises:
            ConfigError: the folder has no configuration.
            WeightsError: what it started from is not there any more.
        """
        return cls(Config.load(RunFolder(Path(run)).config)).build(classes).load_weights()

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
        force: bool = False,
        quiet: bool = False,
        fabric: Fabric | None = None,
    ) -> Self:
        """Train on prepared data sets and write the folder `run`; afterwards the network has the weights handed out.

        Several processes that `training.start_processes` began learn together; the first of them writes.

        Raises:
            ClothsegError: `run` is in the way (unless `overwrite` or `resume`), or as `training.fit` says.
        """
        folder = RunFolder(Path(run))
        check_photos(train, val, self.config)
        if self.network is None or self.classes != train.classes:
            self._rebuild(train.classes)
        if fabric is not None and fabric.global_rank:
            fit(self._built(), train, val, self.config, folder, resume=resume, force=force, fabric=fabric)
            return self
        if resume:
            check_same_config(folder, self.config)
        else:
            refuse_existing(folder.path, overwrite=overwrite)
            refuse_data_set(folder)
        try:
            if not resume:
                folder.clear()
            write_whole(folder.config, self.config.to_yaml())
        except OSError as error:
            raise RunError(f"{folder.path}: the run cannot be written ({error}); choose another place") from error
        try:
            words = self.loaded.sentence() if self.loaded else "random numbers"
            network = self._built()
            fit(
                network, train, val, self.config, folder,
                resume=resume, force=force, quiet=quiet, loaded=words, fabric=fabric,
            )  # fmt: skip
        finally:
            with suppress(OSError):  # a full disk has been told
                rows = read_history(folder.history)
                write_whole(folder.curves, loss_curves(rows, marks=overfitting(rows)))
        self._built().load_state_dict(read_network(folder.weights).tensors)
        last = read_history(folder.history)[-1]
        facts = self._facts(train, val) | {"timings": {"train": round(last["seconds"], 1)}, "steps": int(last["step"])}
        if resume:  # what the run began with is known already
            facts.pop("weights")
        folder.add_facts(facts)
        return self

    def compile(self) -> str:
        """Compile the network for `predict` and `evaluate`, as `detect.compile` does at the first photo.

        Returns:
            empty, or why this machine cannot; everything works without, with the same answers.
        """
        return self._built().compile_maps()

    def overfit_one(self, train: CocoLikeDataset, picture: Path | str) -> Overfit:
        """Learn one photo by heart, as a test that everything works, and draw its truth and what was found.

        Args:
            train: a prepared data set.
            picture: the PNG to write.

        Raises:
            DataError: no photo has an object.
        """
        if self.network is None or self.classes != train.classes:
            self._rebuild(train.classes)
        answer = overfit_one(self._built(), train, self.config)
        photo = train.load_image(answer.position)
        sides = [draw_instances(photo, found, train.classes) for found in (answer.truth, answer.found)]
        with whole_file(Path(picture)) as temporary:
            Image.fromarray(contact_sheet(sides, 2, ["truth", "found"], 1000)).save(temporary, format="PNG")
        return answer

    def predict(self, photo: Path | str | NDArray[np.uint8], *, min_confidence: float = 0.0) -> Instances:
        """What is on a photo, given as a path or as `[H, W, 3]` uint8 RGB.

        Instances with a lower score than `min_confidence` are left out; a threshold that the configuration has for
        their class goes before it.

        Raises:
            PhotoError: the photo cannot be read.
        """
        pixels = photo if isinstance(photo, np.ndarray) else read_photo(photo)
        return self.detect([to_tensor(pixels)], min_confidence=min_confidence)[0]

    def detect(self, images: list[Tensor], *, min_confidence: float = 0.0) -> list[Instances]:
        """What is on photos given as float RGB `[3, H, W]` in 0..1; see `predict`."""
        select = self.selection(min_confidence)
        return [select(found) for found in self._detecting().detect(images)]

    def selection(self, min_confidence: float = 0.0) -> Selection:
        """Which detections count, by the configuration; `min_confidence` is for classes that it has no threshold for.

        Raises:
            ConfigError: it has a threshold for a class that the network does not know.
        """
        settings = self.config.detect
        thresholds = {class_id(name, self.classes): least for name, least in settings.thresholds.items()}
        return Selection(min_confidence, thresholds, settings.cross_class_iou)

    def to(self, device: torch.device | str) -> Self:
        """Move the network to a device; `detect` answers from there."""
        self._built().to(device)
        return self

    def predict_dataset(self, dataset: CocoLikeDataset) -> Iterator[list[dict[str, Any]]]:
        """For each photo of a prepared data set its detections of the data set's classes, in COCO's results form.

        The network may know more classes than those: they are met by their names.

        Raises:
            RunError: the data set has a class that the network does not know.
        """
        if unknown := [name for name in dataset.classes if name not in self.classes]:
            raise RunError(
                f"{dataset.source} has {', '.join(unknown)}, which the network does not know; it knows "
                f"{', '.join(self.classes)}"
            )
        yield from detections(self, dataset, self.classes)

    def evaluate(
        self,
        dataset: CocoLikeDataset,
        results: Sequence[dict[str, Any]] | None = None,
        *,
        min_confidence: float | None = None,
    ) -> Metrics:
        """COCO's figures and the report's on a data set that was loaded from a file.

        Args:
            dataset: prepared.
            results: the network's detections on it, where they are there already; or they are made now.
            min_confidence: of `report_mAP`; by default the configuration's for detections.

        Raises:
            RunError: the data set has no annotations file, or a class that the network does not know.
        """
        if dataset.source is None:
            raise RunError("evaluate needs a data set that was loaded from a file")
        if results is None:
            results = [row for rows in self.predict_dataset(dataset) for row in rows]
        least = self.config.detect.min_confidence if min_confidence is None else min_confidence
        return evaluate_coco(dataset.source, results, min_confidence=least)

    def _detecting(self) -> MaskRCNNNetwork:
        """The network in its state for detection, compiled where that is wanted and this machine can."""
        if self.config.detect.compile and (reason := self.compile()):
            warnings.warn(f"detect.compile: this machine cannot compile ({reason}); going on without", stacklevel=3)
        return self._built().eval()

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
            "versions": library_versions(),
        }


def class_id(name: str, classes: Sequence[str]) -> int:
    """The number 1..K of a class that a threshold is for.

    Raises:
        ConfigError: there is no such class.
    """
    if name in classes:
        return classes.index(name) + 1
    near = get_close_matches(name.lower(), [known.lower() for known in classes], n=3)
    meant = [known for known in classes if known.lower() in near]
    hint = f"did you mean {' or '.join(meant)}?" if meant else f"it knows {', '.join(classes)}"
    raise ConfigError(f"detect.thresholds: the network knows no class {name!r}; {hint}")
