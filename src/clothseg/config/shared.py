"""Settings of training: how photos are changed, and how long and how fast the network learns."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from clothseg.config.section import Count, Frozen, Positive, Section, Share, Weight


class Change(Section):
    """One kind of change: how far it may go at `most`, and the `chance` that it falls on a photo.

    In YAML a bare number is `most`, with the chance 1.
    """

    most: Weight = 0.0
    chance: Share = 1.0

    @model_validator(mode="before")
    @classmethod
    def _bare_number(cls, value: Any) -> Any:
        return {"most": value} if isinstance(value, int | float) else value


class Part(Change):
    """A change whose `most` is a part of something, below 1."""

    most: Annotated[float, Field(ge=0, lt=1)] = 0.0


class Angle(Change):
    """A change in degrees."""

    most: Annotated[float, Field(ge=0, le=180)] = 0.0


class Shear(Change):
    """A lean in degrees."""

    most: Annotated[float, Field(ge=0, le=60)] = 0.0


class Augment(Section):
    """Changes to training photos, boxes and masks together.

    With `copies` 0 every look at a photo is a new one. Otherwise each photo has that many fixed versions, the first
    one unchanged, so that the outputs of frozen stages can be kept.

    `flip` is the chance of a mirror image. Of place: `scale` and `stretch` (both sides alike, and each for itself) by a
    factor up to 1 +- most, `shift` up to this part of a side, `rotate` and `shear` up to these degrees, `waves` (the
    piecewise affine change) up to this part of a side; `jitter` zooms by a factor between its two numbers and moves the
    cut-out (large-scale jitter). Of value: `multiply` (brightness), `contrast` and `colour` (saturation) by a factor up
    to 1 +- most, `blur` up to this sigma in pixels, `sharpen` up to a factor of 1 + most. `paste` is the chance that
    objects of another photo are pasted in front (copy-paste).
    """

    copies: Annotated[int, Field(ge=0)] = 0
    flip: Share = 0.5
    scale: Part = Field(default_factory=Part)
    stretch: Part = Field(default_factory=Part)
    shift: Part = Field(default_factory=Part)
    rotate: Angle = Field(default_factory=Angle)
    shear: Shear = Field(default_factory=Shear)
    waves: Part = Field(default_factory=Part)
    jitter: tuple[Positive, Positive] | None = None
    multiply: Part = Field(default_factory=Part)
    contrast: Part = Field(default_factory=Part)
    colour: Part = Field(default_factory=Part)
    blur: Change = Field(default_factory=Change)
    sharpen: Change = Field(default_factory=Change)
    paste: Share = 0.0

    @model_validator(mode="after")
    def _jitter_in_order(self) -> Self:
        if self.jitter and self.jitter[0] > self.jitter[1]:
            raise ValueError(f"jitter {list(self.jitter)}: the smaller factor comes first")
        return self


class Stage(Section):
    """A part of the training: which `layers` learn, `until` the end of which epoch, and how fast.

    `heads` is all but the trunk; `5+`, `4+` and `3+` are the trunk's last stages too; `all` is everything; a number is
    how many stages of the trunk keep their weights. Without a `learning_rate` it is the one of `train`.
    """

    layers: Frozen
    until: Count
    learning_rate: Positive | None = None


class Train(Section):
    """The loop: how long, how fast, and what is kept.

    Without `stages` all that `backbone.frozen_stages` leaves free learns until the last of the `epochs`; with them, the
    last one ends there. Warm-up and schedule belong to each stage.

    `steps_per_epoch` null means all photos once. A step learns from `accumulate` batches of `batch_size` photos, one
    after the other, which takes the memory of one, on each of so many `devices`. `checkpoint_activations` keeps only
    the inputs of the trunk's stages for the backward pass and computes the rest again: the same numbers in less memory
    and more time. `precision` is the one of Fabric. `weight_decay` does not fall on norms and biases. With `average`
    above 0 (such as 0.99), validation and the weights handed out are those of an exponential average that keeps this
    part at each step. `save_every` so many steps a checkpoint is written within an epoch too. `on_nan` says whether a
    loss that is not finite stops the run or skips the step. `keep_features_mb` bounds the memory for outputs of frozen
    stages, `keep_photos_mb` that for photos as pixels. So many threads (`workers`) load and change the photos of the
    next steps while one runs; what they give does not depend on how many there are.

    `evaluate_every` so many epochs, and after the last one, the validation photos are evaluated too. `best` is the
    validation loss, or the figure of an evaluation, that says which epoch's weights are handed out (`last`: simply the
    last). After `patience` epochs of a stage without a better one the training ends.

    `rate_for_photos` is how many photos a step the learning rates are meant for; with more or fewer they grow or shrink
    (in proportion for SGD, with the square root for AdamW). Null leaves them as they are. `repeat_threshold` is the
    part of the photos below which a class is rare: its photos are shown more often (LVIS's repeat factors); 0 is off.
    """

    epochs: Count = 12
    stages: tuple[Stage, ...] = ()
    steps_per_epoch: Count | None = None
    batch_size: Count = 2
    devices: Count = 1
    accumulate: Count = 1
    checkpoint_activations: bool = False
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: Positive = 0.0025
    backbone_rate: Positive = 1.0
    momentum: Share = 0.9
    weight_decay: Weight = 0.0001
    schedule: Literal["constant", "cosine"] = "cosine"
    warmup_steps: Annotated[int, Field(ge=0)] = 100
    clip_gradients: Positive | None = None
    average: Annotated[float, Field(ge=0, lt=1)] = 0.0
    save_every: Count | None = None
    on_nan: Literal["stop", "skip"] = "stop"
    keep_features_mb: Annotated[int, Field(ge=0)] = 1000
    keep_photos_mb: Annotated[int, Field(ge=0)] = 500
    workers: Annotated[int, Field(ge=0)] = 1
    evaluate_every: Count | None = None
    best: Literal[
        "last",
        "val_total",
        "val_rpn_class",
        "val_rpn_bbox",
        "val_class",
        "val_bbox",
        "val_mask",
        "mask_AP",
        "mask_AP50",
        "box_AP",
        "box_AP50",
        "report_mAP",
    ] = "val_total"
    patience: Count | None = None
    rate_for_photos: Count | None = None
    repeat_threshold: Share = 0.0
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _stages_in_order(self) -> Self:
        ends = [stage.until for stage in self.stages]
        if ends and (sorted(set(ends)) != ends or ends[-1] != self.epochs):
            raise ValueError(
                f"stages end after epochs {ends}; each must end later than the one before, and the last one "
                f"with the {self.epochs} epochs"
            )
        return self

    @model_validator(mode="after")
    def _best_is_known(self) -> Self:
        if self.best != "last" and not self.best.startswith("val_") and self.evaluate_every is None:
            raise ValueError(f"best {self.best} comes from evaluations; say with evaluate_every how often there is one")
        if self.best == "last" and self.patience is not None:
            raise ValueError("patience waits for a better epoch, but with best: last the last one is always the best")
        return self
