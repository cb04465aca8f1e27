"""A loss that is not finite: which photo it came from, and everything that is needed to look into it."""

import json
import math
from pathlib import Path

import torch
from PIL import Image

from clothseg.files import whole_file, write_whole
from clothseg.pictures import draw_instances
from clothseg.training.examples import Examples
from clothseg.training.team import alone


def is_broken(losses: dict[str, float]) -> bool:
    """Whether a loss is infinite or not a number."""
    return not all(math.isfinite(value) for value in losses.values())


def broken_losses(losses: dict[str, float]) -> list[str]:
    """Names of the losses that are not finite; `total`, which follows from them, only where it alone is broken."""
    names = [name for name, value in losses.items() if not math.isfinite(value)]
    return [name for name in names if name != "total"] or names


@torch.no_grad()
def find_culprits(examples: Examples, batch: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The examples of a batch whose losses are broken when each is alone; all of them where none is.

    The network's random numbers are left where they were.
    """
    state = examples.network.generator.get_state()
    with alone(examples.network):
        found = [
            place
            for place in batch
            if is_broken({name: float(loss) for name, loss in examples.losses([place]).items()})
        ]
    examples.network.generator.set_state(state)
    return found or batch


def save_fault(
    folder: Path, step: int, examples: Examples, batch: list[tuple[int, int]], losses: dict[str, float], rate: float
) -> str:
    """Write `step-N.json` and a picture of each suspected photo, as the network saw it, into `folder`.

    Returns:
        what happened, in words that name losses, photos, annotations and learning rate.
    """
    dataset = examples.dataset
    suspects = []
    for position, version in find_culprits(examples, batch):
        entry = dataset.images[position]
        image, truth = examples.load(position, version)
        picture = f"step-{step}-photo-{entry.id}.png"
        pixels = (image.nan_to_num().clamp(0, 1) * 255).byte().permute(1, 2, 0).cpu().numpy()
        with whole_file(folder / picture) as temporary:
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
    write_whole(folder / f"step-{step}.json", json.dumps(tree, indent=1))
    photos = "; ".join(f"{s['photo']} (annotations {s['annotations']})" for s in suspects)
    return (
        f"step {step}: the loss {', '.join(broken_losses(losses))} is not finite at learning rate {rate:.3g}; it can "
        f"come from {photos}. Pictures and numbers are in {folder}"
    )
