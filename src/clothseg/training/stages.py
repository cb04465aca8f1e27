"""Which layers learn when: the stages of a training in steps."""

from dataclasses import dataclass

from clothseg.config import LAYERS, Config


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


def plan_spans(config: Config, per_epoch: int) -> list[Span]:
    """The stages of a configuration, in order, for epochs of `per_epoch` steps."""
    settings = config.train
    frozen = config.backbone.frozen_stages
    if not settings.stages:
        what = f"all but the first {frozen} stages of the trunk" if frozen else "all layers"
        return [Span(0, settings.epochs * per_epoch, frozen, settings.learning_rate, what)]
    spans: list[Span] = []
    for stage in settings.stages:
        first = spans[-1].end if spans else 0
        rate = stage.learning_rate or settings.learning_rate
        spans.append(Span(first, stage.until * per_epoch, LAYERS[stage.layers], rate, stage.layers))
    return spans


def span_of(spans: list[Span], step: int) -> Span:
    """The stage that a step belongs to; after the last step, the last stage."""
    return next((span for span in spans if step < span.end), spans[-1])
