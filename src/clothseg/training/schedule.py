"""Which layers learn when: the stages of a training in steps."""

from dataclasses import dataclass

from clothseg.config import Config
from clothseg.training.optimizer import rate_scale


@dataclass(frozen=True)
class Span:
    """One stage.

    Attributes:
        first, end: its steps, `end` not among them.
        frozen: stages of the trunk that keep their weights.
        rate: the learning rate that warm-up and schedule take a part of.
        name: for people.
    """

    first: int
    end: int
    frozen: int
    rate: float
    name: str


def plan_spans(config: Config, per_epoch: int, photos: int) -> list[Span]:
    """The stages of a configuration, in order, for epochs of `per_epoch` steps of so many `photos`."""
    settings = config.train
    scale = rate_scale(settings, photos)
    frozen = config.backbone.frozen_stages
    if not settings.stages:
        return [Span(0, settings.epochs * per_epoch, frozen, settings.learning_rate * scale, _in_words(frozen))]
    spans: list[Span] = []
    for stage in settings.stages:
        first = spans[-1].end if spans else 0
        rate = (stage.learning_rate or settings.learning_rate) * scale
        spans.append(Span(first, stage.until * per_epoch, stage.layers, rate, _in_words(stage.layers)))
    return spans


def span_of(spans: list[Span], step: int) -> Span:
    """The stage that a step belongs to; after the last step, the last stage."""
    return next((span for span in spans if step < span.end), spans[-1])


def _in_words(frozen: int) -> str:
    if frozen == 5:
        return "heads"
    return f"all but the first {frozen} stages of the trunk" if frozen else "all layers"
