"""Photos without labels that a training may learn from."""

import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from clothseg.cores import usable_cores
from clothseg.dataset.coco import CocoLikeDataset
from clothseg.dataset.duplicates import copies_among, hash_photos
from clothseg.dataset.photo_search import find_photos
from clothseg.dataset.reading.photo_files import photo_size
from clothseg.errors import PhotoError, RunError
from clothseg.files import atomic_write, read_json
from clothseg.instances import CocoAnnotation
from clothseg.photos import check_photo, open_picture, photo_exists
from clothseg.progress import ProgressBar, no_progress

SizedPhoto = tuple[Path, int, int]
"""Path, height and width of a photo."""


@dataclass(frozen=True)
class UnlabelledPhotos:
    """Photos without labels.

    Attributes:
        photos: those to learn from.
        unread: for each photo that cannot be read, a message that names it.
        known: for each photo that is a copy of a labelled one, a message that names both.
    """

    photos: tuple[SizedPhoto, ...]
    unread: tuple[str, ...] = ()
    known: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.photos)

    def write(self, path: Path) -> None:
        """Writes as JSON which photos these are, so that a run resumes with the same ones."""
        rows = [{"file": str(file.absolute()), "height": height, "width": width} for file, height, width in self.photos]
        tree = {"photos": rows, "unread": self.unread, "known": self.known}
        atomic_write(path, json.dumps(tree, indent=1, ensure_ascii=False))


def find_unlabelled(
    places: Iterable[Path],
    train: CocoLikeDataset,
    val: CocoLikeDataset,
    *,
    progress: ProgressBar = no_progress,
) -> UnlabelledPhotos:
    """Finds photos to learn from without labels.

    Copies of training and validation photos are left out, resized and recompressed ones too: the first have labels
    already, and from the second no training may learn.

    Args:
        places: folders, which are searched with all below them, files, and patterns.
        train, val: the labelled photos.
        progress: wraps the photos while they are read, for a progress bar.

    Raises:
        PhotoError: none is left.
    """
    paths = find_photos(places, recursive=True)
    sizes = [photo_size(path) for path in paths]
    with ThreadPoolExecutor(usable_cores()) as pool:
        reasons = list(progress(pool.map(_why_unread, paths, sizes), len(paths), "checking photos without labels"))
    sized = [(path, *size) for path, size, why in zip(paths, sizes, reasons, strict=True) if size and not why]
    copies = _copies([path for path, _, _ in sized], {"train": train, "val": val}, progress)
    photos = tuple(photo for photo in sized if photo[0] not in copies)
    unread = tuple(why for why in reasons if why)
    if not photos:
        why = unread[0] if unread else next(iter(copies.values()))
        raise PhotoError(f"none of {len(paths)} photos without labels can be used; the first: {why}")
    return UnlabelledPhotos(photos, unread, tuple(copies.values()))


def with_unlabelled(dataset: CocoLikeDataset, photos: Sequence[SizedPhoto]) -> CocoLikeDataset:
    """A dataset like `dataset` with more photos at the end, which have no labels yet; `relabel` gives them some."""
    ids = [entry.id for entry in dataset.images]
    other, first = dataset.only(ids), max(ids, default=0) + 1
    for number, (path, height, width) in enumerate(photos):
        other.add_image(first + number, path, height, width, [])
    other.unlabelled = len(photos)
    return other


def relabel(dataset: CocoLikeDataset, labels: Sequence[list[CocoAnnotation]]) -> None:
    """Gives each of the unlabelled photos at the end of `dataset` other annotations."""
    start = dataset.labelled
    dataset.images[start:] = [
        replace(entry, annotations=rows) for entry, rows in zip(dataset.images[start:], labels, strict=True)
    ]


def read_unlabelled(path: Path) -> UnlabelledPhotos | None:
    """What `UnlabelledPhotos.write` wrote for a run; None if there is no such file.

    Raises:
        RunError: the file is damaged, or most of the photos are gone.
    """
    if not path.is_file():
        return None
    try:
        tree = read_json(path)
        photos = tuple((Path(row["file"]), int(row["height"]), int(row["width"])) for row in tree["photos"])
        unread, known = (tuple(map(str, tree[key])) for key in ("unread", "known"))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise RunError(
            f"{path}: cannot be read ({error}); the run needs it to continue: copy the run again, or start a new one"
        ) from error
    gone = [file for file, _, _ in photos if not photo_exists(file)]
    if 2 * len(gone) > len(photos):  # a few are left out by the training
        raise RunError(
            f"{path}: {len(gone)} of {len(photos)} photos without labels are gone, the first is {gone[0]}; put them "
            "back, because the run continues with the same photos"
        )
    return UnlabelledPhotos(photos, unread, known)


def _why_unread(path: Path, size: tuple[int, int] | None) -> str:
    """Why a photo cannot be read; empty if it can."""
    try:
        if size is None:
            with open_picture(path):
                return f"{path}: its size cannot be read"
        check_photo(path, size)
    except PhotoError as error:
        return str(error)
    return ""


def _copies(paths: Sequence[Path], splits: dict[str, CocoLikeDataset], progress: ProgressBar) -> dict[Path, str]:
    """The photos that are copies of labelled ones, with a message that names both."""
    labelled = {f"{name} {n}": entry.path for name, split in splits.items() for n, entry in enumerate(split.images)}
    own = {f"unlabelled {n}": path for n, path in enumerate(paths)}
    hashes = dict(zip([*own, *labelled], hash_photos([*own.values(), *labelled.values()], progress), strict=True))
    copies = copies_among({name: hashes[name] for name in own}, {name: hashes[name] for name in labelled})
    return {
        own[copy]: f"{own[copy]}: a copy of the {original.split()[0]} photo {labelled[original]}"
        for copy, original in copies.items()
    }
