"""Scores times the mean probability of a mask's own pixels. Source: SOLO (Wang et al. 2020): maskness."""

from torch import Tensor

from clothseg.config import InferenceSettings


def rescored_order(scores: Tensor, masks: Tensor, settings: InferenceSettings) -> tuple[Tensor, Tensor]:
    """Scores times the mean probability of the masks' own pixels, best first, and which detections these are.

    A mask without a pixel counts 0. Detections below `score_threshold` are dropped.

    Args:
        scores: `[D]` in 0..1, on any device.
        masks: probabilities `[D, h, w]` of each.
        settings: with `score_threshold` and `mask_threshold`.

    Returns:
        `[E]` and positions `[E]` int64, on the device of `scores`.
    """
    own = masks >= settings.mask_threshold
    maskness = (masks * own).sum((1, 2)) / own.sum((1, 2)).clamp(min=1)
    scores = scores * maskness.to(scores.device)
    order = scores.argsort(descending=True, stable=True)
    order = order[scores[order] >= settings.score_threshold]
    return scores[order], order
