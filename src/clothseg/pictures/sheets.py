"""Contact sheets: many pictures on one."""

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image

from clothseg.photos import RgbImage
from clothseg.pictures.lettering import Lettering

_INK = (60, 60, 60)


def contact_sheet(
    pictures: Sequence[RgbImage], columns: int = 4, captions: Sequence[str] = (), width: int = 1600
) -> RgbImage:
    """Places pictures side by side on white, row by row. Each is scaled to fit its cell.

    Args:
        pictures: `[H, W, 3]` uint8 arrays of any size.
        columns: pictures per row. Fewer pictures use fewer columns; the sheet keeps its width.
        captions: none, or one for each picture. It is written below the picture and cut if it is too long.
        width: of the sheet in pixels.

    Returns:
        `[H, width, 3]` uint8. A row is as high as its highest picture, at most twice the width of a cell.

    Raises:
        ValueError: there is no picture, the number of captions is wrong, or the columns do not fit the width.
    """
    if not pictures:
        raise ValueError("a contact sheet needs at least one picture")
    if captions and len(captions) != len(pictures):
        raise ValueError(f"{len(captions)} captions for {len(pictures)} pictures")
    columns = min(columns, len(pictures))
    gap = max(width // 100, 2)
    cell = (width - gap * (columns + 1)) // max(columns, 1)
    if columns < 1 or cell < 1:
        raise ValueError(f"{columns} columns do not fit a width of {width} pixels")
    shrunk = [_fit(picture, cell) for picture in pictures]
    letters = Lettering(max(cell / 18, 9))
    below = math.ceil(max(cell / 18, 9) * 1.6) if captions else 0
    rows = [shrunk[start : start + columns] for start in range(0, len(shrunk), columns)]
    heights = [max(picture.height for picture in row) for row in rows]
    sheet = Image.new("RGB", (width, sum(heights) + len(rows) * (below + gap) + gap), "white")
    y = gap
    for number, (row, height) in enumerate(zip(rows, heights, strict=True)):
        for column, picture in enumerate(row):
            x = gap + column * (cell + gap)
            sheet.paste(picture, (x + (cell - picture.width) // 2, y + height - picture.height))
            if captions:
                text = _shorten(captions[number * columns + column], letters, cell)
                letters.draw(sheet, (x + cell / 2, y + height + below / 2), text, _INK)
        y += height + below + gap
    return np.array(sheet)


def _fit(picture: RgbImage, cell: int) -> Image.Image:
    scale = min(cell / picture.shape[1], 2 * cell / picture.shape[0])
    size = max(round(picture.shape[1] * scale), 1), max(round(picture.shape[0] * scale), 1)
    return Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS)


def _shorten(text: str, letters: Lettering, width: int) -> str:
    if letters.length(text) <= width:
        return text
    while text and letters.length(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"
