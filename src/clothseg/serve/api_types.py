"""The JSON that the server takes and gives, and the parameters of its requests. `openapi.py` describes them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

LabelForm = Literal["coco", "coco-rle", "label-studio", "label-studio-config"]


class _Checked(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class RleMask(_Checked):
    """A mask as COCO's compressed run lengths. `size` is [height, width] of the photo."""

    size: tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]]
    counts: str


class Instance(_Checked):
    """A garment on a photo."""

    id: int = Field(description="Number on its photo; `POST /cutout` takes it as `instance`.")
    class_name: str = Field(alias="class", description="Name of the class.")
    class_id: int = Field(ge=1, description="Number of the class, from 1.")
    score: float = Field(ge=0, le=1)
    bbox: list[float] = Field(description="x, y, width and height in pixels of the photo, as in COCO.")
    area: int = Field(description="Pixels of the mask.")
    segmentation: RleMask = Field(description="The exact mask.")
    outlines: list[list[float]] = Field(
        description="Simplified contours for drawing, `[x1, y1, x2, y2, ...]` each; holes by the even-odd rule."
    )


class Prediction(_Checked):
    """The garments on a photo, the highest score first."""

    width: int = Field(description="Of the upright photo, in pixels.")
    height: int = Field(description="Of the upright photo, in pixels.")
    instances: list[Instance]


class ClassInfo(_Checked):
    """A class that the network knows."""

    id: int
    name: str
    colour: str = Field(description="On the page, as #rrggbb.")
    score_threshold: float = Field(description="Where the page's slider begins for this class.")


class ModelInfo(_Checked):
    """What the server runs, and what it accepts."""

    name: str
    version: str
    classes: list[ClassInfo]
    score_threshold: float
    max_bytes: int = Field(description="Of one photo.")
    max_pixels: int = Field(description="Of one photo.")
    start: str = Field(
        description="Differs at each start. A request that sends it as X-Clothseg-Start is refused after another start."
    )


class Error(_Checked):
    """Why a request was refused, and what to do."""

    error: str


class LabelImage(_Checked):
    """A photo of a label file."""

    id: int
    file_name: str = Field(max_length=1000)
    width: int = Field(gt=0)
    height: int = Field(gt=0)


class LabelResult(_Checked):
    """A detection, as a row of COCO results."""

    image_id: int
    category_id: int = Field(ge=1)
    score: float = Field(ge=0, le=1)
    bbox: list[float] | None = Field(None, min_length=4, max_length=4)
    segmentation: RleMask


class LabelRequest(_Checked):
    """Photos and detections that become a label file."""

    images: list[LabelImage] = Field(max_length=10_000)
    results: list[LabelResult] = Field(max_length=100_000)


class PredictQuery(_Checked):
    """Parameters of `POST /predict`."""

    score_threshold: float = Field(0.0, ge=0, le=1, description="Leave out instances with a lower score.")


class CutoutQuery(_Checked):
    """Parameters of `POST /cutout`."""

    instance: int = Field(ge=0, description="The `id` that `POST /predict` gave for the same photo.")
    full_frame: bool = Field(False, description="A picture of the photo's size, not trimmed to the garment.")


class ComposeQuery(_Checked):
    """Parameters of `POST /compose`."""

    x: float = Field(0.5, ge=-1, le=2, description="Middle of the garment, as a part of the background's width.")
    y: float = Field(0.5, ge=-1, le=2, description="Middle of the garment, as a part of the background's height.")
    width: float = Field(0.5, gt=0, le=4, description="Width of the garment, as a part of the background's width.")
    match_light: bool = Field(True, description="Adapt the garment's colours to the light of the background.")
    format: Literal["jpeg", "png"] = "jpeg"


class LabelQuery(_Checked):
    """Parameters of `POST /labels`."""

    format: LabelForm = "coco"


Json = dict[str, Any]
