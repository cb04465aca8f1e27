"""`inference.refine_edges=auto`: validation photos decide whether masks get the edges of the photo."""

from copy import copy
from dataclasses import dataclass

from torch import Tensor

from clothseg.config import Config
from clothseg.counting import counted, spread
from clothseg.dataset import CocoLikeDataset
from clothseg.devices import float32_products, has_tf32
from clothseg.distributed import single_process
from clothseg.evaluation import headline_metrics, truth_of
from clothseg.evaluation.results import Detector, detections
from clothseg.evaluation.validate_results import validate_results
from clothseg.garments.refined import refine_edges
from clothseg.instances import Instances
from clothseg.networks import Network, to_photo
from clothseg.runs import RunFolder
from clothseg.training.run_log import RunLog
from clothseg.weights import read_network, write_network

LEAST_GAIN = 0.005
"""The mask AP that moved edges must gain, as they take time."""
MOST_PHOTOS = 200
"""Of more validation photos, so many decide, evenly spread."""


@dataclass(frozen=True)
class RefinedDetector:
    """A network's detections, with the edges of their masks at those of the photo."""

    network: Network

    def detect(self, images: list[Tensor]) -> list[Instances]:
        """See `Network.detect`."""
        found = self.network.detect(images)
        return [refine_edges(to_photo(image), one) for image, one in zip(images, found, strict=True)]


@dataclass(frozen=True)
class EdgeChoice:
    """What validation photos say.

    Attributes:
        network: mask AP of the network's own masks, 0..1; None if no true object has a mask.
        refined: the same with moved edges.
        photos: how many photos decided.
    """

    network: float | None
    refined: float | None
    photos: int

    @property
    def refine(self) -> bool:
        """Whether edges move from now on."""
        return self.network is not None and self.refined is not None and self.refined - self.network >= LEAST_GAIN

    @property
    def sentence(self) -> str:
        """The choice, for people."""
        if self.network is None or self.refined is None:
            return "edges of masks stay as the network draws them: no validation photo has a true mask to compare with"
        choice = "move to the photo's" if self.refine else "stay as the network draws them"
        return (
            f"edges of masks {choice}: mask AP on {counted(self.photos, 'validation photo')} {100 * self.network:.1f} "
            f"as drawn, {100 * self.refined:.1f} moved"
        )


def choose_edges(network: Network, val: CocoLikeDataset) -> EdgeChoice:
    """Compares the network's own masks on validation photos with the same masks with moved edges.

    Photos that cannot be read count as empty in both.
    """
    part = copy(val)
    part.images = [val.images[position] for position in spread(len(val), MOST_PHOTOS)]
    training = network.training
    network.eval()
    with single_process(network), float32_products(network.device, tf32=has_tf32(network.device)):
        values = [_mask_ap(detector, part) for detector in (network, RefinedDetector(network))]
    network.train(training)
    return EdgeChoice(values[0], values[1], len(part))


def _mask_ap(detector: Detector, dataset: CocoLikeDataset) -> float | None:
    truth = truth_of(dataset)
    rows = [row for of_photo in detections(detector, dataset, unread=[]) for row in of_photo]
    return headline_metrics(truth, validate_results(rows, truth)[0], score_threshold=0.0)["mask_AP"]


def decide_edges(network: Network, val: CocoLikeDataset, config: Config, run: RunFolder, log: RunLog) -> Config:
    """Decides what `auto` leaves open, and keeps the answer in the weights file, `run.json` and the log of the run.

    Args:
        network: with the run's best weights.
        val: the validation photos.
        config: of the run.
        run: its weights file is written again, as a whole, unless it has an answer.
        log: of the run.

    Returns:
        the configuration with the answer.
    """
    if config.inference.refine_edges != "auto":
        return config
    saved = read_network(run.weights)
    refine = saved.config.inference.refine_edges
    if refine == "auto":
        choice = choose_edges(network, val)
        refine = choice.refine
        decided = saved.config.changed("inference", refine_edges=refine)
        write_network(run.weights, saved.tensors, decided, saved.classes)
        run.add_facts({"edges": choice.sentence})
        log.info(choice.sentence)
    return config.changed("inference", refine_edges=refine)
