"""Learning from photos without labels: the EMA of the weights is a teacher that labels them for the student.

Source: Liu et al., Unbiased Teacher for Semi-Supervised Object Detection (2021): burn-in on labels alone, then weak
augmentation (none) for the teacher and strong augmentation for the student. The teacher labels all photos after some
epochs, not each photo in each step: so workers can load them ahead, and the labels of a run can be looked at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset, Sampler
from clothseg.dataset.unlabelled import relabel
from clothseg.errors import ConfigError
from clothseg.runs import RunFolder
from clothseg.training.ema import EmaWeights
from clothseg.training.examples import Examples
from clothseg.training.pseudo_labels import (
    PseudoLabels,
    class_thresholds,
    expected_objects,
    find_candidates,
    to_annotations,
)
from clothseg.training.run_log import RunLog
from clothseg.training.teacher import ask_teacher


class SelfTraining:
    """Labels photos without labels by a teacher, and lets the student learn from them.

    Attributes:
        labels: what the teacher said last.

    Args:
        dataset: the labelled photos, and after them those without labels.
        config: of the training.
        sampler: draws from the labelled photos, and from those without labels when they have been labelled.
        examples: of `dataset`.
        repeats: of the labelled photos; None: each occurs once in an epoch.

    Raises:
        ConfigError: the training has no EMA of the weights.
    """

    def __init__(
        self,
        dataset: CocoLikeDataset,
        config: Config,
        sampler: Sampler,
        examples: Examples,
        repeats: Sequence[float] | None,
    ) -> None:
        if not config.train.ema_decay:
            raise ConfigError(
                "photos without labels need a teacher, which is the average of the weights: add --set "
                "train.ema_decay=0.99"
            )
        self.dataset, self.config, self.sampler, self.examples = dataset, config, sampler, examples
        self.repeats = list(repeats) if repeats is not None else [1.0] * dataset.labelled
        self.labels = PseudoLabels()

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
        answers = ask_teacher(
            teacher, self.examples, self.dataset, range(first, len(self.dataset)),
            lambda _, __, detections: find_candidates(detections, settings),
        )  # fmt: skip
        found = [candidates or [] for candidates in answers]
        thresholds = class_thresholds(found, expected_objects(self.dataset), settings)
        annotations = [
            to_annotations(of_photo, entry.id, thresholds, settings, self.dataset)
            for of_photo, entry in zip(found, self.dataset.images[first:], strict=True)
        ]
        scores = {self.dataset.classes[number - 1]: round(least, 4) for number, least in thresholds.items()}
        labels = PseudoLabels(epoch, annotations, scores)
        return replace(labels, rounds=[*self.labels.rounds, labels.summary()])

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
        """How often each photo without labels occurs in an epoch: at most once, and not if it has no object."""
        share, used = self.config.unlabelled.share, set(self.labels.used)
        each = min(1.0, share / (1 - share) * sum(self.repeats) / len(used)) if used else 0.0
        return [each if number in used else 0.0 for number in range(self.dataset.unlabelled)]

    def describe(self) -> str:
        """What the teacher said last, for people."""
        labels, counts = self.labels, self.labels.counts()
        thresholds = ", ".join(f"{name} from {score:.2f}" for name, score in labels.class_thresholds.items())
        boxes = f", {counts['boxes']} with only a box" if counts["boxes"] else ""
        return (
            f"epoch {labels.epoch}: the teacher labelled {self.dataset.unlabelled} photos: {counts['masks']} objects "
            f"with masks{boxes} on {len(labels.used)} of them, {counts['ignored']} uncertain regions that are "
            f"ignored; confident: {thresholds}"
        )
