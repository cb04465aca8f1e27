"""Text in any script on pictures.

Pillow draws a line with one font, and a letter that it lacks as an empty box. So a line is cut into runs, each with the
first font that has its letters: Pillow's own, DejaVu Sans, the fonts of `fonts/`, then those of the system. A letter
that no font has is written as its number, so that two different names never look the same.
"""

import logging
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from clothseg.pictures.colours import Colour

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Run = tuple[Path | None, str]
"""The font (None: Pillow's own) and the letters that are drawn with it."""
_FOLDER = Path(__file__).with_name("fonts")
SHIPPED_FONTS = tuple(_FOLDER / name for name in ("DroidSansFallback-subset.ttf", "Hangul.ttf", "NotoEmoji.ttf"))
_NO_LETTER = "\U0010fffe"  # will never be a letter, so every font draws its empty box
_PROBE_SIZE = 24


class Lettering:
    """Measures and draws lines of text of one size in pixels."""

    def __init__(self, size: float) -> None:
        self.size = size

    def length(self, text: str) -> float:
        """The width of a line in pixels."""
        return sum(_font(path, self.size).getlength(part) for path, part in runs(text))

    def draw(self, picture: Image.Image, middle: tuple[float, float], text: str, colour: Colour) -> None:
        """Draws a line with its middle at x y."""
        drawing, line = ImageDraw.Draw(picture), runs(text)
        own = _font(None, self.size)
        if [path for path, _ in line] == [None]:
            drawing.text(middle, line[0][1], font=own, fill=colour, anchor="mm")
            return
        x = middle[0] - self.length(text) / 2
        up, down = own.getmetrics() if isinstance(own, ImageFont.FreeTypeFont) else (self.size, 0)
        for path, part in line:
            font = _font(path, self.size)
            drawing.text((x, middle[1] + (up - down) / 2), part, font=font, fill=colour, anchor="ls")
            x += font.getlength(part)


@lru_cache(maxsize=4096)
def runs(text: str) -> tuple[Run, ...]:
    """A line cut into runs of one font each. Letters without a font are written as `[U+0E01]`."""
    found: list[tuple[Path | None, str]] = []
    for letter in unicodedata.normalize("NFC", text):
        if unicodedata.category(letter) in {"Cf", "Cc"} or "\ufe00" <= letter <= "\ufe0f":
            continue  # invisible: direction, joining, form of an emoji
        if found and _has(found[-1][0], letter):
            found[-1] = (found[-1][0], found[-1][1] + letter)
            continue
        font, written = font_for(letter), letter
        if font is None and not _has(None, letter):
            written = f"[U+{ord(letter):04X}]"
        if found and found[-1][0] == font:
            found[-1] = (font, found[-1][1] + written)
        else:
            found.append((font, written))
    return tuple(found) or ((None, ""),)


@contextmanager
def plot_fonts(texts: Iterable[str]) -> Iterator[None]:
    """Within the context, matplotlib draws these texts; pass them through `readable` too. `$` is a letter."""
    import matplotlib as mpl  # noqa: PLC0415 - a tenth of a second and more
    from matplotlib import font_manager  # noqa: PLC0415

    families = ["DejaVu Sans"]
    for path in dict.fromkeys(font for text in texts for font, _ in runs(text)):
        if path not in {None, _dejavu()}:
            font_manager.fontManager.addfont(str(path))
            families.append(font_manager.FontProperties(fname=str(path)).get_name())
    log = logging.getLogger(font_manager.__name__)
    level = log.level
    log.setLevel(logging.ERROR)  # it warns about fonts without a bold face
    try:
        with mpl.rc_context({"font.family": families, "text.parse_math": False}):
            yield
    finally:
        log.setLevel(level)


def readable(text: str) -> str:
    """The text with the numbers of letters that no font has."""
    return "".join(part for _, part in runs(text))


def _fonts() -> Iterator[Path | None]:
    yield None
    if (dejavu := _dejavu()) is not None:
        yield dejavu
    yield from SHIPPED_FONTS
    yield from system_fonts()


@cache
def font_for(letter: str) -> Path | None:
    """The first font that has a letter; None if that is Pillow's own, or if none has it."""
    return next((font for font in _fonts() if _has(font, letter)), None)


@cache
def _dejavu() -> Path | None:
    """DejaVu Sans, which matplotlib brings; matplotlib itself is not imported."""
    spec = find_spec("matplotlib")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
        if path.is_file():
            return path
    return None


@cache
def system_fonts() -> Sequence[Path]:
    """The fonts of this system, those first whose purpose it is to have all letters."""
    from matplotlib import font_manager  # noqa: PLC0415 - a tenth of a second, and seldom needed

    paths = [Path(name) for name in font_manager.findSystemFonts()]
    return sorted(paths, key=lambda path: ("noto" not in path.name.lower(), path.name, str(path)))


@lru_cache(maxsize=64)
def _font(path: Path | None, size: float) -> Font:
    return ImageFont.load_default(size) if path is None else ImageFont.truetype(str(path), size)


@cache
def _has(path: Path | None, letter: str) -> bool:
    """Whether a font has a letter: it does not draw the empty box."""
    if letter == " " and path is None:
        return True
    try:
        font, pixels = _probe(path)
        return (tuple(font.getbbox(letter)), bytes(font.getmask(letter))) != pixels
    except (OSError, ValueError, SyntaxError):  # not a font that FreeType can draw at this size
        return False


@cache
def _probe(path: Path | None) -> tuple[Font, tuple[tuple[float, ...], bytes]]:
    """A font, and what it draws for a letter that it lacks."""
    font: Font = _font(path, _PROBE_SIZE)
    if path is not None:
        font = ImageFont.truetype(str(path), _PROBE_SIZE, layout_engine=ImageFont.Layout.BASIC)
    return font, (tuple(font.getbbox(_NO_LETTER)), bytes(font.getmask(_NO_LETTER)))
