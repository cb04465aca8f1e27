"""What the rows of a history say: which epoch is the best, whether to give up, which losses overfit.

Nothing is remembered beside the rows, so a resumed run comes to the same verdicts.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

from clothseg.config import Train
from clothseg.runs import RunFolder
from clothseg.training.history import LOSSES, Row, read_history

RISES = 3
"""So many epochs one after the other a validation loss has risen when it is said to overfit."""


def best_row(rows: Sequence[Row], settings: Train) -> Row:
    """The row of the epoch whose weights are handed out: the best by `train.best`, the first one of equals.

    Epochs without that figure, or with one that is not finite, do not count; where none has it, the last one.
    """
    name = settings.best
    judged = [row for row in rows if math.isfinite(row.get(name, math.nan))]
    if not judged:
        return rows[-1]
    if name.startswith("val_"):
        return min(judged, key=lambda row: row[name])
    return max(judged, key=lambda row: row[name])


def gives_up(rows: Sequence[Row], settings: Train) -> bool:
    """Whether `train.patience` epochs of a stage went by without a better one.

    It is only asked in epochs that have the figure of `train.best`, and counted anew from the end of each stage.
    """
    if settings.patience is None or not rows or settings.best not in rows[-1]:
        return False
    epoch = rows[-1]["epoch"]
    begun = max((stage.until for stage in settings.stages if stage.until <= epoch), default=0)
    return epoch - max(begun, best_row(rows, settings)["epoch"]) >= settings.patience


def early_end(run: RunFolder, settings: Train) -> int | None:
    """The epoch after which a run gave up; None where it did not."""
    rows = read_history(run.history) if run.history.is_file() else []
    return int(rows[-1]["epoch"]) if gives_up(rows, settings) else None


def overfitting(rows: Sequence[Row]) -> dict[str, int]:
    """Losses that fall on the training photos only, and the epoch since which they do.

    A loss counts from the first epoch in which it rises on the validation photos, when it does so for `RISES` epochs
    one after the other while on the training photos it falls; until it is lower than ever before. Nothing is said as
    long as the total is: at the beginning one loss rises because others fall.
    """
    return {name: since for name in LOSSES if (since := _rising_since(rows, name))}


def news(rows: Sequence[Row], settings: Train) -> list[str]:
    """What the last epoch of `rows` brings to tell: losses that begin to overfit, an early end."""
    before, row, best = overfitting(rows[:-1]), rows[-1], best_row(rows, settings)
    sentences = []
    if lost := [name for name in LOSSES if not math.isfinite(row.get(f"val_{name}", 0.0))]:
        sentences.append(
            f"not finite on the validation photos: {', '.join(lost)}; the weights of this epoch are of no use there. A "
            "smaller train.learning_rate or train.clip_gradients may help"
        )
    if started := {name: since for name, since in overfitting(rows).items() if name not in before}:
        losses = ", ".join(f"{name} (since epoch {since})" for name, since in started.items())
        sentences.append(
            f"overfitting: {losses} rises on the validation photos while it falls on the training photos; more photos "
            "or augmentation, or fewer epochs"
        )
    if gives_up(rows, settings):
        sentences.append(
            f"stopping early: {settings.best} was best in epoch {best['epoch']:.0f} ({best[settings.best]:.4f}), and "
            f"train.patience is {settings.patience}; the weights of epoch {best['epoch']:.0f} are handed out"
        )
    elif row["epoch"] == settings.epochs and best is not row:
        sentences.append(f"{settings.best} was best in epoch {best['epoch']:.0f}; its weights are handed out")
    return sentences


def _rising_since(rows: Sequence[Row], name: str) -> int:
    since, lowest, least = 0, math.inf, math.inf
    for last, row in enumerate(rows):
        improves, least = row.get("val_total", math.inf) < least, min(least, row.get("val_total", math.inf))
        recent = rows[max(0, last - RISES) : last + 1]
        values = [r.get(f"val_{name}", math.nan) for r in recent]
        if values[-1] < lowest:
            since, lowest = 0, values[-1]
        rises = len(recent) > RISES and all(a < b for a, b in pairwise(values))
        if not since and rises and not improves and row[f"train_{name}"] < recent[0][f"train_{name}"]:
            since = int(recent[1]["epoch"])
    return since
