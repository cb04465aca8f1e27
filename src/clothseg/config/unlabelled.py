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
    sure_score: Fraction = 0.5
    """Score from which a detection is a label; higher for a class that is found more often than it is labelled."""
    unsure_score: Fraction = 0.15
    """Score from which a detection that is no label is ignored: it is neither an object nor background."""
    sure_mask: Fraction = 0.8
    """Mean certainty from which the mask of a sure detection is a label too."""

    @model_validator(mode="after")
    def _scores_in_order(self) -> Self:
        if self.unsure_score > self.sure_score:
            raise ValueError(f"unsure_score, {self.unsure_score}, is above sure_score, {self.sure_score}")
        return self
