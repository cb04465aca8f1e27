"""A loss or gradient that is not finite: which photo causes it, and what is saved for the analysis."""

import json
import math
from pathlib import Path

import torch
from PIL import Image

from clothseg.config import TrainSettings
from clothseg.dataset import Batch
from clothseg.distributed import DistributedContext, single_process
from clothseg.errors import RunError, SpoiledRun
from clothseg.files import atomic_file, atomic_write
from clothseg.networks import to_float
from clothseg.pictures import draw_instances
from clothseg.runs import RunFolder
from clothseg.training.examples import Examples
from clothseg.training.run_log import RunLog
from clothseg.training.step import GRADIENT, is_finite

OTHERS = 3
"""Photos outside the batch that decide whether the network has diverged."""
HOPELESS = 1000.0
"""A network with a larger total loss does not learn; an untrained one starts below 20."""


def nonfinite_losses(losses: dict[str, float]) -> str:
    """What is not finite, for people; `total`, which follows from the others, only if it alone is not."""
    names = [name for name, value in losses.items() if not math.isfinite(value)]
    names = [name for name in names if name != "total"] or names
    if names == [GRADIENT]:
        return "the gradient is"
    return f"the loss {names[0]} is" if len(names) == 1 else f"the losses {', '.join(names)} are"


@torch.no_grad()
def has_diverged(examples: Examples, batch: Batch) -> bool:
    """Whether the network itself has diverged, so that no photo of the batch is to blame.

    It has if a weight is not finite, or if all of some photos outside the batch have losses that are not finite or far
    too large. The network's random numbers do not change.
    """
    if not all(bool(value.isfinite().all()) for value in examples.network.state_dict().values()):
        return True
    own = {position for position, _ in batch}
    others = [position for position in range(len(examples.dataset)) if position not in own][:OTHERS]
    found = _losses_alone(examples, [(position, 0) for position in others])
    return bool(found) and all(not is_finite(losses) or losses["total"] > HOPELESS for losses in found)


@torch.no_grad()
def find_faulty_photos(examples: Examples, batch: Batch) -> Batch:
    """The examples of a batch whose losses alone are not finite; all of them if there are none.

    The network's random numbers do not change.
    """
    losses = _losses_alone(examples, batch)
    return [place for place, found in zip(batch, losses, strict=True) if not is_finite(found)] or batch


def _losses_alone(examples: Examples, places: Batch) -> list[dict[str, float]]:
    """The losses of each example by itself."""
    state = examples.network.generator.get_state()
    with single_process(examples.network):
        found = [{name: float(loss) for name, loss in examples.losses([place]).items()} for place in places]
    examples.network.generator.set_state(state)
    return found


def save_nonfinite_step(
    folder: Path, step: int, examples: Examples, batch: Batch, losses: dict[str, float], rate: float
) -> str:
    """Writes `step-N.json` and a picture of each suspected photo, as the network saw it, into `folder`.

    Args:
        folder: created if it does not exist.
        step: number of the step.
        examples: of the photos.
        batch: the examples that may be to blame; none if the network has diverged.
        losses: by name.
        rate: the learning rate.

    Returns:
        a message that names losses, photos, annotations and learning rate.
    """
    dataset = examples.dataset
    suspects = []
    for position, version in find_faulty_photos(examples, batch):
        entry = dataset.images[examples.photo_for(position, version)]
        image, truth = examples.load(position, version)
        picture = f"step-{step}-photo-{entry.id}.png"
        pixels = (to_float(image).nan_to_num().clamp(0, 1) * 255).byte().permute(1, 2, 0).cpu().numpy()
        with atomic_file(folder / picture) as temporary:
            Image.fromarray(draw_instances(pixels, truth, dataset.class_names[1:], scores=False)).save(
                temporary, format="PNG"
            )
        suspects.append(
            {
                "photo": str(entry.path),
                "image_id": entry.id,
                "version": version,
                "annotations": [a.get("id") for a in entry.annotations],
                "picture": picture,
            }
        )
    tree = {
        "step": step,
        "learning_rate": rate,
        "losses": {name: value if math.isfinite(value) else str(value) for name, value in losses.items()},
        "suspects": suspects,
    }
    atomic_write(folder / f"step-{step}.json", json.dumps(tree, indent=1))
    message = f"step {step}: {nonfinite_losses(losses)} not finite at learning rate {rate:.3g}"
    if not suspects:
        return (
            f"{message}, on other photos too: the network has diverged, no photo is to blame. Details are in {folder}"
        )
    photos = "; ".join(f"{s['photo']} (annotations {s['annotations']})" for s in suspects)
    return f"{message}; possible causes: {photos}. Pictures and details are in {folder}"


def handle_nonfinite(
    examples: Examples,
    batch: Batch,
    losses: dict[str, float],
    learning_rate: float,
    step: int,
    settings: TrainSettings,
    run: RunFolder,
    log: RunLog,
    distributed: DistributedContext,
) -> None:
    """Saves what is known of a loss or gradient that is not finite, and logs it. The weights were not changed.

    Args:
        examples: of the photos.
        batch: the examples that may be to blame.
        losses: by name.
        learning_rate: of the step.
        step: number of the step.
        settings: `on_nonfinite` says whether to stop or to skip the step.
        run: where to write.
        log: where to report.
        distributed: the ranks that learn together.

    Raises:
        SpoiledRun: the network has diverged, so continuing would not help.
        RunError: unless `train.on_nonfinite` is `skip`.
    """
    message = ""
    diverged = distributed.any(distributed.is_first and has_diverged(examples, batch))
    if distributed.is_first:
        suspects = [] if diverged else batch
        message = save_nonfinite_step(run.nonfinite, step, examples, suspects, losses, learning_rate)
    log.info(message, shown=settings.on_nonfinite == "skip" and not diverged)
    if diverged:
        distributed.end_others()
        raise SpoiledRun(
            f"{message}. --resume would only repeat it: start again (--overwrite) with a smaller train.learning_rate, "
            "a longer train.warmup_steps or a smaller train.grad_clip_norm"
        )
    if settings.on_nonfinite == "stop":
        distributed.end_others()
        raise RunError(
            f"{message}. A smaller train.learning_rate or train.grad_clip_norm may help; --on-nonfinite skip leaves "
            "such steps out"
        )
