"""Label maps: a picture whose values say what each pixel belongs to. Where instances overlap, the surer one wins."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from clothseg.files import atomic_file
from clothseg.instances import Instances
from clothseg.pictures.colours import Colour, class_colour

LabelMap = NDArray[np.uint16]


def class_map(instances: Instances) -> LabelMap:
    """`[H, W]`: the class id of each pixel; 0 is background."""
    return _painted(instances, instances.classes.tolist())


def instance_map(instances: Instances, numbers: list[int] | None = None) -> LabelMap:
    """`[H, W]`: the instance of each pixel by its number; 0 is background.

    Args:
        instances: on a photo of `[H, W]` pixels.
        numbers: of the instances, from 1 on; by default their places, the first one being 1.
    """
    return _painted(instances, numbers if numbers is not None else list(range(1, len(instances) + 1)))


def _painted(instances: Instances, values: list[int]) -> LabelMap:
    """The least sure instances first, so that surer ones cover them; of equal ones the first covers the others."""
    canvas = np.zeros(instances.size, dtype=np.uint16)
    order = instances.scores.argsort(descending=True, stable=True).flip(0).tolist()
    for position in order:
        mask = instances.masks.select(torch.tensor([position])).pixels()[0].cpu().numpy()
        canvas[mask] = values[position]
    return canvas


def class_palette(classes: int) -> list[Colour]:
    """The colours of the values of a class map of so many classes: black for background, then the classes' own."""
    return [(0, 0, 0), *(class_colour(class_id) for class_id in range(1, classes + 1))]


def instance_palette(class_ids: list[int]) -> list[Colour]:
    """The colours of the values of an instance map: of each one's class, paler with each further one of the class."""
    colours: list[Colour] = [(0, 0, 0)]
    for position, class_id in enumerate(class_ids):
        share = 0.75 ** class_ids[:position].count(class_id)
        red, green, blue = (round(share * value + (1 - share) * 255) for value in class_colour(class_id))
        colours.append((red, green, blue))
    return colours


def save_map(values: LabelMap, palette: list[Colour], path: Path) -> None:
    """Write a PNG: 8 bits with the palette's colours, which viewers show; 16 bits of grey where 8 do not hold them.

    `palette` has a colour for every value that there may be, also those that no pixel has: its length decides.
    """
    if len(palette) <= 256:
        picture = Image.fromarray(values.astype(np.uint8), mode="P")
        picture.putpalette([part for colour in palette for part in colour])
    else:
        picture = Image.fromarray(values)
    with atomic_file(path) as temporary:
        picture.save(temporary, format="PNG")
