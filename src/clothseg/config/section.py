"""What the sections of a configuration share: their base, and the kinds of their values."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Side = Annotated[int, Field(ge=32)]  # the stride of the last stage: less is not one place there
Weight = Annotated[float, Field(ge=0)]
Triple = tuple[float, float, float]
LAYERS = {"heads": 5, "5+": 4, "4+": 3, "3+": 2, "all": 0}
"""Words for what is trained, as the Keras implementation has them, and the number of stages that they freeze."""


def _frozen_stages(value: Any) -> Any:
    if isinstance(value, str) and value not in LAYERS and not value.isdigit():
        raise ValueError(f"must be one of {', '.join(LAYERS)}, or how many stages of the trunk keep their weights")
    return LAYERS.get(value, value) if isinstance(value, str) else value


Frozen = Annotated[int, BeforeValidator(_frozen_stages), Field(ge=0, le=5)]


class Section(BaseModel):
    """A part of the configuration: unknown keys are errors, and values are checked when they are set too."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)
