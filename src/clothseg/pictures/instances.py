"""Draws instances on their photo: translucent masks with a sharp edge, boxes and labels.

The box of an object without a mask is dashed, and drawn even if other boxes are not.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clothseg.instances import ArrayInstances, one_pixels
from clothseg.photos import RgbImage, require_photo_of
from clothseg.pictures.colours import CROWD, Colour, class_colour
from clothseg.pictures.labels import Label, draw_labels

if TYPE_CHECKING:  # it needs torch
    from clothseg.instances import Instances

_CASING: Colour = (255, 255, 255)


def draw_instances(
    photo: RgbImage,
    instances: "Instances | ArrayInstances",
    names: Mapping[int, str] | Sequence[str],
    *,
    scores: bool = True,
    boxes: bool = True,
    labels: bool = True,
    fill: float = 0.38,
    colours: Callable[[int], Colour] = class_colour,
) -> RgbImage:
    """Draws masks, boxes and labels. Large instances are drawn first, so small ones stay visible.

    Crowds are grey with stripes and have no label. Lines and letters grow with the photo. Only pixels in a mask, on its
    edge, on a box's line and under a label change.

    Args:
        photo: `[H, W, 3]` uint8 RGB.
        instances: on this photo, of size (H, W).
        names: class names by id, or a sequence whose first name is class 1.
        scores: whether labels show scores.
        boxes: whether boxes are drawn.
        labels: whether labels are drawn.
        fill: opacity of masks in 0..1.
        colours: returns the colour of a class id.

    Returns:
        A new `[H, W, 3]` uint8 array.

    Raises:
        ValueError: the instances belong to a photo of another size.
    """
    require_photo_of(photo, instances.size)
    canvas = np.array(photo, dtype=np.uint8, copy=True, order="C")
    unit = math.sqrt(canvas.shape[0] * canvas.shape[1])
    line = max(unit / 240, 1.0)
    order = _drawing_order(instances)
    for position in order:
        if not instances.has_mask[position]:
            continue
        mask = one_pixels(instances.masks, position)
        crowd = bool(instances.crowd[position])
        colour = CROWD if crowd else colours(int(instances.classes[position]))
        _draw_mask(canvas, mask, colour, fill, line, hatched=crowd)
    rectangles = [_rectangle(box, canvas.shape[:2]) for box in instances.boxes.tolist()]
    named = [position for position in order if not instances.crowd[position]]
    for position in named:
        solid = bool(instances.has_mask[position])
        if boxes or not solid:
            colour, width = colours(int(instances.classes[position])), max(round(line * 0.6), 1)
            _draw_box(canvas, rectangles[position], colour, width, dash=0 if solid else max(round(line * 4), 4))
    if not labels:
        return canvas
    best_first = sorted(named, key=lambda p: -float(instances.scores[p]))
    picture = Image.fromarray(canvas)
    chips = [
        Label(_label_texts(instances, p, names, scores), rectangles[p], colours(int(instances.classes[p])))
        for p in best_first
    ]
    draw_labels(picture, chips, font_size=max(unit / 30, 9.0))
    return np.array(picture)


def _drawing_order(instances: "Instances | ArrayInstances") -> list[int]:
    """Positions sorted by the area of the box, largest first. Crowds come before all others."""
    areas = [max(x2 - x1, 0.0) * max(y2 - y1, 0.0) for x1, y1, x2, y2 in instances.boxes.tolist()]
    return sorted(range(len(instances)), key=lambda p: (not instances.crowd[p], -areas[p]))


def _label_texts(
    instances: "Instances | ArrayInstances", position: int, names: Mapping[int, str] | Sequence[str], scores: bool
) -> tuple[str, ...]:
    name = class_name(names, int(instances.classes[position]))
    return (f"{name} {float(instances.scores[position]):.2f}", name) if scores else (name,)


def class_name(names: Mapping[int, str] | Sequence[str], class_id: int) -> str:
    """The name of a class, or for example `class 7` if it has no name."""
    if isinstance(names, Mapping):
        return names.get(class_id, f"class {class_id}")
    return names[class_id - 1] if 1 <= class_id <= len(names) else f"class {class_id}"


def _rectangle(box: Sequence[float], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The corners of a box, rounded and clipped to the photo."""
    height, width = size
    xs = (min(max(round(v), 0), width) for v in (box[0], box[2]))
    ys = (min(max(round(v), 0), height) for v in (box[1], box[3]))
    (x1, x2), (y1, y2) = xs, ys
    return x1, y1, x2, y2


def _draw_mask(
    canvas: RgbImage, mask: NDArray[np.bool_], colour: Colour, fill: float, line: float, *, hatched: bool
) -> None:
    """Blends the colour into the part of the canvas around the mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) == 0:
        return
    margin = math.ceil(line) + 2
    part = np.s_[
        max(rows[0] - margin, 0) : rows[-1] + margin + 1,
        max(columns[0] - margin, 0) : columns[-1] + margin + 1,
    ]
    inside = mask[part].astype(np.float32) * fill
    if hatched:
        inside *= _stripes((inside.shape[0], inside.shape[1]), period=max(line * 6, 4.0))
    _blend(canvas[part], colour, inside)
    edges, _ = cv2.findContours(mask[part].astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    # The pale casing keeps the line visible on cloth of the same colour.
    _blend(canvas[part], _CASING, 0.55 * _strokes(edges, inside.shape, line * 1.9))
    _blend(canvas[part], colour, _strokes(edges, inside.shape, line))


def _blend(canvas: RgbImage, colour: Colour, opacity: NDArray[np.float32]) -> None:
    """Blends `colour` into `canvas` `[H, W, 3]`, with `opacity` `[H, W]` in 0..1."""
    share = opacity[..., None]
    canvas[:] = np.rint(canvas * (1 - share) + np.asarray(colour, np.float32) * share).astype(np.uint8)


def _strokes(edges: Sequence[NDArray[Any]], size: tuple[int, ...], line: float) -> NDArray[np.float32]:
    """The opacity of smooth lines of width `line` along closed `edges`: `[H, W]` in 0..1."""
    drawn = np.zeros(size, dtype=np.uint8)
    cv2.polylines(drawn, list(edges), isClosed=True, color=255, thickness=max(round(line), 1), lineType=cv2.LINE_AA)
    return drawn.astype(np.float32) / np.float32(255)


def _stripes(size: tuple[int, int], period: float) -> NDArray[np.float32]:
    """Diagonal stripes: `[H, W]`, 1 on half of each period, 0.35 on the other half."""
    y, x = np.ogrid[: size[0], : size[1]]
    return np.where((x + y) % period < period / 2, 1.0, 0.35).astype(np.float32)


def _draw_box(canvas: RgbImage, rectangle: tuple[int, int, int, int], colour: Colour, line: int, dash: int = 0) -> None:
    """Draws a frame of `line` pixels just inside the rectangle; in dashes of `dash` pixels if that is not 0."""
    x1, y1, x2, y2 = rectangle
    if x2 <= x1 or y2 <= y1:
        return
    across, down = min(line, x2 - x1), min(line, y2 - y1)
    columns, rows = (np.flatnonzero(np.arange(side) // max(dash, 1) % 2 == 0) if dash else np.arange(side)
                     for side in (x2 - x1, y2 - y1))  # fmt: skip
    canvas[y1 : y1 + down, x1 + columns] = colour
    canvas[y2 - down : y2, x1 + columns] = colour
    canvas[y1 + rows, x1 : x1 + across] = colour
    canvas[y1 + rows, x2 - across : x2] = colour
