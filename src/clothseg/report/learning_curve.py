"""How much more photos would help: trains on nested parts of the labelled photos and extrapolates."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from clothseg.changed_work import changed_settings, named_settings
from clothseg.config import Config
from clothseg.counting import counted
from clothseg.dataset import CocoLikeDataset
from clothseg.dataset.nested_subsets import PARTS, PLAN, nested_subsets, part_sizes
from clothseg.devices import AUTO
from clothseg.errors import DataError, RunError
from clothseg.evaluation import coco, truth_of
from clothseg.evaluation.evaluate import missing_note
from clothseg.evaluation.intervals import Resampler, draws, percentile_interval
from clothseg.evaluation.power_law import Extrapolation, extrapolate
from clothseg.evaluation.stored import checked_results
from clothseg.evaluation.truth import GroundTruth
from clothseg.evaluation.validate_results import validate_results
from clothseg.evaluation.values import Interval
from clothseg.files import atomic_write, read_json
from clothseg.instances import CocoResult
from clothseg.journal import folder_lock
from clothseg.models import Model
from clothseg.progress import ProgressBar, no_progress
from clothseg.report.learning_curve_page import write_learning_curve_page
from clothseg.runs import RunFolder, refuse_data_set

RESAMPLES = 300
AGAIN = "the same clothseg learning-curve, with --resume"
"""What continues a curve that stopped, for messages."""


@dataclass(frozen=True)
class CurvePoint:
    """A training on a part of the photos: their number, the objects of each class on them, and the metric in 0..1."""

    photos: int
    objects: dict[str, int]
    value: float
    interval: Interval | None


@dataclass(frozen=True)
class LearningCurve:
    """A metric against the number of training photos.

    Attributes:
        metric: `mask_AP`, or `box_AP` if there are no masks.
        points: one for each part, the smallest first.
        extrapolation: to twice as many photos.
        val_photos: number of validation photos.
        steps: training steps, the same for all parts.
    """

    metric: str
    points: tuple[CurvePoint, ...]
    extrapolation: Extrapolation
    val_photos: int
    steps: int

    def sentence(self) -> str:
        """What the curve says, in one or two sentences."""
        last, more = self.points[-1], self.extrapolation
        name = self.metric.replace("_", " ")
        if more.value is None:
            return (
                f"{name} {100 * last.value:.1f} with {counted(last.photos, 'photo')}; no extrapolation: {more.reason}."
            )
        between = (
            f" [{100 * more.interval.low:.1f}, {100 * more.interval.high:.1f}]"
            if more.interval
            else f" ({more.reason})"
        )
        return (
            f"{name} {100 * last.value:.1f} with {counted(last.photos, 'photo')}; with {more.photos}, expect about "
            f"{100 * more.value:.1f}{between}."
        )


def learning_curve(
    train: CocoLikeDataset,
    val: CocoLikeDataset,
    config: Config,
    out: Path,
    *,
    parts: Sequence[str] = PARTS,
    seed: int = 0,
    resume: bool = False,
    quiet: bool = False,
    device: str | torch.device = AUTO,
    progress: ProgressBar = no_progress,
    unread: list[str] | None = None,
) -> LearningCurve:
    """Trains on nested, stratified parts of the photos with the same number of steps, and draws the metric.

    Writes a run for each part (`photos-0034`), `learning-curve.json`, `learning-curve.png` and `learning-curve.html`.

    Args:
        train, val: prepared datasets.
        config: settings of the trainings.
        out: the folder.
        parts: of the photos, as fractions such as `1/8`, or as numbers of photos above 1. Of the default ones those
            with fewer photos than a batch are left out.
        seed: which photos are in a part. The seed of the trainings is `train.seed`.
        resume: continue in `out`, where parts may be trained already.
        quiet: show no progress bar of the trainings.
        device: see `devices.resolve_device`.
        progress: wraps the validation photos, for a progress bar.
        unread: receives a message for each photo that cannot be read any more. Objects on validation photos count as
            missed.

    Raises:
        UnreadPhotosError: validation photos cannot be read any more, and `unread` is not given.
        ConfigError: `parts` are not fractions or numbers of photos.
        DataError: a part has no photo, or fewer than a batch.
        RunError: `out` was begun with other settings or photos, or is a dataset.
        ClothsegError: another command is writing to `out`, or see `Model.fit`.
    """
    refuse_data_set(RunFolder(out))
    sizes = part_sizes(parts, len(train))
    if tuple(parts) == PARTS:
        sizes = [size for size in sizes if size >= config.train.batch_size] or sizes[-1:]
    if sizes[0] < config.train.batch_size:
        raise DataError(
            f"the smallest part has {sizes[0]} photos, fewer than train.batch_size {config.train.batch_size}; use "
            "larger parts, or --set train.batch_size=1"
        )
    labels = {entry.id: {str(a["category_id"]) for a in entry.annotations} for entry in train.images}
    subsets = [train.only(ids) for ids in nested_subsets(labels, sizes, seed)]
    config = same_steps(config, len(train))
    with folder_lock(out):
        left_out = {"train": train.left_out, "val": val.left_out}
        _check_plan(out / PLAN, config, subsets, left_out, resume=resume)
        truth = truth_of(val)
        rows = []
        for subset in subsets:
            run = RunFolder(out / f"photos-{len(subset):04d}")
            rows.append(_train_part(subset, val, config, run, unread, quiet=quiet, device=device, progress=progress))
            if unread is not None:
                unread += map(str, run.read_facts().get("lost", []))
        curve = make_curve(truth, rows, subsets, math.ceil(config.train.epochs * (config.train.steps_per_epoch or 0)))
        atomic_write(out / "learning-curve.json", json.dumps(asdict(curve), indent=1))
        write_learning_curve_page(curve.metric, asdict(curve), curve.sentence(), out)
    return curve


def same_steps(config: Config, photos: int) -> Config:
    """The settings with `train.steps_per_epoch` set, so that parts are trained for as many steps as all photos."""
    if config.train.steps_per_epoch:
        return config
    together = config.train.batch_size * config.train.devices * config.train.grad_accumulation_steps
    return config.changed("train", steps_per_epoch=math.ceil(photos / together))


def _check_plan(
    path: Path,
    config: Config,
    subsets: Sequence[CocoLikeDataset],
    left_out: Mapping[str, Mapping[int, str]],
    *,
    resume: bool,
) -> None:
    """Writes what the trainings depend on and deletes earlier trainings; or compares it with what is there.

    Raises:
        RunError: it is different.
    """
    plan = {"config": config.to_yaml(), "parts": [sorted(entry.id for entry in one.images) for one in subsets]}
    if resume and path.is_file():
        try:
            known = read_json(path)
        except (OSError, ValueError) as error:
            raise RunError(f"{path}: cannot be read ({error}); begin again with --overwrite") from error
        if changed := [name for name in plan if not isinstance(known, dict) or known.get(name) != plan[name]]:
            which = changed_settings(_settings(known), _settings(plan))
            raise RunError(
                f"{path.parent} was begun with different values of {' and '.join(changed)}{which}; repeat the options "
                "of the first call, or begin again with --overwrite"
            )
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    for old in path.parent.glob("photos-*"):
        RunFolder(old).clear()
    atomic_write(path, json.dumps(plan | {"left_out": left_out}))


def _settings(plan: object) -> dict[str, str]:
    """The settings in a plan as text by name; empty if they cannot be read."""
    try:
        values = yaml.safe_load(str(plan["config"])) if isinstance(plan, dict) else None
    except (KeyError, yaml.YAMLError):
        return {}
    return named_settings(None, values) if isinstance(values, dict) else {}


def _train_part(
    subset: CocoLikeDataset,
    val: CocoLikeDataset,
    config: Config,
    run: RunFolder,
    unread: list[str] | None,
    *,
    quiet: bool,
    device: str | torch.device,
    progress: ProgressBar,
) -> Sequence[CocoResult]:
    """The detections after training on one part: those of `predictions.json`, if it was trained before."""
    if run.predictions.is_file():
        return checked_results(run.predictions, truth_of(val))
    begun = run.last.is_file()
    model = Model(config).build(subset.classes)
    if not begun:
        model.load_weights()
    model.fit(subset, val, run.path, resume=begun, overwrite=not begun, quiet=quiet, device=device, again=AGAIN)
    found = progress(model.predict_dataset(val, unread), len(val), f"evaluating {run.path.name}")
    rows = [row for of_photo in found for row in of_photo]
    atomic_write(run.predictions, json.dumps(rows))
    return rows


def make_curve(
    truth: GroundTruth, rows: Sequence[Sequence[CocoResult]], subsets: Sequence[CocoLikeDataset], steps: int
) -> LearningCurve:
    """The curve of networks that learned from nested parts of the photos.

    Args:
        truth: of the validation photos.
        rows: for each part the results on these photos.
        subsets: the parts, the smallest first.
        steps: of each training.
    """
    checked = [validate_results(part, truth)[0] for part in rows]
    kind = "box" if any(missing_note("mask", truth, part) for part in checked) else "mask"
    resamplers = [Resampler(list(coco.matches(truth, part, kind).values())) for part in checked]

    def metric(counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """`[S, N]`: of each part's network, if photo p counts `counts[s, p]` times."""
        return np.stack([resampler.average_precision(counts).mean(axis=1) for resampler in resamplers], axis=1)

    values = metric(np.ones((1, len(truth.photos)), dtype=np.int64))[0].tolist()
    resampled = np.concatenate([metric(counts) for counts in draws(len(truth.photos), RESAMPLES, 0)])
    photos = [len(subset) for subset in subsets]
    points = tuple(
        CurvePoint(len(subset), _objects(subset), value, percentile_interval(resampled[:, n], 0.95, 0))
        for n, (subset, value) in enumerate(zip(subsets, values, strict=True))
    )
    more = extrapolate(photos, values, resampled, 2 * photos[-1])
    return LearningCurve(f"{kind}_AP", points, more, len(truth.photos), steps)


def _objects(dataset: CocoLikeDataset) -> dict[str, int]:
    """The number of objects by class name."""
    return {dataset.classes[class_id - 1]: count for class_id, count in dataset.count_objects().items()}
