"""LVIS's repeat factors: photos of rare classes occur more often."""

import math
from collections import Counter

from clothseg.dataset.coco import CocoLikeDataset


def repeat_factors(dataset: CocoLikeDataset, threshold: float) -> list[float] | None:
    """How often each photo occurs in an epoch. None if `threshold` is 0: every photo occurs once.

    A class on the fraction `f` of the photos has the factor max(1, sqrt(threshold / f)). A photo has the largest factor
    of its classes, or 1 without any. Crowds do not count. Source: Gupta et al., "LVIS", CVPR 2019, section 5.
    """
    if not threshold:
        return None
    of_photo = [{a["category_id"] for a in entry.annotations if not a.get("iscrowd")} for entry in dataset.images]
    photos = Counter(class_id for classes in of_photo for class_id in classes)
    factors = {c: max(1.0, math.sqrt(threshold * len(dataset) / count)) for c, count in photos.items()}
    return [max((factors[c] for c in classes), default=1.0) for classes in of_photo]
