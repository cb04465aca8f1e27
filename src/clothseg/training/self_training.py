"""Learning from photos without labels: the EMA of the weights is a teacher that labels them for the student.

Source: Liu et al., Unbiased Teacher for Semi-Supervised Object Detection (2021): burn-in on labels alone, then weak
augmentation (none) for the teacher and strong augmentation for the student. The teacher labels all photos after some
epochs, not each photo in each step: so workers can load them ahead, and the labels of a run can be looked at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset, Sampler
from clothseg.dataset.unlabelled import relabel
from clothseg.errors import ConfigError
from clothseg.instances import Instances
from clothseg.photos import RgbImage
from clothseg.runs import RunFolder
from clothseg.training.ema import EmaWeights
from clothseg.training.examples import Examples
from clothseg.training.pseudo_labels import (
    Findings,
    PseudoLabels,
    class_thresholds,
    expected_objects,
    find_candidates,
    judged,
    to_annotations,
)
from clothseg.training.run_log import RunLog
from clothseg.training.second_opinion import SecondOpinion
from clothseg.training.teacher import ask_teacher


class SelfTraining:
    """Labels photos without labels by a teacher, and lets the student learn from them.

    Attributes:
        labels: what the teacher said last.
        second_opinion: a network that is asked about the teacher's labels; None if there is none.

    Args:
        dataset: the labelled photos, and after them those without labels.
        config: of the training.
        sampler: draws from the labelled photos, and from those without labels when they have been labelled.
        examples: of `dataset`.
        repeats: of the labelled photos; None: each occurs once in an epoch.

    Raises:
        ConfigError: the training has no EMA of the weights, or the second opinion knows none of the classes.
        RunError, WeightsError: the network of the second opinion cannot be read.
    """

    def __init__(
        self,
        dataset: CocoLikeDataset,
        config: Config,
        sampler: Sampler,
        examples: Examples,
        repeats: Sequence[float] | None,
    ) -> None:
        require_teacher(config)
        self.dataset, self.config, self.sampler, self.examples = dataset, config, sampler, examples
        self.repeats = list(repeats) if repeats is not None else [1.0] * dataset.labelled
        self.labels = PseudoLabels()
        self.second_opinion = SecondOpinion.of(config, dataset.classes, examples.network.device)

    def after_epoch(self, epoch: int, teacher: EmaWeights | None, run: RunFolder, log: RunLog) -> dict[str, Any]:
        """Asks the teacher after an epoch if that is due, and uses, writes and logs what it says.

        Returns:
            the labels in use, for a checkpoint.

        Raises:
            PhotoError: too many photos cannot be read any more.
        """
        if teacher is not None and self.config.unlabelled.labels_after(epoch, self.config.train.epochs):
            labels = self.label(epoch, teacher)
            self.use(labels)
            if self.examples.network.distributed.is_first:
                labels.write(run.pseudo_labels, self.dataset)
            log.info(self.describe())
        return self.labels.state_dict()

    def label(self, epoch: int, teacher: EmaWeights) -> PseudoLabels:
        """The teacher's labels of all photos. The ranks share the photos; each gets all labels.

        A photo that cannot be read has no labels, so nothing is learned from it.

        Raises:
            PhotoError: too many photos cannot be read any more.
        """
        settings, first = self.config.unlabelled, self.dataset.labelled
        answers = ask_teacher(teacher, self.examples, self.dataset, range(first, len(self.dataset)), self._judge)
        findings = [of_photo or Findings() for of_photo in answers]
        found = [of_photo.candidates for of_photo in findings]
        thresholds = class_thresholds(found, expected_objects(self.dataset), settings)
        annotations = [
            to_annotations(of_photo, entry.id, thresholds, settings, self.dataset)
            for of_photo, entry in zip(found, self.dataset.images[first:], strict=True)
        ]
        scores = {self.dataset.classes[number - 1]: round(least, 4) for number, least in thresholds.items()}
        empty = [number for number, of_photo in enumerate(findings) if of_photo.empty]
        contradicted = sum(of_photo.contradicted for of_photo in findings)
        labels = PseudoLabels(epoch, annotations, scores, empty, contradicted)
        return replace(labels, rounds=[*self.labels.rounds, labels.summary()])

    def _judge(self, position: int, photo: RgbImage, detections: Instances) -> Findings:
        """What the teacher finds on a photo, after the second opinion."""
        settings, second = self.config.unlabelled, self.second_opinion
        candidates = find_candidates(detections, settings)
        if second is None:
            return Findings(candidates)
        return judged(candidates, second.look(position, photo), second.known, settings)

    def use(self, labels: PseudoLabels) -> None:
        """Learns from these labels from the next batch on."""
        self.labels = labels
        relabel(self.dataset, labels.annotations)
        self.examples.forget(range(self.dataset.labelled, len(self.dataset)))
        self.sampler.change(len(self.dataset), [*self.repeats, *self._teacher_repeats()])

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continues with the labels of a checkpoint, which has none if the teacher was not asked yet.

        Raises:
            RunError: they are labels of other photos.
        """
        if state:
            self.use(PseudoLabels.from_state(state, self.dataset.unlabelled))

    def _teacher_repeats(self) -> list[float]:
        """How often each photo without labels occurs in an epoch: at most once.

        Photos that show none of the classes have `train.empty_share` of the places in the batches, but at most half of
        those of photos without labels. Other photos without an object teach nothing.
        """
        share, used, empty = self.config.unlabelled.share, set(self.labels.used), set(self.labels.empty)
        every = sum(self.repeats) / (1 - share)
        without = min(self.config.train.empty_share, share / 2) * every if empty else 0.0
        with_object = min(1.0, (share * every - without) / len(used)) if used else 0.0
        with_none = min(1.0, without / len(empty)) if empty else 0.0
        photos = range(self.dataset.unlabelled)
        return [with_object if n in used else with_none if n in empty else 0.0 for n in photos]

    def describe(self) -> str:
        """What the teacher said last, for people."""
        labels, counts = self.labels, self.labels.counts()
        thresholds = ", ".join(f"{name} from {score:.2f}" for name, score in labels.class_thresholds.items())
        boxes = f", {counts['boxes']} with only a box" if counts["boxes"] else ""
        second = ""
        if self.second_opinion is not None:
            second = (
                f"; {self.second_opinion.name} takes {labels.contradicted} more for other classes, and "
                f"{len(labels.empty)} photos show none of these classes"
            )
        return (
            f"epoch {labels.epoch}: the teacher labelled {self.dataset.unlabelled} photos: {counts['masks']} objects "
            f"with masks{boxes} on {len(labels.used)} of them, {counts['ignored']} uncertain regions that are "
            f"ignored; confident: {thresholds}{second}"
        )


def check_self_training(config: Config, classes: Sequence[str]) -> None:
    """Raises now, before a run is made, what `SelfTraining` would raise for a training of these classes."""
    require_teacher(config)
    SecondOpinion.of(config, classes, torch.device("cpu"))


def require_teacher(config: Config) -> None:
    """Raises a ConfigError if the training has no EMA of the weights."""
    if not config.train.ema_decay:
        raise ConfigError(
            "photos without labels need a teacher, which is the average of the weights: add --set train.ema_decay=0.99"
        )
