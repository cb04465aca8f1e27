"""The rows of COCO files, as types. Source: https://cocodataset.org/#format-data and #format-results."""

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

from clothseg.instances.rle import Rle


class CocoImage(TypedDict):
    """A photo. `height` and `width` are in pixels."""

    id: int
    file_name: NotRequired[str]
    height: int
    width: int
    license: NotRequired[int]
    flickr_url: NotRequired[str]
    coco_url: NotRequired[str]
    date_captured: NotRequired[str]


class CocoCategory(TypedDict):
    """A class."""

    id: int
    name: str
    supercategory: NotRequired[str]


class CocoAnnotation(TypedDict):
    """An object.

    `segmentation` is a list of polygons, a compressed RLE or an uncompressed RLE; `from_segmentation` reads all three.
    If it is empty or missing, only the box is known; see `is_box_only`.
    `bbox` is x y width height in pixels, `area` is in pixels. `iscrowd` is 1 for a region that is ignored. `score`
    (0..1) and `attributes` are extensions for labelling tools.
    """

    id: NotRequired[int]
    image_id: int
    category_id: int
    segmentation: NotRequired[Any]
    bbox: NotRequired[list[float]]
    area: NotRequired[float]
    iscrowd: NotRequired[int]
    score: NotRequired[float]
    attributes: NotRequired[dict[str, Any]]


def is_box_only(row: Mapping[str, Any]) -> bool:
    """Whether an annotation has a box and no mask: its `segmentation` is `[]`, `{}`, null or missing.

    Such an object teaches its class and its box, not its mask. `dataset.reading` makes sure that its box is usable, and
    that it is not a crowd.
    """
    return not row.get("segmentation")


class CocoDataset(TypedDict):
    """An instances file."""

    images: list[CocoImage]
    annotations: list[CocoAnnotation]
    categories: list[CocoCategory]
    info: NotRequired[dict[str, Any]]
    licenses: NotRequired[list[dict[str, Any]]]


class CocoResult(TypedDict):
    """A detection: one row of a results file. `score` is in 0..1, `bbox` is x y width height in pixels.

    `review` is true where a person should look at the mask; it is left out where the scores are not calibrated.
    """

    image_id: int
    category_id: int
    score: float
    segmentation: NotRequired[Rle]
    bbox: NotRequired[list[float]]
    review: NotRequired[bool]
