"""The page of a gallery: `index.html` with `gallery/data.js` beside it, or as a part of another page."""

import base64
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from clothseg.errors import ClothsegError
from clothseg.files import atomic_file, atomic_write
from clothseg.gallery.data import Row, data_text
from clothseg.gallery.entries import GalleryInfo
from clothseg.gallery.thumbnails import FOLDER
from clothseg.pictures.html import render_page

SHARED = ("base.css", "controls.css", "dom.js", "shapes.js", "zoom.js")
"""Files in `page/` that other pages use too."""
PAGE = "index.html"
DATA = f"{FOLDER}/data.js"
_STYLES = ("base.css", "controls.css", "gallery.css")
_SCRIPTS = ("dom.js", "shapes.js", "zoom.js", "entries.js", "grid.js", "lightbox.js", "start.js")
_OWN = re.compile(r"data\.js|\d{4,}-.+\.(jpg|webp)")
_IMPORT = re.compile(r"^import [^;]*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export ", re.MULTILINE)


@dataclass(frozen=True)
class GalleryParts:
    """The parts of a page with a gallery, as HTML that needs no escaping.

    Attributes:
        policy: the content of its Content-Security-Policy.
        style: CSS, of the whole page too.
        body: filters, cards, the large view, and the data if it is in the page.
        script: JavaScript, for the end of the body.
    """

    policy: str
    style: str
    body: str
    script: str


def write_gallery(folder: Path, info: GalleryInfo, rows: Iterable[Row]) -> None:
    """Writes `index.html` and `gallery/data.js`.

    Args:
        folder: also has the thumbnails, in `gallery/`.
        info: what the page says.
        rows: the entries as `data.entry_row` gives them; one is in memory at a time.
    """
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    with atomic_file(folder / DATA) as temporary, temporary.open("w", encoding="ascii", newline="\n") as file:
        file.write("globalThis.clothsegGallery = ")
        file.writelines(data_text(info, rows))
        file.write(";\n")
    page = render_page("gallery", "index.html.jinja", {"info": info, "parts": page_parts(info), "data": DATA})
    atomic_write(folder / PAGE, page)


def page_parts(info: GalleryInfo, rows: Iterable[Row] | None = None) -> GalleryParts:
    """The parts of a page with a gallery.

    Args:
        info: its classes, words and files.
        rows: the entries, for a page that has them in itself; None: it loads `gallery/data.js`.
    """
    script = _script()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    here = "" if rows is not None else " 'self' file:"
    policy = (
        "default-src 'none'; img-src 'self' file: data:; style-src 'unsafe-inline'; base-uri 'none'; "
        f"form-action 'none'; script-src 'sha256-{digest}'{here}"
    )
    values = {"info": info, "data": None if rows is None else "".join(data_text(info, rows))}
    body = render_page("gallery", "viewer.html.jinja", values)
    style = "".join(_file(name) for name in _STYLES)
    return GalleryParts(policy, style, body, f'<script type="module">{script}</script>')


def require_own_page(folder: Path) -> None:
    """Checks that a gallery would not replace another page.

    Raises:
        ClothsegError: the folder has an `index.html` of something else.
    """
    if (folder / PAGE).exists() and not (folder / DATA).is_file():
        raise ClothsegError(
            f"{folder / PAGE} exists and is no gallery of clothseg; choose another place, or leave the page out with "
            "--no-gallery"
        )


def clear_gallery(folder: Path) -> None:
    """Deletes the gallery in a folder: the page, its data and its thumbnails. Other files stay."""
    own = folder / FOLDER
    if not own.is_dir():
        return
    if (folder / DATA).is_file():
        (folder / PAGE).unlink(missing_ok=True)
    for path in list(own.iterdir()):
        if path.is_file() and _OWN.fullmatch(path.name):
            path.unlink()
    if not any(own.iterdir()):
        own.rmdir()


def _file(name: str) -> str:
    return (resources.files("clothseg.gallery") / "page" / name).read_text(encoding="utf-8")


@cache
def _script() -> str:
    """The modules as one, because a page in a folder cannot import files: browsers forbid it for `file:`."""
    return "".join(_EXPORT.sub("", _IMPORT.sub("", _file(name))) for name in _SCRIPTS)
