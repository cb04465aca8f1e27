"""The best score threshold: the score with the highest F1, by class and for all classes together.

F1 is the harmonic mean of precision and recall. A threshold that was chosen on a few photos fits these photos; on
others, expect slightly lower values.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from clothseg.evaluation.matches import ClassMatches
from clothseg.evaluation.values import Threshold


def best_threshold(classes: Iterable[ClassMatches]) -> Threshold | None:
    """The score with the highest F1 at IoU .50, over the detections and objects of all given classes together.

    Detections on crowds are left out. Of equal F1 the higher score is taken.

    Returns:
        None if there is no object, or if no detection is right.
    """
    scores: list[NDArray[np.float64]] = []
    hits: list[NDArray[np.bool_]] = []
    objects = 0
    for matches in classes:
        counted = ~matches.ignored[0]
        scores.append(matches.scores[counted])
        hits.append(matches.hits[0][counted])
        objects += int(matches.objects.sum())
    score = np.concatenate(scores) if scores else np.zeros(0)
    order = np.argsort(-score, kind="stable")
    right = np.cumsum(np.concatenate(hits)[order]) if scores else np.zeros(0)
    if objects == 0 or len(right) == 0 or right[-1] == 0:
        return None
    score = score[order]
    last = np.flatnonzero(np.append(score[1:] != score[:-1], True))  # a threshold cannot separate equal scores
    f1 = 2 * right[last] / (last + 1 + objects)
    best = last[int(f1.argmax())]
    return Threshold(
        score=float(score[best]),
        f1=float(f1.max()),
        precision=float(right[best] / (best + 1)),
        recall=float(right[best] / objects),
    )
