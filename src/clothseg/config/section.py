"""The base of every section of a configuration, and the types of its values."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1, le=10**9)]
CountOrNone = Annotated[int, Field(ge=0, le=10**9)]
Width = Annotated[int, Field(ge=1, le=8192)]
"""Channels of a layer. The limit keeps a damaged file from asking for a network that fills the memory."""
Depth = Annotated[int, Field(ge=0, le=100)]
"""Number of layers or cells, limited like `Width`."""
Side = Annotated[int, Field(ge=32, le=100_000)]  # the stride of the last stage: less is not one cell there
NonNegative = Annotated[float, Field(ge=0)]
Triple = tuple[float, float, float]
TRAINABLE = {"heads": 5, "5+": 4, "4+": 3, "3+": 2, "2+": 1, "all": 0}
"""The Keras implementation's words for what is trained, and the number of backbone stages that each freezes."""


def _frozen_stages(value: Any) -> Any:
    if isinstance(value, str) and value not in TRAINABLE and not value.isdigit():
        raise ValueError(f"must be one of {', '.join(TRAINABLE)}, or how many stages of the backbone are frozen")
    return TRAINABLE.get(value, value) if isinstance(value, str) else value


FrozenStages = Annotated[int, BeforeValidator(_frozen_stages), Field(ge=0, le=5)]


class Section(BaseModel):
    """A part of the configuration. It is immutable; unknown keys are errors."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=False, allow_inf_nan=False
    )
