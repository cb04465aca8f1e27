"""Settings of augmentation: random changes to training photos, boxes and masks together."""

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from clothseg.config.section import CountOrNone, Fraction, NonNegative, Positive, Section


class Strength(Section):
    """How far one kind of change goes, and how often it happens. In YAML a bare number is `max`, with `p` 1."""

    max: NonNegative = 0.0
    """Largest change; 0 turns it off."""
    p: Fraction = 1.0
    """Probability that it is applied to a photo."""

    @model_validator(mode="before")
    @classmethod
    def _bare_number(cls, value: Any) -> Any:
        return {"max": value} if isinstance(value, int | float) else value


class FractionStrength(Strength):
    """A change whose `max` is a fraction, below 1."""

    max: Annotated[float, Field(ge=0, lt=1)] = 0.0


class AngleStrength(Strength):
    """A change in degrees."""

    max: Annotated[float, Field(ge=0, le=180)] = 0.0


class ShearStrength(Strength):
    """A shear angle in degrees."""

    max: Annotated[float, Field(ge=0, le=60)] = 0.0


def _off() -> Any:
    return Field(default_factory=FractionStrength)


class AugmentSettings(Section):
    """Random changes to training photos, boxes and masks together."""

    fixed_views: CountOrNone = 0
    """0: every view is new. Else the number of fixed views of a photo, the first unchanged, for the feature cache."""
    flip: Fraction = 0.5
    """Probability of a horizontal flip."""
    scale: FractionStrength = _off()
    """Scale both sides by a factor up to 1 +- max."""
    stretch: FractionStrength = _off()
    """Scale each side for itself by a factor up to 1 +- max."""
    shift: FractionStrength = _off()
    """Shift by up to this fraction of a side."""
    rotate: AngleStrength = Field(default_factory=AngleStrength)
    """Rotate by up to this angle in degrees."""
    shear: ShearStrength = Field(default_factory=ShearStrength)
    """Shear by up to this angle in degrees."""
    piecewise_affine: FractionStrength = _off()
    """Move the points of a coarse grid by up to this fraction of a side."""
    large_scale_jitter: tuple[Positive, Positive] | None = None
    """Zoom by a factor between these two, then crop or pad at a random place; null is off."""
    brightness: FractionStrength = _off()
    """Multiply the pixel values by a factor up to 1 +- max."""
    contrast: FractionStrength = _off()
    """Change the contrast by a factor up to 1 +- max."""
    saturation: FractionStrength = _off()
    """Change the saturation by a factor up to 1 +- max."""
    blur: Strength = Field(default_factory=Strength)
    """Gaussian blur with a sigma of up to this many pixels."""
    sharpen: Strength = Field(default_factory=Strength)
    """Sharpen by a factor up to 1 + max."""
    erase: FractionStrength = _off()
    """Cover a rectangle of up to this fraction of the photo with its mean colour; the objects stay as they are."""
    copy_paste: Fraction = 0.0
    """Probability that objects of another photo are pasted in front."""

    @model_validator(mode="after")
    def _jitter_in_order(self) -> Self:
        jitter = self.large_scale_jitter
        if jitter and jitter[0] > jitter[1]:
            raise ValueError(f"large_scale_jitter {list(jitter)}: the smaller factor comes first")
        return self
