"""What a gallery shows."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from clothseg.pictures.colours import class_colour


class Link(NamedTuple):
    """A file beside the page: what the reader sees, and its address."""

    text: str
    address: str


class GalleryClass(NamedTuple):
    """A class: its name, its colour `#rrggbb`, and the score from which its objects are shown at first."""

    name: str
    colour: str
    score_threshold: float = 0.0


@dataclass(frozen=True)
class GalleryObject:
    """One object on a photo.

    Attributes:
        class_id: 1..K.
        score: in 0..1.
        share: the part of the photo's area that it covers, in 0..1.
        box: x y width height in pixels.
        outlines: rings `[N, 2]` x y in pixels, of holes too; empty if only the box is known.
    """

    class_id: int
    score: float
    share: float
    box: Sequence[float]
    outlines: Sequence[NDArray[np.float64]] = ()


@dataclass(frozen=True)
class Entry:
    """One photo, or another picture with objects. Addresses are relative to the page; empty where there is none.

    Attributes:
        name: above the picture.
        width: in pixels.
        height: in pixels.
        objects: on it.
        thumbnail: a small picture for the card; without one the card has the photo.
        photo: the photo for the large view.
        drawn: a picture on which the objects are drawn, for the large view where the photo cannot be shown. As a
            `data:` address it is also the picture on the card.
        links: its other files.
        text: below the large view.
    """

    name: str
    width: int
    height: int
    objects: Sequence[GalleryObject]
    thumbnail: str = ""
    photo: str = ""
    drawn: str = ""
    links: Sequence[Link] = ()
    text: str = ""


@dataclass(frozen=True)
class GalleryInfo:
    """What the page says beside the entries.

    Attributes:
        command: what made it, such as `clothseg predict`.
        title: its heading.
        classes: those of the objects, by id from 1.
        links: files for all entries.
        note: a sentence below the heading.
        scored: whether objects have scores.
        frames: whether boxes are drawn beside outlines, and objects are findings of a kind.
        lowest_score: where the score slider begins; objects with a lower score are not in the data.
        checks: whether pictures have transparency, and lie on a chequered ground.
        things: the words for an object, objects, an entry and entries.
    """

    command: str
    title: str
    classes: Sequence[GalleryClass]
    links: Sequence[Link] = ()
    note: str = ""
    scored: bool = True
    frames: bool = False
    lowest_score: float = 0.0
    checks: bool = False
    things: tuple[str, str, str, str] = ("garment", "garments", "photo", "photos")


def gallery_classes(
    names: Mapping[int, str], score_threshold: float = 0.0, thresholds: Mapping[int, float] | None = None
) -> list[GalleryClass]:
    """The classes 1..K with their usual colours; those that `names` lacks have an empty name.

    Args:
        names: by id.
        score_threshold: from which objects are shown at first.
        thresholds: the same for some classes, by id.
    """
    own = thresholds or {}
    return [
        GalleryClass(names.get(k, ""), hex_colour(k), own.get(k, score_threshold))
        for k in range(1, max(names, default=0) + 1)
    ]


def short_names(paths: Iterable[str]) -> dict[str, str]:
    """The shortest end of each path that no other path has: `photo.jpg`, but `a/photo.jpg` beside `b/photo.jpg`."""
    left = {path: Path(path).parts for path in paths}
    names, length = {}, 1
    while left:
        ends = Counter(parts[-length:] for parts in left.values())
        found = [path for path, parts in left.items() if ends[parts[-length:]] == 1 or len(parts) <= length]
        for path in found:
            names[path] = Path(*left.pop(path)[-length:]).as_posix()
        length += 1
    return names


def hex_colour(class_id: int) -> str:
    """The colour of a class as `#rrggbb`."""
    return "#{:02x}{:02x}{:02x}".format(*class_colour(class_id))


def address(path: Path, page: Path) -> str:
    """The address of a file from a page in the folder `page`: relative, or a `file:` one on another drive."""
    try:
        relative = os.path.relpath(path, page)
    except ValueError:  # another drive of Windows
        return path.absolute().as_uri()
    return quote(os.fsencode(Path(relative).as_posix()))
