"""A data set to look at: random photos with their outlines, photos on the network's grid, a page for each class."""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from clothseg.config import Config, InputSettings
from clothseg.dataset.augment.preview import describe_augmentation, previews, versions
from clothseg.dataset.coco import CocoLikeDataset
from clothseg.errors import DataError, PhotoError
from clothseg.files import atomic_folder
from clothseg.instances import Instances, PixelMasks, resize_instances
from clothseg.networks.input import InputTransform
from clothseg.photos import RgbImage
from clothseg.pictures import contact_sheet, draw_masks, draw_outlines
from clothseg.pictures.embed import shrink
from clothseg.pictures.html import render_page

Progress = Callable[[Sequence[int], str], Iterable[int]]
_CELL_AREA = 150_000  # pixels that every picture is drawn at, so that lines are alike on the sheet
_PADDING = 128
_MARGIN = 0.15  # of an instance's box, around it on the page of its class


@dataclass(frozen=True)
class Sheet:
    """One picture of the folder: its file, what it is, and what to see on it."""

    file: str
    title: str
    note: str


@dataclass(frozen=True)
class Shown:
    """What was written, and photos that could not be shown, with the reason."""

    folder: Path
    sheets: tuple[Sheet, ...]
    unread: dict[str, str]


@dataclass
class _Reader:
    """Photos with their instances; those that cannot be read are kept account of."""

    data: CocoLikeDataset
    unread: dict[str, str]

    def read(self, position: int) -> tuple[RgbImage, Instances] | None:
        """`[H, W, 3]` and what is on it, or None."""
        try:
            return self.data.load_image(position), self.data.load_instances(position)
        except (PhotoError, DataError) as error:
            self.unread[self.data.images[position].path.name] = str(error)
            return None


def show_dataset(
    data: CocoLikeDataset,
    out: Path,
    *,
    transform: InputTransform,
    count: int = 12,
    per_class: int = 24,
    classes: Sequence[str] = (),
    seed: int = 0,
    augmented: Config | None = None,
    overwrite: bool = False,
    progress: Progress = lambda positions, _: positions,
) -> Shown:
    """Write a folder of contact sheets and their `index.html`.

    `overlays.png` has random photos with boxes as black and contours as white lines (the report's Figure 5),
    `resized.png` originals beside what the network gets, with masks (Figures 3 and 4), `class-1-suit.png` and so on
    instances of each class, cut out with a margin.

    Args:
        data: prepared.
        out: the folder.
        transform: how the network turns photos into its input.
        count: photos on `overlays.png`; `resized.png` has a third of them.
        per_class: instances on the page of a class, at most.
        classes: names to show; without any, all.
        seed: another one chooses other photos.
        augmented: a configuration whose augmentation is shown on `augmented.png`.
        overwrite: replace what is there.
        progress: wraps positions of photos and gets a word on what is done with them.

    Raises:
        DataError: a class is not in the data set, or no photo can be shown.
        ClothsegError: `out` exists and `overwrite` is not set.
    """
    unknown = [name for name in classes if name not in data.classes]
    if unknown:
        raise DataError(f"no class {', '.join(map(repr, unknown))} in the data set; it has {', '.join(data.classes)}")
    reader = _Reader(data, {})
    generator = np.random.default_rng(seed)
    shown = [number for number, name in enumerate(data.classes, 1) if not classes or name in classes]
    of_class = {number: _positions(data, number) for number in shown}
    everywhere = sorted({p for positions in of_class.values() for p in positions})
    if not everywhere:
        raise DataError(f"{data.source}: no photo shows {', '.join(classes) or 'any instance'}; nothing to look at")
    drawn = generator.permutation(everywhere)[:count].tolist()
    with atomic_folder(out, overwrite=overwrite) as folder:
        sheets = [
            _save(folder, _overlays(reader, progress(drawn, "Drawing overlays")), _overlay_sheet(drawn, everywhere)),
            _save(
                folder,
                _resized(reader, drawn[: math.ceil(count / 3)], transform),
                _resized_sheet(transform.settings),
                4,
            ),
        ]
        if augmented is not None:
            few = progress(drawn[: math.ceil(count / 2)], "Drawing augmented versions")
            sheet = Sheet("augmented.png", "What augmentation makes of them", describe_augmentation(augmented.augment))
            cells = _augmented(reader, few, augmented, transform)
            sheets.append(_save(folder, cells, sheet, 1 + len(versions(augmented.augment))))
        for number in shown:
            chosen = generator.permutation(of_class[number])[:per_class].tolist()
            cells = _class_cells(reader, number, progress(chosen, f"Drawing {data.classes[number - 1]}"), per_class)
            sheets.append(_save(folder, cells, _class_sheet(data, number, len(cells), len(of_class[number]))))
        written = tuple(sheet for sheet in sheets if sheet is not None)
        if not written:
            raise DataError(f"none of the photos can be read: {next(iter(reader.unread.values()))}")
        _write_index(folder, data, written, seed)
    return Shown(out, written, reader.unread)


def _positions(data: CocoLikeDataset, number: int) -> list[int]:
    wanted = data.source_class_id(number)
    return [p for p, entry in enumerate(data.images) if any(a["category_id"] == wanted for a in entry.annotations)]


Cells = list[tuple[RgbImage, str]]


def _overlays(reader: _Reader, positions: Iterable[int]) -> Cells:
    cells: Cells = []
    for position in positions:
        if (example := reader.read(position)) is not None:
            small = shrink(example[0], _CELL_AREA, grow=True)
            lines = draw_outlines(small, resize_instances(example[1], (small.shape[0], small.shape[1])))
            cells.append((lines, reader.data.images[position].path.name))
    return cells


def _resized(reader: _Reader, positions: Iterable[int], transform: InputTransform) -> Cells:
    """Four pictures a photo: as it is, its masks; as the network gets it, the masks on that grid."""
    cells: Cells = []
    for position in positions:
        if (example := reader.read(position)) is not None:
            photo, instances = example
            small, mask = preview_input(photo, draw_masks(instances), transform)
            height, width = instances.size
            name = reader.data.images[position].path.name
            tall, wide = transform.resized(instances.size)
            framed = f" in {small.shape[1]} x {small.shape[0]}" if small.shape[:2] != (tall, wide) else ""
            cells += [(photo, f"{name}, {width} x {height}"), (draw_masks(instances), "masks")]
            cells += [(small, f"resized to {wide} x {tall}{framed}"), (mask, "masks, resized")]
    return cells


def _augmented(reader: _Reader, positions: Iterable[int], config: Config, transform: InputTransform) -> Cells:
    """A row a photo: as it is, and changed versions, each on the network's grid."""
    cells: Cells = []
    for position in positions:
        try:
            drawn = list(previews(reader.data, position, config))
        except (PhotoError, DataError) as error:
            reader.unread[reader.data.images[position].path.name] = str(error)
            continue
        cells += [(preview_input(picture, picture, transform)[0], caption) for picture, caption in drawn]
    return cells


def preview_input(photo: RgbImage, masks: RgbImage, transform: InputTransform) -> tuple[RgbImage, RgbImage]:
    """A photo and a picture of its masks, both `[H, W, 3]`, resized and padded as the network's input.

    The photo is interpolated linearly, of masks the nearest pixel is taken; padding is grey.
    """
    at = transform.place((photo.shape[0], photo.shape[1]))
    planes = torch.from_numpy(photo).permute(2, 0, 1)[None].float()
    smooth = F.interpolate(planes, size=at.size, mode="bilinear", align_corners=False)[0].round().to(torch.uint8)
    nearest = F.interpolate(torch.from_numpy(masks).permute(2, 0, 1)[None].float(), size=at.size)[0].to(torch.uint8)
    answer = []
    for resized in (smooth, nearest):
        canvas = np.full((*at.padded, 3), _PADDING, dtype=np.uint8)
        canvas[at.top : at.top + at.height, at.left : at.left + at.width] = resized.permute(1, 2, 0).numpy()
        answer.append(canvas)
    return answer[0], answer[1]


def _class_cells(reader: _Reader, number: int, positions: Iterable[int], most: int) -> Cells:
    cells: Cells = []
    for position in positions:
        example = reader.read(position) if len(cells) < most else None
        if example is None:
            continue
        photo, instances = example
        for index in torch.where(instances.classes == number)[0][: most - len(cells)]:
            crowd = ", crowd" if bool(instances.crowd[index]) else ""
            name = f"{reader.data.images[position].path.name}{crowd}"
            cells.append((_cut_out(photo, instances[index[None]]), name))
    return cells


def _cut_out(photo: RgbImage, instance: Instances) -> RgbImage:
    """One instance with its outlines and a margin."""
    x1, y1, x2, y2 = instance.boxes[0].tolist()
    margin = _MARGIN * max(x2 - x1, y2 - y1) + 4
    left, top = max(int(x1 - margin), 0), max(int(y1 - margin), 0)
    right, bottom = min(math.ceil(x2 + margin), photo.shape[1]), min(math.ceil(y2 + margin), photo.shape[0])
    part = photo[top:bottom, left:right]
    mask = instance.masks.pixels()[:, top:bottom, left:right]
    box = instance.boxes - instance.boxes.new_tensor([left, top, left, top])
    size = (part.shape[0], part.shape[1])
    here = Instances(size, box, instance.classes, PixelMasks(mask), instance.scores, instance.crowd)
    small = shrink(part, _CELL_AREA, grow=True)
    return draw_outlines(small, resize_instances(here, (small.shape[0], small.shape[1])))


def _overlay_sheet(drawn: Sequence[int], everywhere: Sequence[int]) -> Sheet:
    note = f"{len(drawn)} of {len(everywhere)} photos at random. Boxes are black lines, contours of masks white ones."
    return Sheet("overlays.png", "Photos with their annotations", note)


def _resized_sheet(picture: InputSettings) -> Sheet:
    if picture.resize == "fit":
        how = f"scaled into {picture.width} x {picture.height} (width x height), the rest padded (grey here)"
    elif picture.resize == "square":
        how = f"padded (grey here) to a square of {picture.max_side}"
    else:
        how = f"the short side scaled to {picture.min_side}, or less where the long one would pass {picture.max_side}"
    return Sheet(
        "resized.png", "As they are, and as the network gets them", f"Beside each photo and its masks the same {how}."
    )


def _class_sheet(data: CocoLikeDataset, number: int, cells: int, photos: int) -> Sheet:
    name = data.classes[number - 1]
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "class"
    note = f"{cells} instances at random; {photos} photos show the class."
    return Sheet(f"class-{number}-{slug}.png", name, note)


def _save(folder: Path, cells: Cells, sheet: Sheet, columns: int = 6) -> Sheet | None:
    """Write one sheet; None where there is nothing on it."""
    if not cells:
        return None
    pictures, captions = zip(*cells, strict=True)
    Image.fromarray(contact_sheet(pictures, columns, captions)).save(folder / sheet.file)
    return sheet


def _write_index(folder: Path, data: CocoLikeDataset, sheets: Sequence[Sheet], seed: int) -> None:
    values: dict[str, Any] = {
        "source": data.source,
        "photos": len(data),
        "annotations": sum(len(entry.annotations) for entry in data.images),
        "sheets": sheets,
        "seed": seed,
    }
    (folder / "index.html").write_text(
        render_page("dataset", "show.html.jinja", values), encoding="utf-8", newline="\n"
    )
