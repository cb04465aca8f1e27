"""The rows of COCO files, as types. Source: https://cocodataset.org/#format-data and #format-results."""

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
