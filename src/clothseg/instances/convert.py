"""Instances in the forms of other libraries: COCO results, pandas, supervision."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from clothseg.errors import package_error
from clothseg.instances.coco_types import CocoResult
from clothseg.instances.one_mask import to_array
from clothseg.instances.rle import Rle, mask_area

if TYPE_CHECKING:
    import pandas
    import supervision
    from torch import Tensor

    from clothseg.instances.masks import Masks


class _Runs(Protocol):
    """Masks with torch or without."""

    def rle(self) -> list[Rle]: ...


class _Found(Protocol):
    """What is needed of `Instances`, which imports this file, or of `ArrayInstances`: tensors or arrays."""

    @property
    def boxes(self) -> Any: ...
    @property
    def classes(self) -> Any: ...
    @property
    def scores(self) -> Any: ...
    @property
    def masks(self) -> _Runs: ...


class _Instances(Protocol):
    """What is needed of `Instances`, which imports this file."""

    @property
    def boxes(self) -> "Tensor": ...
    @property
    def classes(self) -> "Tensor": ...
    @property
    def masks(self) -> "Masks": ...
    @property
    def scores(self) -> "Tensor": ...
    @property
    def class_names(self) -> Sequence[str]: ...
    def mask_arrays(self) -> NDArray[np.bool_]: ...


def coco_results(image_id: int, found: _Found, category_id: Callable[[int], int]) -> list[CocoResult]:
    """One COCO result per detection: `bbox` is x y width height in pixels, `segmentation` RLE of the photo's size.

    Args:
        image_id: as the annotations have it.
        found: detections on the photo.
        category_id: maps a class 1..K to the id in the annotations.
    """
    corners = to_array(found.boxes)
    boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    rows = zip(found.classes.tolist(), found.scores.tolist(), boxes.tolist(), found.masks.rle(), strict=True)
    return [
        {
            "image_id": image_id,
            "category_id": category_id(label),
            "bbox": [round(side, 3) for side in box],
            "score": score,
            "segmentation": {**mask},
        }
        for label, score, box, mask in rows
    ]


def to_frame(found: _Instances) -> "pandas.DataFrame":
    """A pandas table: class, class_id (1..K), score, x1, y1, x2, y2 (pixels), area (pixels of the mask).

    Raises:
        ClothsegError: pandas is not installed.
    """
    try:
        import pandas  # noqa: PLC0415 - optional
    except ImportError as error:
        raise package_error(error, "to_pandas needs one more package: pip install pandas") from error
    boxes = found.boxes.cpu().numpy().reshape(-1, 4)
    columns = {
        "class": list(found.class_names),
        "class_id": found.classes.cpu().numpy(),
        "score": found.scores.cpu().numpy(),
        **{side: boxes[:, number] for number, side in enumerate(("x1", "y1", "x2", "y2"))},
        "area": [mask_area(mask) for mask in found.masks.rle()],
    }
    return pandas.DataFrame(columns)


def to_detections(found: _Instances) -> "supervision.Detections":
    """Detections of supervision: boxes x1 y1 x2 y2, masks, scores, classes 1..K, and `class_name` in `data`.

    Raises:
        ClothsegError: supervision is not installed.
    """
    try:
        import supervision  # noqa: PLC0415 - optional
    except ImportError as error:
        raise package_error(error, "to_supervision needs one more package: pip install supervision") from error
    return supervision.Detections(
        xyxy=found.boxes.cpu().numpy().astype(np.float32).reshape(-1, 4),
        mask=found.mask_arrays(),
        confidence=found.scores.cpu().numpy(),
        class_id=found.classes.cpu().numpy().astype(int),
        data={"class_name": np.array(found.class_names, dtype=str)},
    )
