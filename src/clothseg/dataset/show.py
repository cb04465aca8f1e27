"""Pictures of a dataset: random photos with outlines, the network's input, and a sheet for each class."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from clothseg.config import Config, InputSettings
from clothseg.dataset.augment.preview import describe_augmentation, preview_augmentation, preview_versions
from clothseg.dataset.coco import CocoLikeDataset
from clothseg.dataset.show_gallery import dataset_info, dataset_rows
from clothseg.errors import DataError, PhotoError
from clothseg.files import atomic_folder, atomic_write, require_outside_inputs
from clothseg.gallery import page_parts
from clothseg.gallery.data import Row
from clothseg.instances import Instances, PixelMasks, resize_instances
from clothseg.networks.input import InputTransform
from clothseg.photos import RgbImage
from clothseg.pictures import contact_sheet, draw_masks, draw_outlines
from clothseg.pictures.embed import shrink
from clothseg.pictures.html import render_page
from clothseg.progress import ProgressBar, no_progress
from clothseg.suggestions import did_you_mean

Cells = list[tuple[RgbImage, str]]
"""The pictures of a sheet, `[H, W, 3]` uint8, with their captions."""
MOST = 2000
"""Photos in the gallery."""
_CELL_AREA = 150_000  # pixels of every picture, so that lines have the same width on the sheet
_PADDING = 128  # grey
_MARGIN = 0.15  # around an instance on the sheet of its class, as a part of its box's longer side


@dataclass(frozen=True)
class Sheet:
    """One picture in the folder: its file name, title and description."""

    file: str
    title: str
    note: str


@dataclass(frozen=True)
class ShownDataset:
    """The result of `show_dataset`: the folder, its sheets, and the photos that could not be read, with the reason."""

    folder: Path
    sheets: tuple[Sheet, ...]
    unread: dict[str, str]


@dataclass
class _Reader:
    """Reads photos with their instances, and collects those that cannot be read."""

    data: CocoLikeDataset
    unread: dict[str, str]

    def read(self, position: int) -> tuple[RgbImage, Instances] | None:
        """A photo `[H, W, 3]` and its instances, or None if it cannot be read."""
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
    most: int = MOST,
    classes: Sequence[str] = (),
    seed: int = 0,
    augmented: Config | None = None,
    overwrite: bool = False,
    progress: ProgressBar = no_progress,
) -> ShownDataset:
    """Writes a folder with contact sheets and `index.html`.

    `overlays.png` has random photos with boxes as black and contours as white lines (the report's Figure 5); the box of
    an object without a mask is dashed.
    `resized.png` has photos and masks beside the network's input (Figures 3 and 4). `class-1-suit.png` and so on have
    instances of each class, cut out with a margin. `index.html` shows these, and a gallery of all photos.

    Args:
        data: after `prepare`.
        out: the folder to write.
        transform: converts photos to the network's input.
        count: the number of photos on `overlays.png`. `resized.png` has a third of them.
        per_class: the maximum number of instances on the sheet of a class.
        most: the maximum number of photos in the gallery, random ones if there are more.
        classes: the names of the classes to show; all if empty.
        seed: a different seed selects other photos.
        augmented: a configuration whose augmentation is shown on `augmented.png`. None: no such sheet.
        overwrite: whether `out` may be replaced.
        progress: wraps positions of photos, for a progress bar.

    Raises:
        DataError: a class is not in the dataset, or no photo can be shown.
        ClothsegError: `out` exists and `overwrite` is not set, or it contains the dataset.
    """
    unknown = [name for name in classes if name not in data.classes]
    if unknown:
        hint = did_you_mean(unknown[0], data.classes, otherwise="it has")
        raise DataError(f"no class {', '.join(map(repr, unknown))} in the dataset; {hint}")
    photos = [entry.path for entry in data.images]
    require_outside_inputs(out, [data.source, *photos] if data.source else photos, allow_inside=True)
    reader = _Reader(data, {})
    generator = np.random.default_rng(seed)
    shown = [number for number, name in enumerate(data.classes, 1) if not classes or name in classes]
    of_class = {number: _positions(data, number) for number in shown}
    everywhere = sorted({p for positions in of_class.values() for p in positions})
    if not everywhere:
        raise DataError(
            f"{data.source}: no photo has an instance{' of ' + ', '.join(classes) if classes else ''}; nothing to show"
        )
    drawn = generator.permutation(everywhere)[:count].tolist()
    with atomic_folder(out, overwrite=overwrite) as folder:
        sheets = [
            _save(
                folder,
                _overlays(reader, progress(drawn, len(drawn), "drawing overlays")),
                _overlay_sheet(drawn, everywhere),
            ),
            _save(
                folder,
                _resized(reader, drawn[: math.ceil(count / 3)], transform),
                _resized_sheet(transform.settings),
                4,
            ),
        ]
        if augmented is not None:
            few = drawn[: math.ceil(count / 2)]
            sheet = Sheet("augmented.png", "Photos and augmented versions", describe_augmentation(augmented.augment))
            cells = _augmented(reader, progress(few, len(few), "drawing augmented versions"), augmented, transform)
            sheets.append(_save(folder, cells, sheet, 1 + len(preview_versions(augmented.augment))))
        for number in shown:
            chosen = generator.permutation(of_class[number])[:per_class].tolist()
            drawing = progress(chosen, len(chosen), f"drawing {data.classes[number - 1]}")
            cells = _class_cells(reader, number, drawing, per_class)
            sheets.append(_save(folder, cells, _class_sheet(data, number, len(cells), len(of_class[number]))))
        written = tuple(sheet for sheet in sheets if sheet is not None)
        if not written:
            raise DataError(f"none of the photos can be read: {next(iter(reader.unread.values()))}")
        seen = sorted(generator.permutation(len(data))[:most].tolist())
        rows = dataset_rows(data, progress(seen, len(seen), "making the gallery"), folder, out, reader.unread)
        _write_index(folder, data, written, seed, rows)
    return ShownDataset(out, written, reader.unread)


def _positions(data: CocoLikeDataset, number: int) -> list[int]:
    wanted = data.source_class_id(number)
    return [p for p, entry in enumerate(data.images) if any(a["category_id"] == wanted for a in entry.annotations)]


def _overlays(reader: _Reader, positions: Iterable[int]) -> Cells:
    cells: Cells = []
    for position in positions:
        if (example := reader.read(position)) is not None:
            small = shrink(example[0], _CELL_AREA, grow=True)
            lines = draw_outlines(small, resize_instances(example[1], (small.shape[0], small.shape[1])))
            cells.append((lines, reader.data.images[position].path.name))
    return cells


def _resized(reader: _Reader, positions: Iterable[int], transform: InputTransform) -> Cells:
    """Four pictures for each photo: the photo and its masks, the network's input and the masks of that size."""
    cells: Cells = []
    for position in positions:
        if (example := reader.read(position)) is not None:
            photo, instances = example
            small, mask = preview_input(photo, draw_masks(instances), transform)
            height, width = instances.size
            name = reader.data.images[position].path.name
            tall, wide = transform.resized(instances.size)
            padded = f", padded to {small.shape[1]} x {small.shape[0]}" if small.shape[:2] != (tall, wide) else ""
            cells += [(photo, f"{name}, {width} x {height}"), (draw_masks(instances), "masks")]
            cells += [(small, f"resized to {wide} x {tall}{padded}"), (mask, "masks, resized")]
    return cells


def _augmented(reader: _Reader, positions: Iterable[int], config: Config, transform: InputTransform) -> Cells:
    """One row for each photo: the photo and augmented versions, each with the size of the network's input."""
    cells: Cells = []
    for position in positions:
        try:
            drawn = list(preview_augmentation(reader.data, position, config))
        except (PhotoError, DataError) as error:
            reader.unread[reader.data.images[position].path.name] = str(error)
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


def _class_cells(reader: _Reader, number: int, positions: Iterable[int], most: int) -> Cells:
    cells: Cells = []
    for position in positions:
        example = reader.read(position) if len(cells) < most else None
        if example is None:
            continue
        photo, instances = example
        for index in torch.where(instances.classes == number)[0][: most - len(cells)]:
            what = ", crowd" if instances.crowd[index] else "" if instances.has_mask[index] else ", box only"
            name = f"{reader.data.images[position].path.name}{what}"
            cells.append((_cut_out(photo, instances[index[None]]), name))
    return cells


def _cut_out(photo: RgbImage, instance: Instances) -> RgbImage:
    """One instance with its outlines and a margin around it."""
    x1, y1, x2, y2 = instance.boxes[0].tolist()
    margin = _MARGIN * max(x2 - x1, y2 - y1) + 4
    left, top = max(int(x1 - margin), 0), max(int(y1 - margin), 0)
    right, bottom = min(math.ceil(x2 + margin), photo.shape[1]), min(math.ceil(y2 + margin), photo.shape[0])
    part = photo[top:bottom, left:right]
    mask = instance.masks.pixels()[:, top:bottom, left:right]
    box = instance.boxes - instance.boxes.new_tensor([left, top, left, top])
    size = (part.shape[0], part.shape[1])
    here = replace(instance, size=size, boxes=box, masks=PixelMasks(mask))
    small = shrink(part, _CELL_AREA, grow=True)
    return draw_outlines(small, resize_instances(here, (small.shape[0], small.shape[1])))


def _overlay_sheet(drawn: Sequence[int], everywhere: Sequence[int]) -> Sheet:
    note = (
        f"{len(drawn)} of {len(everywhere)} photos, selected at random. Boxes are black, dashed where an object has no "
        "mask; contours of masks are white."
    )
    return Sheet("overlays.png", "Photos with their annotations", note)


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


def _class_sheet(data: CocoLikeDataset, number: int, cells: int, photos: int) -> Sheet:
    name = data.classes[number - 1]
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "class"
    note = f"{cells} instances, selected at random. {photos} photos have this class."
    return Sheet(f"class-{number}-{slug}.png", name, note)


def _save(folder: Path, cells: Cells, sheet: Sheet, columns: int = 6) -> Sheet | None:
    """Writes one sheet. Returns None if it has no pictures."""
    if not cells:
        return None
    pictures, captions = zip(*cells, strict=True)
    Image.fromarray(contact_sheet(pictures, columns, captions)).save(folder / sheet.file)
    return sheet


def _write_index(folder: Path, data: CocoLikeDataset, sheets: Sequence[Sheet], seed: int, rows: list[Row]) -> None:
    annotations = sum(len(entry.annotations) for entry in data.images)
    title = f"{len(data)} photos, {annotations} annotations"
    some = f"; the gallery has {len(rows)} photos" if len(rows) < len(data) else ""
    info = dataset_info(data, title, f"{data.source}, selected with seed {seed}{some}")
    parts = page_parts(info, rows)
    values: dict[str, Any] = {"info": info, "sheets": sheets, "parts": parts}
    atomic_write(folder / "index.html", render_page("dataset", "show.html.jinja", values))
