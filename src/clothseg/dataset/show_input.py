"""Sheets with the network's input: photos after resizing, and augmented versions. Only they need torch."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from clothseg.config import Config, InputSettings
from clothseg.dataset.augment.preview import describe_augmentation, preview_augmentation, preview_versions
from clothseg.dataset.sheets import Cells, PhotoReader, Sheet, save_sheet
from clothseg.errors import DataError, PhotoError
from clothseg.networks import input_transform
from clothseg.networks.input import InputTransform
from clothseg.photos import RgbImage
from clothseg.pictures import draw_masks
from clothseg.progress import ProgressBar

_PADDING = 128  # grey


def input_sheets(
    folder: Path, reader: PhotoReader, photos: Sequence[int], config: Config, progress: ProgressBar, *, augment: bool
) -> list[Sheet | None]:
    """Writes `resized.png`, and `augmented.png` if `augment` is set.

    Args:
        folder: for the sheets.
        reader: of the dataset.
        photos: positions; a third of them is shown resized, half of them augmented.
        config: whose input and augmentation are shown.
        progress: wraps positions of photos, for a progress bar.
        augment: whether augmented versions are drawn too.
    """
    transform = input_transform(config)
    some = photos[: math.ceil(len(photos) / 3)]
    cells = _resized(reader, progress(some, len(some), "drawing the network's input"), transform)
    sheets = [save_sheet(folder, cells, _resized_sheet(transform.settings), 4)]
    if augment:
        some = photos[: math.ceil(len(photos) / 2)]
        cells = _augmented(reader, progress(some, len(some), "drawing augmented versions"), config, transform)
        sheet = Sheet("augmented.png", "Photos and augmented versions", describe_augmentation(config.augment))
        sheets.append(save_sheet(folder, cells, sheet, 1 + len(preview_versions(config.augment))))
    return sheets


def _resized(reader: PhotoReader, positions: Iterable[int], transform: InputTransform) -> Cells:
    """Four pictures for each photo: the photo and its masks, the network's input and the masks of that size."""
    cells: Cells = []
    for position in positions:
        try:
            photo, instances = reader.data.load_image(position), reader.data.load_instances(position)
        except (PhotoError, DataError) as error:
            reader.skip(position, error)
            continue
        masks = draw_masks(instances)
        small, small_masks = preview_input(photo, masks, transform)
        height, width = instances.size
        tall, wide = transform.resized(instances.size)
        padded = f", padded to {small.shape[1]} x {small.shape[0]}" if small.shape[:2] != (tall, wide) else ""
        cells += [(photo, f"{reader.name(position)}, {width} x {height}"), (masks, "masks")]
        cells += [(small, f"{wide} x {tall}{padded}"), (small_masks, "masks, resized")]
    return cells


def _augmented(reader: PhotoReader, positions: Iterable[int], config: Config, transform: InputTransform) -> Cells:
    """One row for each photo: the photo and augmented versions, each with the size of the network's input."""
    cells: Cells = []
    for position in positions:
        try:
            drawn = list(preview_augmentation(reader.data, position, config))
        except (PhotoError, DataError) as error:
            reader.skip(position, error)
            continue
        cells += [(preview_input(picture, picture, transform)[0], caption) for picture, caption in drawn]
    return cells


def preview_input(photo: RgbImage, masks: RgbImage, transform: InputTransform) -> tuple[RgbImage, RgbImage]:
    """Resizes and pads a photo and a picture of its masks, both `[H, W, 3]` uint8, as the network's input.

    The photo is interpolated linearly, masks take the nearest pixel. Padding is grey.
    """
    placement = transform.place((photo.shape[0], photo.shape[1]))
    planes = torch.from_numpy(photo).permute(2, 0, 1)[None].float()
    smooth = F.interpolate(planes, size=placement.size, mode="bilinear", align_corners=False)[0].round().to(torch.uint8)
    nearest = F.interpolate(torch.from_numpy(masks).permute(2, 0, 1)[None].float(), size=placement.size)[0].to(
        torch.uint8
    )
    answer = []
    for resized in (smooth, nearest):
        canvas = np.full((*placement.padded, 3), _PADDING, dtype=np.uint8)
        rows = slice(placement.top, placement.top + placement.height)
        columns = slice(placement.left, placement.left + placement.width)
        canvas[rows, columns] = resized.permute(1, 2, 0).numpy()
        answer.append(canvas)
    return answer[0], answer[1]


def _resized_sheet(settings: InputSettings) -> Sheet:
    if settings.resize == "fit":
        how = f"scaled to fit {settings.width} x {settings.height} (width x height) and padded (grey)"
    elif settings.resize == "stretch":
        how = f"scaled to {settings.width} x {settings.height} (width x height), whatever their ratio"
    elif settings.resize == "square":
        how = f"scaled and padded (grey) to a square of {settings.max_side}"
    else:
        how = f"scaled: short side {settings.min_side}, or less to keep the long side at most {settings.max_side}"
    return Sheet("resized.png", "Photos and the network's input", f"Each photo with its masks, then both {how}.")
