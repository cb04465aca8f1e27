"""The rows of COCO files, as types. Source: https://cocodataset.org/#format-data and #format-results."""

from typing import Any, NotRequired, TypedDict

from clothseg.instances.rle import Rle


class CocoImage(TypedDict):
    """A photo; `height` and `width` in pixels."""

    id: int
    file_name: NotRequired[str]
    height: int
    width: int


class CocoCategory(TypedDict):
    """A class."""

    id: int
    name: str


class CocoAnnotation(TypedDict):
    """An object; `bbox` is x, y, width, height in pixels, `area` in pixels, `iscrowd` 1 for a region to ignore."""

    id: NotRequired[int]
    image_id: int
    category_id: int
    segmentation: NotRequired[Any]
    bbox: NotRequired[list[float]]
    area: NotRequired[float]
    iscrowd: NotRequired[int]


class CocoDataset(TypedDict):
    """An instances file."""

    images: list[CocoImage]
    annotations: list[CocoAnnotation]
    categories: list[CocoCategory]


class CocoResult(TypedDict):
    """A detection: one row of a results file."""

    image_id: int
    category_id: int
    score: float
    segmentation: NotRequired[Rle]
    bbox: NotRequired[list[float]]
