"""Settings of training: how long, how fast, and what is kept."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from clothseg.config.section import TRAINABLE, Count, CountOrNone, Fraction, NonNegative, Positive, Section

HEADLINE_METRICS = ("mask_AP", "mask_AP50", "box_AP", "box_AP50", "report_mAP")
"""The metrics of an evaluation that training records and can monitor."""
OnNonfinite = Literal["stop", "skip"]
"""What happens if a loss is not finite: the run stops, or the step is skipped."""


class StageSettings(Section):
    """One stage of the training: what is trained, until which epoch, how fast."""

    trainable: Literal["heads", "5+", "4+", "3+", "2+", "all"]
    """`heads`: all but the backbone; `5+`, `4+`, `3+`, `2+`: the backbone from that stage on too; `all`: everything."""
    end_epoch: Count
    """The epoch that ends the stage."""
    learning_rate: Positive | None = None
    """Learning rate of the stage; null takes that of `train`."""

    @property
    def frozen_stages(self) -> int:
        """How many stages of the backbone are frozen."""
        return TRAINABLE[self.trainable]


class TrainSettings(Section):
    """The training loop."""

    epochs: Count = 12
    """Number of epochs."""
    stages: tuple[StageSettings, ...] = ()
    """Stages with their own trained layers and learning rate; without any, `backbone.frozen_stages` holds all along."""
    steps_per_epoch: Count | None = None
    """Steps of an epoch; null means that every photo is seen once."""
    batch_size: Count = 2
    """Photos in a batch, on each device."""
    devices: Count = 1
    """Number of GPUs, or of processes on a CPU."""
    grad_accumulation_steps: Count = 1
    """Batches whose gradients are added up for one step; takes the memory of one batch."""
    cuda_graphs: bool = True
    """Capture backbone and neck once and replay them, on one NVIDIA GPU with inputs of one size: the same numbers."""
    activation_checkpointing: bool = False
    """Keep only the inputs of the backbone's stages, compute the rest again: less memory, more time, same numbers."""
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    """Floating-point precision, in the words of Lightning Fabric; `auto` is bf16 mixed on a GPU that has it, or 32."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    """The optimizer."""
    learning_rate: Positive = 0.0025
    """Learning rate after the warm-up."""
    backbone_lr_scale: Positive = 1.0
    """Learning rate of the backbone relative to that of the heads."""
    momentum: Fraction = 0.9
    """Momentum of SGD."""
    weight_decay: NonNegative = 0.0001
    """Weight decay; norms and biases have none."""
    schedule: Literal["constant", "cosine", "poly"] = "cosine"
    """Learning rate after the warm-up of each stage: constant, or down to 0 along a cosine or a power (DeepLab's)."""
    poly_power: Positive = 0.9
    """Power of `schedule: poly`: the learning rate is that of the stage times (1 - steps done / steps)^power."""
    warmup_steps: CountOrNone = 100
    """Steps of linear warm-up at the start of each stage."""
    grad_clip_norm: Positive | None = None
    """Largest norm of the gradient; null does not clip."""
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Decay of the exponential moving average (EMA) of the weights, which is then validated and saved; 0 is off."""
    checkpoint_every_steps: Count | None = None
    """Write a checkpoint every N steps within an epoch; null writes one at the end of each epoch."""
    on_nonfinite: OnNonfinite = "stop"
    """Whether a loss or gradient that is not finite stops the run or skips the step."""
    feature_cache_mb: CountOrNone = 1000
    """Memory for outputs of frozen stages, in MB."""
    image_cache_mb: CountOrNone = 500
    """Memory for decoded photos, in MB."""
    workers: CountOrNone | Literal["auto"] = "auto"
    """Workers that load and augment the next photos; the result does not depend on them. auto: by device and cores."""
    worker_type: Literal["auto", "thread", "process"] = "auto"
    """Whether workers are threads or processes; auto: processes for a GPU, else threads."""
    evaluate_every: Count | None = None
    """Evaluate the validation photos every N epochs and after the last one; null never does."""
    monitor: str = "val_total"
    """What chooses the best epoch: `last`, a validation loss (`val_NAME`), or a metric such as `mask_AP50`."""
    patience: Count | None = None
    """End the training after N epochs of a stage without improvement; null never does."""
    lr_reference_batch: Count | None = None
    """Photos per step that the learning rate is meant for; other sizes scale it (SGD linearly, AdamW by the root)."""
    repeat_threshold: Fraction = 0.0
    """Classes on less than this fraction of the photos are repeated (LVIS's repeat factors); 0 is off."""
    empty_share: Fraction = 1.0
    """Largest part of the photos in the batches that show no object; if there are more, each comes less often."""
    seed: CountOrNone = 0
    """Seed of the weights, the order of photos, augmentation and sampling."""

    @model_validator(mode="after")
    def _stages_in_order(self) -> Self:
        ends = [stage.end_epoch for stage in self.stages]
        if ends and (sorted(set(ends)) != ends or ends[-1] != self.epochs):
            raise ValueError(
                f"stages end after epochs {ends}; each must end later than the one before, and the last one "
                f"with the {self.epochs} epochs"
            )
        return self

    @model_validator(mode="after")
    def _monitor_is_measured(self) -> Self:
        if self.monitor in HEADLINE_METRICS and self.evaluate_every is None:
            raise ValueError(f"monitor {self.monitor} comes from evaluations; set evaluate_every too")
        if self.monitor == "last" and self.patience is not None:
            raise ValueError("patience waits for a better epoch, but with monitor: last the last epoch is always best")
        return self
