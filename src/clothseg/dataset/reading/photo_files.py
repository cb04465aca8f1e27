"""Finds the file of a photo by the name that an annotations file has for it."""

import unicodedata
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from clothseg.errors import PhotoError
from clothseg.photos import open_picture, orientation_of, photo_exists

_FIRST_TURNED = 5  # EXIF orientations from here on turn the photo by 90 degrees


class PhotoFiles:
    """Finds photos in some folders.

    A name is first taken as it is, below each of the folders. If there is no such file, the end of its path is looked
    for: without the host or the folders before it, decoded if it is percent-encoded, in any case and form of accents.
    So `/home/a/images/1.jpg`, `images\\1.jpg`, `http://host/data/1%20a.jpg` and `/data/local-files/?d=1.jpg` (Label
    Studio) find their photo.

    Args:
        folders: where photos may be, the likeliest first.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = list(folders)
        self._listed: dict[Path, dict[str, str]] = {}

    def find(self, name: str) -> tuple[Path, bool]:
        """The photo with this name.

        Returns:
            The path, and whether the name had to be changed to find it. If there is no such photo, the path where it
            should be.
        """
        plain = name.replace("\\", "/")
        paths = [folder / plain for folder in self.folders] or [Path(plain)]
        for path in paths:
            if photo_exists(path):
                return path, False
        parts = _parts(name)
        for begin in range(len(parts)):
            for folder in self.folders:
                if (found := self._below(folder, parts[begin:])) is not None:
                    return found, True
        return paths[0], False

    def _below(self, folder: Path, parts: Sequence[str]) -> Path | None:
        """The file `parts` below `folder`, in any case and form of accents."""
        for part in parts:
            name = self._names(folder).get(_key(part))
            if name is None:
                return None
            folder = folder / name
        return folder if photo_exists(folder) else None

    def _names(self, folder: Path) -> dict[str, str]:
        """The names in a folder by their key; names that differ only in case are left out."""
        if folder not in self._listed:
            names: dict[str, str] = {}
            twice = set()
            try:
                for name in (path.name for path in folder.iterdir()):
                    if names.setdefault(_key(name), name) != name:
                        twice.add(_key(name))
            except OSError:
                pass
            self._listed[folder] = {key: name for key, name in names.items() if key not in twice}
        return self._listed[folder]


def photo_size(path: Path) -> tuple[int, int] | None:
    """Height and width of the upright photo, from its header; None if there is no such photo or it cannot be read."""
    try:
        with open_picture(path) as picture:
            width, height = picture.size
            return (width, height) if orientation_of(picture) >= _FIRST_TURNED else (height, width)
    except PhotoError:
        return None


def _parts(name: str) -> list[str]:
    """The parts of the path that a name is meant to have."""
    text = name.strip()
    if "://" in text or "?" in text:
        try:
            parsed = urlsplit(text)
            local = parse_qs(parsed.query).get("d")  # Label Studio's files of its own machine
        except ValueError:
            return []
        text = local[0] if local else parsed.path
    parts = unquote(text).replace("\\", "/").split("/")
    return [part for part in parts if part not in ("", ".", "..") and "\0" not in part]


def _key(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()
