"""`MaskRCNN`, `Yolact`, `DeepLab`: build, load_weights, fit, predict, evaluate, save. `Model` has it all."""

import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self, overload

import torch
from torch import Tensor

from clothseg.config import Config
from clothseg.counting import first_names
from clothseg.dataset import CocoLikeDataset
from clothseg.dataset.unlabelled import UnlabelledPhotos
from clothseg.devices import AUTO, float32_products, has_tf32, resolve_device
from clothseg.distributed import launch
from clothseg.errors import ConfigError, RunError
from clothseg.evaluation.results import detections
from clothseg.instances import Calibration, CocoResult, Instances, Selection, class_number
from clothseg.instances.class_names import wrong_class_names
from clothseg.networks import Network, build_network, to_photo, to_tensor
from clothseg.photo_values import as_photo, for_each_photo, is_list
from clothseg.pictures.photo_instances import PhotoInstances
from clothseg.runs import RunFolder
from clothseg.weights import ConvertedWeights, LoadReport, load_converted, load_initial_weights, load_model
from clothseg.weights.automatic import with_initial_weights
from clothseg.weights.formats.native import write_network

if TYPE_CHECKING:  # what only `fit` and `evaluate` need is imported there: it would double the time to a prediction
    from lightning_fabric import Fabric

    from clothseg.evaluation import Metrics
    from clothseg.photo_values import Photo, Photos
    from clothseg.training.overfit import OverfitResult

REPORT_CLASSES = ("Suit", "Dress", "Jeans")


class Model:
    """A network of any kind: `build`, `load_weights` and `fit` make a new one, `load` takes a trained one.

    It has its settings (`config`), the PyTorch module (`network`), the names of the classes 1..K (`classes`), what
    became of each tensor of a file (`loaded`), and perhaps a `calibration`, which changes all scores.
    """

    network_name: ClassVar[str | None] = None
    """The network that the configuration must name; None for any."""

    def __init__(self, config: Config | None = None) -> None:
        config = config or Config.for_network(self.network_name)
        kind, needed, name = type(self).__name__, self.network_name, config.network.name
        if needed not in (None, name):
            raise ConfigError(f"{kind} needs a configuration with network.name {needed}, but it is {name}")
        self.config = config
        self.classes: list[str] = []
        self.network: Network | None = None
        self.loaded: LoadReport | None = None
        self.calibration: Calibration | None = None

    def __repr__(self) -> str:
        built, config = f"classes={self.classes}" if self.network else "not built", self.config
        return f"{type(self).__name__}(network={config.network.name}, backbone={config.backbone.name}, {built})"

    def build(self, classes: Sequence[str] = REPORT_CLASSES) -> Self:
        """Builds the network for `classes`, with random weights; `config.weights` names what `auto` means for these.

        Raises ConfigError if the backbone does not fit, or these cannot be classes; WeightsError if `auto` finds none.
        """
        if wrong := wrong_class_names(classes):
            raise ConfigError(wrong)
        self.config, self.classes, self.calibration = with_initial_weights(self.config, classes), list(classes), None
        self.network = build_network(self.config, len(classes))
        return self

    def load_weights(self, source: str | Path | None = None, exclude: str | Sequence[str] = ()) -> Self:
        """Fills the network from `source`: a run, any supported weights file or a published name such as `coco`.

        By default it is `config.weights`. Names that begin with one of `exclude` stay new; `heads` is all heads.
        Warns about layers that stay new because their shape in the file is different; `loaded` lists them.
        Raises WeightsError if the source is not known, cannot be read, or does not fit.
        """
        self.calibration = None  # it belongs to the weights from before
        names = [exclude] if isinstance(exclude, str) else list(exclude)
        self.loaded = load_initial_weights(self._built(), str(source or self.config.weights), names, self.classes)
        if self.loaded.shape_mismatch:
            warnings.warn(self.loaded.summary(), stacklevel=2)
        return self

    @classmethod
    def load(
        cls, run: Path | str, *, settings: str | Path | None = None, overrides: Sequence[str] = (),
        classes: Sequence[str] | None = None, device: str | torch.device = AUTO,
    ) -> Self:  # fmt: skip
        """Loads a trained network from a run's folder or any supported weights file to `device`.

        The YAML file `settings` replaces defaults of the file's origin, and `overrides` such as `input.min_side=320`
        replace both. `classes` are the names 1..K for a file that has none.

        Raises:
            RunError, WeightsError: the folder has no weights; they cannot be read, or are of another kind of network.
            ConfigError: settings or overrides are wrong, or there is no such device.
        """
        device = resolve_device(device)
        opened = load_model(Path(run), settings, overrides, classes)
        model = cls(opened.config)
        model.classes, model.network, model.loaded = opened.classes, opened.network, opened.report
        model.calibration = opened.calibration
        model.selection()  # raises now if a threshold names an unknown class
        return model.to(device)

    @classmethod
    def load_initial(cls, run: Path | str, classes: Sequence[str], *, device: str | torch.device = AUTO) -> Self:
        """The network of a run as it was before its training; takes and raises what `load` does."""
        return cls(Config.load_saved(RunFolder(Path(run)).config)).build(classes).load_weights().to(device)

    def save(self, path: Path | str, *, half: bool = False) -> None:
        """Writes the network alone to a `.safetensors` file that `load` reads; with `half`, floats in 16 bits."""
        write_network(Path(path), self._built().state_dict(), self.config, self.classes, self.calibration, half=half)

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
        device: str | torch.device = AUTO,
        fabric: "Fabric | None" = None,
        unlabelled: UnlabelledPhotos | None = None,
        again: str = "",
    ) -> Self:
        """Trains on prepared datasets and writes the folder `run`; afterwards the network has the best weights.

        `overwrite` replaces a run in the folder; `resume` continues it, with `force` also if the annotations changed.
        The network is moved to `device`, or to that of `fabric` (`distributed.launch`), whose processes learn together.
        `unlabelled` are photos of `find_unlabelled` to learn from. After a stop, messages name `again` as the way on.

        Raises:
            ClothsegError: `run` is in the way, there is no such device, the datasets do not fit, or training fails.
        """
        # Lightning Fabric, TensorBoard and matplotlib take seconds to import, and a prediction needs none of them.
        from clothseg.training.checks import check_datasets  # noqa: PLC0415
        from clothseg.training.fit import train_run  # noqa: PLC0415

        check_datasets(train, val, self.config)
        fabric = fabric or launch(1, self.config.train.precision, device=resolve_device(device))
        self.calibration = None  # it belongs to the weights from before
        if self.network is None or self.classes != train.classes:
            self._rebuild(train.classes)
        self.config = train_run(
            self._built(), train, val, self.config, RunFolder(Path(run)), fabric,
            loaded=self.loaded.summary() if self.loaded else "random numbers",
            overwrite=overwrite, resume=resume, force=force, quiet=quiet, unlabelled=unlabelled, again=again,
        )  # fmt: skip
        return self

    def compile(self) -> str:
        """Compiles the network, like `inference.compile`; returns the reason if this machine cannot."""
        return self._built().compile_for_inference()

    def overfit_one_image(
        self, train: CocoLikeDataset, picture: Path | str, *, device: str | torch.device = AUTO
    ) -> "OverfitResult":
        """Overfits one photo of a prepared dataset, as a test that everything works, on `device` as with `fit`.

        The PNG `picture` shows its ground truth beside the detections. Raises ClothsegError if no photo has an object,
        or there is no such device.
        """
        from clothseg.training.overfit import overfit_one_image, write_picture  # noqa: PLC0415

        if self.network is None or self.classes != train.classes:
            self._rebuild(train.classes)
        result = overfit_one_image(self.to(device)._built(), train, self.config)  # noqa: SLF001 - `to` returns self
        write_picture(result, train, Path(picture))
        return result

    @overload
    def predict(self, photo: "Photo", *, score_threshold: float = 0.0) -> PhotoInstances: ...  # type: ignore[overload-overlap]
    @overload
    def predict(self, photo: "Photos", *, score_threshold: float = 0.0) -> list[PhotoInstances]: ...
    def predict(
        self, photo: "Photo | Photos", *, score_threshold: float = 0.0
    ) -> PhotoInstances | list[PhotoInstances]:
        """The instances on a photo, or on each of several: paths, bytes, images, arrays, tensors; see `as_photo`.

        Instances below `score_threshold` are dropped; the configuration's threshold for a class takes precedence.

        Raises PhotoError for what is not a readable photo; of several, UnreadPhotosError when the others are done.
        """
        if is_list(photo):
            return for_each_photo(photo, partial(self.predict, score_threshold=score_threshold))
        found = self.detect([to_tensor(as_photo(photo))], score_threshold=score_threshold)[0]
        return PhotoInstances.of(found, self.classes)

    def detect(self, images: list[Tensor], *, score_threshold: float = 0.0) -> list[Instances]:
        """The instances on photos given as RGB `[3, H, W]`, uint8 or float in 0..1, with 32 bits or a GPU's TF32.

        Thresholds act on calibrated scores if there is a `calibration`; `inference.refine_edges` acts last.
        """
        select, network = self.selection(score_threshold), self._detecting()
        with float32_products(network.device, tf32=has_tf32(network.device)):
            detected = network.detect(images)
        found = [select(self.calibration(one) if self.calibration else one) for one in detected]
        if self.config.inference.refine_edges is True:
            from clothseg.garments.refined import refine_edges  # noqa: PLC0415 - most networks do without it

            found = [refine_edges(to_photo(image), one) for image, one in zip(images, found, strict=True)]
        return found

    def selection(self, score_threshold: float = 0.0) -> Selection:
        """Which detections count; `score_threshold` is for classes without a threshold in the configuration.

        Raises ConfigError if the configuration has a threshold for an unknown class.
        """
        settings = self.config.inference
        thresholds = {class_number(name, self.classes): least for name, least in settings.class_thresholds.items()}
        return Selection(score_threshold, thresholds, settings.class_agnostic_nms_iou)

    def to(self, device: str | torch.device) -> Self:
        """Moves the network to a device; takes what `devices.resolve_device` takes, and raises its errors."""
        self._built().to(resolve_device(device))
        return self

    def predict_dataset(self, dataset: CocoLikeDataset, unread: list[str] | None = None) -> Iterator[list[CocoResult]]:
        """The detections of the dataset's classes on each photo of a prepared dataset, as COCO results.

        `unread` is as in `evaluate`; without it, UnreadPhotosError is raised after all others if photos cannot be read.
        Raises RunError if the dataset has a class whose name the network does not know.
        """
        if unknown := first_names([name for name in dataset.classes if name not in self.classes]):
            raise RunError(f"{dataset.source} has {unknown}, unknown to a network of {first_names(self.classes)}")
        yield from detections(self, dataset, self.classes, unread)

    def evaluate(
        self, dataset: CocoLikeDataset, results: Sequence[CocoResult] | None = None, *,
        score_threshold: float | None = None, unread: list[str] | None = None,
    ) -> "Metrics":  # fmt: skip
        """COCO's and the report's metrics on a prepared dataset that was loaded from a file.

        Args:
            dataset: has the photos.
            results: the network's detections; computed now if not given.
            score_threshold: of `report_mAP`; the configuration's by default.
            unread: receives a message for each photo that cannot be read; its objects count as missed.

        Raises:
            RunError: the dataset has no annotations file, or a class that the network does not know.
            UnreadPhotosError: photos cannot be read, and `unread` is not given; its `results` are the metrics.
        """
        from clothseg.evaluation import evaluate_coco, truth_of, with_unread  # noqa: PLC0415

        if dataset.source is None:
            raise RunError("evaluate needs a dataset that was loaded from a file; call load_data() first")
        bad: list[str] = []
        rows = results if results is not None else [r for rows in self.predict_dataset(dataset, bad) for r in rows]
        least = self.config.inference.score_threshold if score_threshold is None else score_threshold
        return with_unread(evaluate_coco(truth_of(dataset), rows, score_threshold=least), bad, unread)

    def _detecting(self) -> Network:
        """The network in inference mode, compiled if the settings say so and this machine can."""
        if self.config.inference.compile and (reason := self.compile()):
            warnings.warn(f"inference.compile: cannot compile here ({reason}); continuing without", stacklevel=3)
        return self._built().eval()

    def _built(self) -> Network:
        if self.network is None:
            raise RunError("the network does not exist yet; call build() first")
        return self.network

    def _rebuild(self, classes: Sequence[str]) -> None:
        """Builds the network for other classes, and keeps what it can of the old one."""
        before, loaded, names = self.network, self.loaded, self.classes
        self.build(classes)
        if before is not None and loaded is not None:
            converted = ConvertedWeights("clothseg", "", before.state_dict(), classes=names)
            self.loaded = load_converted(self._built(), converted, loaded.source, classes=self.classes)


class MaskRCNN(Model):
    """Mask R-CNN, with the methods of `Model`."""

    network_name = "mask_rcnn"


class Yolact(Model):
    """YOLACT, with the methods of `Model`."""

    network_name = "yolact"


class DeepLab(Model):
    """DeepLabv3+, with the methods of `Model`."""

    network_name = "deeplab"
