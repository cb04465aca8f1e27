"""Finds photos: files, folders, patterns and datasets become a list of paths, each file once."""

import glob
import os
import unicodedata
from collections.abc import Collection, Iterable
from pathlib import Path, PurePath

from clothseg.counting import first_names
from clothseg.dataset.reading import choose_split, find_layout, read_coco_file
from clothseg.dataset.reading.issues import Need
from clothseg.errors import DataError, PhotoError
from clothseg.photos import RAW_SUFFIXES, SUFFIXES, url_in
from clothseg.suggestions import near_path


def find_photos(
    inputs: Iterable[Path],
    *,
    recursive: bool = False,
    suffixes: Collection[str] = SUFFIXES,
    datasets: bool = False,
    split: str | None = None,
) -> list[Path]:
    """Lists the photos that the inputs name, each once: files as they are, and the photos in folders, sorted.

    Hidden files and folders are left out. A pattern may have `*`, `?`, `[a-z]`, and `**` for folders of any depth. It
    gives the files with one of `suffixes` and the photos in the folders that match, sorted. A file with exactly this
    name takes precedence over the pattern.

    Args:
        inputs: files, folders and patterns.
        recursive: whether to search subfolders too.
        suffixes: of the files that a pattern may give, in lower case; folders give photos only.
        datasets: whether a COCO file, or the folder of a dataset without photos directly in it, stands for the photos
            that it lists. With `recursive` it does not: all photos below a folder are taken.
        split: of the datasets; by default all their splits.

    An input that does not exist, a folder without photos and a pattern without matches are in the list as they are, if
    another input gives a photo: reading them fails, one by one, and the others are done.

    Raises:
        PhotoError: no input gives a photo; the message has the reason for each.
        DataError: a dataset has no such split, its file cannot be used, or `split` is given and there is no dataset.
    """
    if datasets and not recursive:
        listed = [_listed(place, split) for place in inputs]
        if split and all(paths is None for paths in listed) and all(map(os.path.exists, inputs)):
            raise DataError(
                f"--split {split}: {first_names([str(place) for place in inputs])}: not a COCO dataset, so there are "
                "no splits; name the dataset's folder or one of its COCO files"
            )
        inputs = [path for place, paths in zip(inputs, listed, strict=True) for path in (paths or [place])]
    elif split:
        raise DataError(f"--split {split}: only of datasets, and not with --recursive; name the dataset's folder")
    photos: list[Path] = []
    problems: list[str] = []
    for place in inputs:
        try:
            if os.path.exists(place) or not glob.has_magic(str(place)):
                photos += _photos_at(place, recursive=recursive)
            else:
                photos += _matching(place, recursive=recursive, suffixes=suffixes)
        except PhotoError as error:
            problems.append(str(error))
            photos.append(place)
    if len(problems) == len(photos):
        raise PhotoError("\n".join(problems) or "no photo is named")
    once: dict[object, Path] = {}
    for photo in photos:
        once.setdefault(_identity(photo), photo)
    return list(once.values())


def _listed(place: Path, split: str | None) -> list[Path] | None:
    """The photos that a COCO file, or the files of a dataset's folder, list; None for all else."""
    if place.is_dir():
        if not os.access(place, os.R_OK | os.X_OK):  # the search names it
            return None
        if any(path.suffix.lower() in SUFFIXES for path in place.iterdir()):
            return None
        try:
            layout = find_layout(place)
        except DataError:
            return None
    elif place.is_file() and place.suffix.lower() == ".json":
        layout = find_layout(place)
    else:
        return None
    chosen = [choose_split(layout, split)] if split else layout.splits
    needs: tuple[Need, ...] = ("photos",)
    read = [read_coco_file(files.annotations, files.photos, needs=needs) for files in chosen]
    return list(dict.fromkeys(path for file in read for path in file.paths.values()))


def _matching(pattern: Path, *, recursive: bool, suffixes: Collection[str]) -> list[Path]:
    """The photos that match a pattern, and those in folders that match."""
    names = glob.glob(str(pattern), recursive=True)  # noqa: PTH207 - a pattern with any root
    matches = [Path(name) for name in sorted(names, key=lambda name: name.replace(os.sep, "/"))]
    found = [p for p in matches if p.is_file() and p.suffix.lower() in suffixes]
    for folder in (p for p in matches if p.is_dir()):
        found += _in_folder(folder, recursive=recursive)
    if not found:
        raise PhotoError(f"{pattern}: no file matches this pattern; known suffixes are {', '.join(sorted(suffixes))}")
    return found


def _identity(path: Path) -> tuple[int, int, str]:
    """Equal for two spellings of one file: by links, and by case or accents where the file system ignores them.

    The name is part of it, because hard links with different names count as two photos.
    """
    try:
        file = path.stat()
    except (OSError, ValueError):  # for example a link to nothing
        return 0, 0, str(path)
    return file.st_dev, file.st_ino, unicodedata.normalize("NFC", str(path.resolve())).casefold()


def _photos_at(place: Path, *, recursive: bool) -> list[Path]:
    """The file, or the photos in the folder."""
    if (url := url_in(place)) and not os.path.exists(place):
        raise PhotoError(f"{url}: a web address; download the photo first")
    if not os.path.exists(place) and not os.path.islink(place):
        raise PhotoError(f"{place}: no such photo or folder{near_path(place)}")
    if not os.path.isdir(place):
        return [place]
    inside = _in_folder(place, recursive=recursive)
    if not inside:
        deeper = "" if recursive or not _in_folder(place, recursive=True) else "; --recursive searches subfolders"
        raise PhotoError(f"{place}: no photos in this folder ({', '.join(sorted(SUFFIXES))}){deeper}")
    return inside


def _in_folder(folder: Path, *, recursive: bool) -> list[Path]:
    """The photos in a folder, sorted; links to folders are not followed.

    Everything with the suffix of a photo is included, so that its error is reported: also a link to nothing, a pipe, or
    a folder that is not searched; so is a folder that may not be searched. A raw file of a camera is included unless a
    photo of the same name lies beside it.
    """
    found: list[Path] = []
    locked: list[str] = []
    for here, below, files in os.walk(folder, onerror=lambda error: locked.append(error.filename)):
        names = files if recursive else files + below
        below[:] = [name for name in below if recursive and not name.startswith(".")]
        found += [Path(here) / name for name in photos_among(names)]
    return _sorted(found + [Path(place) for place in locked])


def with_photos_below(inputs: Iterable[Path]) -> list[Path]:
    """The folders among the inputs that have photos, and more of them in subfolders, which only `recursive` finds."""
    return [
        place
        for place in inputs
        if place.is_dir() and any(path.is_file() for path in _in_folder(place, recursive=False)) and _deeper(place)
    ]


def _deeper(folder: Path) -> bool:
    """Whether there is a photo in a subfolder; hidden ones do not count."""
    for here, below, files in os.walk(folder):
        below[:] = [name for name in below if not name.startswith(".")]
        if Path(here) != folder and photos_among(files):
            return True
    return False


def _sorted(paths: Iterable[Path]) -> list[Path]:
    return sorted(paths, key=lambda path: path.parts)  # Windows would ignore the case, and number the photos otherwise


def photos_among(names: Iterable[str]) -> list[str]:
    """The names of photos, sorted; a raw file of a camera is one unless a photo of the same name is beside it."""
    shown = [PurePath(name) for name in names if not name.startswith(".")]
    photos = [name for name in shown if name.suffix.lower() in SUFFIXES]
    stems = {name.stem.lower() for name in photos}
    raw = [name for name in shown if name.suffix.lower() in RAW_SUFFIXES and name.stem.lower() not in stems]
    return sorted(str(name) for name in photos + raw)
