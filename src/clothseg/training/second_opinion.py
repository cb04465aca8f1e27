"""A second opinion on a teacher's labels: what a network that was trained elsewhere sees on the same photos.

A teacher knows only the classes that it learned, so it calls trousers jeans and skirts dresses, and the more so the
fewer photos without either it has seen. A network with more classes, such as `garments`, has names for these.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import torch

from clothseg.config import Config, UnlabelledSettings
from clothseg.errors import ConfigError, WeightsError
from clothseg.instances import Rle, mask_iou
from clothseg.networks import Network, to_tensor
from clothseg.photos import RgbImage
from clothseg.weights import load_model
from clothseg.weights.automatic import installed_with_more_classes
from clothseg.weights.catalogue import AUTO
from clothseg.weights.converted import shared_classes

SAME_PLACE = 0.5
"""Mask IoU from which a detection of each network is one object."""


class Verdict(Enum):
    """What the other network says of a detection."""

    AGREES = "agrees"
    DOUBTS = "doubts"
    """It sees nothing there, or hardly anything, or another class with little confidence."""
    CONTRADICTS = "contradicts"
    """It is confident that the object is of another class."""


@dataclass(frozen=True)
class Opinion:
    """What the other network sees on a photo.

    Attributes:
        classes: of its detections, as the training numbers them, 1..K; 0 for a class that the training does not have.
        scores: in 0..1.
        masks: of the photo's size.
    """

    classes: list[int]
    scores: list[float]
    masks: list[Rle]

    def verdict(self, class_id: int, mask: Rle, settings: UnlabelledSettings) -> Verdict:
        """Of a detection of class `class_id` with the mask `mask`."""
        overlaps = mask_iou([mask], self.masks)[0].tolist() if self.masks else []
        there = [place for place, overlap in enumerate(overlaps) if overlap >= SAME_PLACE]
        same = max((self.scores[place] for place in there if self.classes[place] == class_id), default=0.0)
        other = max((self.scores[place] for place in there if self.classes[place] != class_id), default=0.0)
        if same >= max(other, settings.ignore_threshold):
            return Verdict.AGREES
        confident = other > same and other >= settings.score_threshold
        return Verdict.CONTRADICTS if confident else Verdict.DOUBTS

    def sees(self, classes: Set[int], settings: UnlabelledSettings) -> bool:
        """Whether one of the classes may be on the photo."""
        rows = zip(self.classes, self.scores, strict=True)
        return any(number in classes and score >= settings.ignore_threshold for number, score in rows)


class SecondOpinion:
    """A trained network, and what it saw on the photos that it was asked about.

    Attributes:
        name: of the network, for people.
        known: the training's classes that it knows, 1..K.

    Args:
        name: of the network, for people.
        network: with its weights.
        shared: `{number in the training: number in the network}` of classes with the same name.
        settings: of the labels that are made.
        device: where it runs.
    """

    def __init__(
        self,
        name: str,
        network: Network,
        shared: dict[int, int],
        settings: UnlabelledSettings,
        device: torch.device,
    ) -> None:
        self.name, self.network, self.settings = name, network.to(device).eval(), settings
        self.known = frozenset(shared)
        self._ours = {theirs: ours for ours, theirs in shared.items()}
        self._seen: dict[int, Opinion] = {}

    @classmethod
    def of(cls, config: Config, classes: Sequence[str], device: torch.device) -> "SecondOpinion | None":
        """The network that `unlabelled.second_opinion` names; None if there is none.

        Raises:
            ConfigError: it knows none of the classes.
            RunError, WeightsError: it cannot be read.
        """
        source = config.unlabelled.second_opinion
        named = installed_with_more_classes(classes) if source == AUTO else None if source == "none" else source
        if named is None:
            return None
        try:
            model = load_model(Path(named))
        except WeightsError as error:
            raise WeightsError(f"unlabelled.second_opinion: {error}") from error
        shared = {ours: theirs for ours, theirs in shared_classes(model.classes, classes).items() if ours}
        if not shared:
            raise ConfigError(
                f"unlabelled.second_opinion: {named} knows {', '.join(model.classes)}, but none of "
                f"{', '.join(classes)}; name another network, or `none`"
            )
        return cls(named, model.network, shared, config.unlabelled, device)

    def look(self, position: int, photo: RgbImage) -> Opinion:
        """What it sees on the photo at `position`, `[H, W, 3]` uint8; it is asked once for each photo."""
        if position not in self._seen:
            (found,) = self.network.detect([to_tensor(photo)])
            found = found[found.scores >= self.settings.ignore_threshold]
            numbers = [self._ours.get(number, 0) for number in found.classes.tolist()]
            self._seen[position] = Opinion(numbers, found.scores.tolist(), found.masks.rle())
        return self._seen[position]
