"""Settings of learning from photos without labels."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from clothseg.config.section import Count, Fraction, Section


class UnlabelledSettings(Section):
    """Learning from photos without labels (`fit --unlabelled`): the EMA of the weights is their teacher."""

    burn_in: Fraction = 0.4
    """Part of the epochs, at the start, that learns from labels alone."""
    relabel_every: Count = 2
    """After how many epochs the teacher labels the photos anew."""
    share: Annotated[float, Field(gt=0, lt=1)] = 0.4
    """After the burn-in, the part of the photos in the batches that the teacher labelled."""
    score_threshold: Fraction = 0.5
    """Lowest score of a pseudo-label; higher for a class that is found more often than it is labelled."""
    ignore_threshold: Fraction = 0.15
    """Lowest score of a detection that is ignored: between the two thresholds it is neither object nor background."""
    mask_score_threshold: Fraction = 0.8
    """Lowest mask score (mean probability of its pixels) of a mask that is learned; below it only class and box are."""

    @model_validator(mode="after")
    def _scores_in_order(self) -> Self:
        if self.ignore_threshold > self.score_threshold:
            raise ValueError(
                f"ignore_threshold, {self.ignore_threshold}, is above score_threshold, {self.score_threshold}; lower it"
            )
        return self
