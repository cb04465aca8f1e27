"""Label maps: images whose values are class or instance numbers. Where instances overlap, the highest score wins."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clothseg.files import atomic_file
from clothseg.instances import ArrayInstances, one_pixels
from clothseg.pictures.colours import Colour, class_colour

if TYPE_CHECKING:  # it needs torch
    from clothseg.instances import Instances

LabelMap = NDArray[np.uint16]


def class_map(instances: "Instances | ArrayInstances") -> LabelMap:
    """The class id of each pixel: `[H, W]` uint16; 0 is background."""
    return _painted(instances, instances.classes.tolist())


def instance_map(instances: "Instances | ArrayInstances", numbers: list[int] | None = None) -> LabelMap:
    """The instance number of each pixel: `[H, W]` uint16; 0 is background.

    Args:
        instances: on a photo of `[H, W]` pixels.
        numbers: of the instances, from 1. Default: 1, 2, 3 and so on.
    """
    return _painted(instances, numbers if numbers is not None else list(range(1, len(instances) + 1)))


def _painted(instances: "Instances | ArrayInstances", values: list[int]) -> LabelMap:
    """Paints instances from the lowest score to the highest. Of equal scores, the first covers the others."""
    canvas = np.zeros(instances.size, dtype=np.uint16)
    scores = instances.scores.tolist()
    for position in sorted(range(len(scores)), key=lambda p: (scores[p], -p)):
        mask = one_pixels(instances.masks, position)
        canvas[mask] = values[position]
    return canvas


def class_palette(classes: int) -> list[Colour]:
    """The palette of a class map with `classes` classes: black for background, then the classes' colours."""
    return [(0, 0, 0), *(class_colour(class_id) for class_id in range(1, classes + 1))]


def instance_palette(class_ids: list[int]) -> list[Colour]:
    """The palette of an instance map: the class's colour, paler for each further instance of the same class."""
    colours: list[Colour] = [(0, 0, 0)]
    for position, class_id in enumerate(class_ids):
        share = 0.75 ** class_ids[:position].count(class_id)
        red, green, blue = (round(share * value + (1 - share) * 255) for value in class_colour(class_id))
        colours.append((red, green, blue))
    return colours


def save_map(values: LabelMap, palette: list[Colour], path: Path) -> None:
    """Writes a PNG: 8 bits with the palette's colours, or 16 bits of grey if the palette has more than 256 colours.

    `palette` has a colour for every possible value, also for values that no pixel has.
    """
    if len(palette) <= 256:
        picture = Image.fromarray(values.astype(np.uint8))
        picture.putpalette([part for colour in palette for part in colour])  # makes it a palette picture
    else:
        picture = Image.fromarray(values)
    with atomic_file(path) as temporary:
        picture.save(temporary, format="PNG")
