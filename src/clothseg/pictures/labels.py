"""Label chips: places them on a picture and draws them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from clothseg.pictures.colours import Colour, text_colour
from clothseg.pictures.lettering import Lettering

Rectangle = tuple[int, int, int, int]
_SMALLEST_FONT = 8
_SMOOTH = 4  # chips are drawn this much larger and shrunk, for smooth corners


@dataclass(frozen=True)
class Label:
    """The text of a chip, and its preferred place: the top left corner of `anchor`, x1 y1 x2 y2 in pixels.

    `texts` are alternatives from long to short. The first that fits the picture is used.
    """

    texts: tuple[str, ...]
    anchor: Rectangle
    colour: Colour


@dataclass(frozen=True)
class _Chip:
    text: str
    letters: Lettering
    width: int
    height: int
    pad: int


def draw_labels(picture: Image.Image, labels: Sequence[Label], font_size: float) -> list[Rectangle]:
    """Draws chips on an RGB `picture`, in the given order. They stay inside the picture and do not overlap.

    A chip without a free place is not drawn.

    Returns:
        The rectangles of the drawn chips, x1 y1 x2 y2 with outer edges.
    """
    taken: list[Rectangle] = []
    for label in labels:
        chip = _fit(label.texts, font_size, picture.width, picture.height)
        place = None if chip is None else _free_place(chip, label.anchor, picture.size, taken)
        if chip is None or place is None:
            continue
        _draw(picture, chip, place, label.colour)
        taken.append((*place, place[0] + chip.width, place[1] + chip.height))
    return taken


def _fit(texts: Sequence[str], font_size: float, width: int, height: int) -> _Chip | None:
    """A chip with the longest text that fits, if necessary with smaller letters. The last text may be cut."""
    for text in texts:
        for size in (font_size, max(font_size * 0.75, _SMALLEST_FONT)):
            chip = _chip(text, size)
            if chip.width <= width and chip.height <= height:
                return chip
    cut = texts[-1]
    while len(cut) > 1:
        cut = cut[:-1]
        chip = _chip(f"{cut}…", _SMALLEST_FONT)
        if chip.width <= width and chip.height <= height:
            return chip
    return None


def _chip(text: str, size: float) -> _Chip:
    letters = Lettering(size)
    pad = max(round(size * 0.32), 2)
    return _Chip(text, letters, round(letters.length(text)) + 2 * pad, round(size * 1.12) + 2 * (pad // 2) + 1, pad)


def _free_place(
    chip: _Chip, anchor: Rectangle, size: tuple[int, int], taken: Sequence[Rectangle]
) -> tuple[int, int] | None:
    """The first preferred place that is free. None if no place is."""
    most_x, most_y = size[0] - chip.width, size[1] - chip.height
    for wanted_x, wanted_y in _preferred_places(chip, anchor, size):
        x, y = min(max(wanted_x, 0), most_x), min(max(wanted_y, 0), most_y)
        if not any(_overlap((x, y, x + chip.width, y + chip.height), other) for other in taken):
            return x, y
    return None


def _preferred_places(chip: _Chip, anchor: Rectangle, size: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Places above, inside and below the box, then along its left edge, then all over the picture."""
    left, top, right, bottom = anchor
    if top >= chip.height:
        yield left, top - chip.height
        yield right - chip.width, top - chip.height
    yield left, top
    yield right - chip.width, top
    yield left, bottom
    yield left, bottom - chip.height
    step = chip.height + 1
    columns = sorted(range(0, size[0], max(chip.width // 2, 1)), key=lambda x: abs(x - left))
    rows = sorted(range(0, size[1], step), key=lambda y: abs(y - top))
    for x in [left, *columns]:
        for y in rows:
            yield x, y


def _overlap(one: Rectangle, other: Rectangle) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _draw(picture: Image.Image, chip: _Chip, place: tuple[int, int], colour: Colour) -> None:
    large = Image.new("L", (chip.width * _SMOOTH, chip.height * _SMOOTH))
    edges = (0, 0, large.width - 1, large.height - 1)
    ImageDraw.Draw(large).rounded_rectangle(edges, radius=chip.height * _SMOOTH * 0.22, fill=255)
    picture.paste(
        colour, (*place, place[0] + chip.width, place[1] + chip.height), large.resize((chip.width, chip.height))
    )
    middle = (place[0] + chip.width / 2, place[1] + chip.height / 2)
    chip.letters.draw(picture, middle, chip.text, text_colour(colour))
