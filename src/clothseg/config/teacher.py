"""Settings of labels that are not made by people: the EMA of the weights is a teacher that makes them."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from clothseg.config.section import Count, Fraction, Section


class TeacherSettings(Section):
    """When a teacher makes labels, and which of its masks are learned."""

    burn_in: Fraction = 0.4
    """Part of the epochs, at the start, that learns from people's labels alone."""
    relabel_every: Count = 2
    """After how many epochs the teacher makes its labels anew."""
    mask_score_threshold: Fraction = 0.8
    """Lowest mask score (mean probability of its pixels) of a mask that is learned; below it only class and box are."""

    def labels_after(self, epoch: int, epochs: int) -> bool:
        """Whether the teacher makes labels after this epoch of a training of `epochs`; not after the last one."""
        first = max(1, round(self.burn_in * epochs))
        return first <= epoch < epochs and (epoch - first) % self.relabel_every == 0


class UnlabelledSettings(TeacherSettings):
    """Learning from photos without labels (`fit --unlabelled`)."""

    share: Annotated[float, Field(gt=0, lt=1)] = 0.4
    """After the burn-in, the part of the photos in the batches that the teacher labelled."""
    score_threshold: Fraction = 0.5
    """Lowest score of a pseudo-label; higher for a class that is found more often than it is labelled."""
    ignore_threshold: Fraction = 0.15
    """Lowest score of a detection that is ignored: between the two thresholds it is neither object nor background."""

    second_opinion: str = "auto"
    """A trained network, as a run or a weights file, which must see the same object: what it takes for another class
    is background. `auto`: `garments` if it knows one of the classes; `none`: no such network."""

    @model_validator(mode="after")
    def _scores_in_order(self) -> Self:
        if self.ignore_threshold > self.score_threshold:
            raise ValueError(
                f"ignore_threshold, {self.ignore_threshold}, is above score_threshold, {self.score_threshold}; lower it"
            )
        return self


class BoxLabelSettings(TeacherSettings):
    """Objects that are labelled with a box and no mask."""

    mask_share: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Part of the photos in the batches that should have a mask, where others have boxes alone: each with a mask then
    comes up to four times as often. 0: as often as the others."""
    pseudo_masks: bool = False
    """Learn masks that the teacher draws for them; else they teach only class and box."""
    iou_threshold: Fraction = 0.85
    """Lowest IoU of the box around such a mask with the labelled box."""
