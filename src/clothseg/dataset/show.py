"""Pictures of a dataset: random photos with outlines, a sheet for each class, and the network's input."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clothseg.config import Config
from clothseg.counting import counted
from clothseg.dataset.coco import CocoLikeDataset
from clothseg.dataset.sheets import Cells, PhotoReader, Sheet, save_sheet
from clothseg.dataset.show_gallery import dataset_info, dataset_rows
from clothseg.errors import DataError
from clothseg.files import atomic_folder, atomic_write, require_outside_inputs
from clothseg.gallery import page_parts
from clothseg.gallery.data import Row
from clothseg.instances import decode
from clothseg.photos import RgbImage
from clothseg.pictures.embed import shrink
from clothseg.pictures.html import render_page
from clothseg.pictures.outlines import draw_lines, mask_contours
from clothseg.progress import ProgressBar, no_progress
from clothseg.suggestions import did_you_mean

MOST = 2000
"""Photos in the gallery."""
_CELL_AREA = 150_000  # pixels of every picture, so that lines have the same width on the sheet
_MARGIN = 0.15  # around an instance on the sheet of its class, as a part of its box's longer side


@dataclass(frozen=True)
class ShownDataset:
    """The result of `show_dataset`: the folder, its sheets, and the photos that could not be read, with the reason."""

    folder: Path
    sheets: tuple[Sheet, ...]
    unread: dict[str, str]


def show_dataset(
    data: CocoLikeDataset,
    out: Path,
    *,
    config: Config | None = None,
    augment: bool = False,
    count: int = 12,
    per_class: int = 24,
    most: int = MOST,
    classes: Sequence[str] = (),
    seed: int = 0,
    overwrite: bool = False,
    progress: ProgressBar = no_progress,
) -> ShownDataset:
    """Writes a folder with contact sheets and `index.html`.

    `overlays.png` has random photos with boxes as black and contours as white lines (the report's Figure 5); the box of
    an object without a mask is dashed. `class-1-suit.png` and so on have instances of each class with a margin.
    With a configuration, `resized.png` has photos and masks beside the network's input (Figures 3 and 4). `index.html`
    shows these, and a gallery of all photos. Without a configuration, torch is not needed.

    Args:
        data: after `prepare`.
        out: the folder to write.
        config: a configuration whose input is shown on `resized.png`. None: no such sheet.
        augment: whether `augmented.png` shows what the augmentation of `config` does.
        count: the number of photos on `overlays.png`. `resized.png` has a third of them.
        per_class: the maximum number of instances on the sheet of a class.
        most: the maximum number of photos in the gallery, random ones if there are more.
        classes: the names of the classes to show; all if empty.
        seed: a different seed selects other photos.
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
    reader = PhotoReader(data, {})
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
        overlays = _overlays(reader, progress(drawn, len(drawn), "drawing overlays"))
        sheets = [save_sheet(folder, overlays, _overlay_sheet(drawn, everywhere))]
        if config is not None:
            # torch takes seconds to import, and the other sheets do not need it
            from clothseg.dataset.show_input import input_sheets  # noqa: PLC0415

            sheets += input_sheets(folder, reader, drawn, config, progress, augment=augment)
        for number in shown:
            chosen = generator.permutation(of_class[number])[:per_class].tolist()
            drawing = progress(chosen, len(chosen), f"drawing {data.classes[number - 1]}")
            cells = _class_cells(reader, number, drawing, per_class)
            sheets.append(save_sheet(folder, cells, _class_sheet(data, number, len(cells), len(of_class[number]))))
        written = tuple(sheet for sheet in sheets if sheet is not None)
        if not written:
            raise DataError(f"none of the photos can be read: {next(iter(reader.unread.values()))}")
        seen = sorted(generator.permutation(len(data))[:most].tolist())
        rows = dataset_rows(reader, progress(seen, len(seen), "making the gallery"), folder, out)
        _write_index(folder, data, written, seed, rows)
    return ShownDataset(out, written, reader.unread)


def _positions(data: CocoLikeDataset, number: int) -> list[int]:
    wanted = data.source_class_id(number)
    return [p for p, entry in enumerate(data.images) if any(a["category_id"] == wanted for a in entry.annotations)]


def _overlays(reader: PhotoReader, positions: Iterable[int]) -> Cells:
    cells: Cells = []
    for position in positions:
        if (example := reader.read(position)) is not None:
            photo, objects = example
            masks = [decode(rle) for rle in objects.masks]
            cells.append((_outlined(photo, objects.boxes, masks, objects.has_mask), reader.name(position)))
    return cells


def _class_cells(reader: PhotoReader, number: int, positions: Iterable[int], most: int) -> Cells:
    cells: Cells = []
    for position in positions:
        example = reader.read(position) if len(cells) < most else None
        if example is None:
            continue
        photo, objects = example
        for index in np.flatnonzero(objects.classes == number)[: most - len(cells)]:
            what = ", crowd" if objects.crowd[index] else "" if objects.has_mask[index] else ", box only"
            part = _around(objects.boxes[index], objects.size)
            mask = decode(objects.masks[index])[part]
            box = objects.boxes[index] - np.tile([part[1].start, part[0].start], 2)
            drawn = _outlined(photo[part], box[None], [mask], objects.has_mask[[index]])
            cells.append((drawn, f"{reader.name(position)}{what}"))
    return cells


def _around(box: NDArray[np.float32], size: tuple[int, int]) -> tuple[slice, slice]:
    """The rows and columns of a box x1 y1 x2 y2 with a margin, inside a photo of `size`."""
    x1, y1, x2, y2 = box.tolist()
    margin = _MARGIN * max(x2 - x1, y2 - y1) + 4
    rows = slice(max(int(y1 - margin), 0), min(math.ceil(y2 + margin), size[0]))
    return rows, slice(max(int(x1 - margin), 0), min(math.ceil(x2 + margin), size[1]))


def _outlined(
    photo: RgbImage, boxes: NDArray[np.floating], masks: Sequence[NDArray[np.bool_]], has_mask: NDArray[np.bool_]
) -> RgbImage:
    """The photo `[H, W, 3]` at the size of a cell, with boxes x1 y1 x2 y2 and the contours of masks `[H, W]`."""
    small = shrink(photo, _CELL_AREA, grow=True)
    scale = np.array([small.shape[1] / photo.shape[1], small.shape[0] / photo.shape[0]])
    contours = [(edge + 0.5) * scale - 0.5 for mask in masks for edge in mask_contours(mask)]
    frames = [(left, top, right, bottom) for left, top, right, bottom in (boxes * np.tile(scale, 2)).tolist()]
    return draw_lines(small, frames, contours, dashed=(~has_mask).tolist())


def _overlay_sheet(drawn: Sequence[int], everywhere: Sequence[int]) -> Sheet:
    some = _some_of(len(drawn), len(everywhere), "photo with objects", "photos with objects")
    note = f"{some}. Boxes are black, dashed where an object has no mask; contours of masks are white."
    return Sheet("overlays.png", "Photos with their annotations", note)


def _class_sheet(data: CocoLikeDataset, number: int, cells: int, photos: int) -> Sheet:
    name = data.classes[number - 1]
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "class"
    wanted = data.source_class_id(number)
    instances = sum(a["category_id"] == wanted for entry in data.images for a in entry.annotations)
    note = f"{_some_of(cells, instances, 'instance')}. Photos with this class: {photos}."
    return Sheet(f"class-{number}-{slug}.png", name, note)


def _some_of(shown: int, total: int, noun: str, nouns: str = "") -> str:
    """How many of all are shown, and how they were selected; `nouns` is a plural that is not made with an s."""
    if shown == total:
        return f"All {counted(total, noun, nouns)}" if total > 1 else counted(total, noun, nouns)
    return f"{shown} of {counted(total, noun, nouns)}, selected at random"


def _write_index(folder: Path, data: CocoLikeDataset, sheets: Sequence[Sheet], seed: int, rows: list[Row]) -> None:
    annotations = sum(len(entry.annotations) for entry in data.images)
    title = f"{counted(len(data), 'photo')}, {counted(annotations, 'annotation')}"
    some = f"; the gallery has {counted(len(rows), 'photo')}" if len(rows) < len(data) else ""
    info = dataset_info(data, title, f"{data.source}, selected with seed {seed}{some}")
    parts = page_parts(info, rows)
    values: dict[str, Any] = {"info": info, "sheets": sheets, "parts": parts}
    atomic_write(folder / "index.html", render_page("dataset", "show.html.jinja", values))
