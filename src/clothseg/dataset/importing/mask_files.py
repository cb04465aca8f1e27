"""Plain mask files: PNG files in a folder `masks`, photos in a folder `images` beside it.

- `masks/PHOTO.png` is a label map: value 1 is the first line of `classes.txt`, 0 is background, 255 is ignored. Each
  connected region is an object; values of 1000 and more are class * 1000 + object, with 16 bits.
- `masks/PHOTO_CLASS.png` or `masks/PHOTO_CLASS_2.png` is one object: every pixel that is not 0.
- `masks/CLASS/PHOTO.png` or `masks/CLASS/PHOTO_2.png` is one object, too.
- `masks/PHOTO/CLASS.png` or `masks/PHOTO/CLASS_2.png` as well.

Photo and mask may have `-` or `.` between the parts of the name instead of `_`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from clothseg.counting import counted
from clothseg.dataset.importing.label_maps import class_list, read_label_map
from clothseg.dataset.importing.labels import LabelledPhoto, LabelSource, PhotoIndex, name_in, read_each
from clothseg.dataset.importing.yolo_layout import SPLITS
from clothseg.errors import DataError
from clothseg.instances import encode, read_mask_png

PHOTO_FOLDERS = ("images", "photos", "imgs", "img")
_CLASS_FILES = ("classes.txt", "class_names.txt", "labels.txt")
_SEPARATORS = "_-. "
_CODED = 1000  # from this value on, a label map has class * 1000 + object
_NUMBER = re.compile(r"(?:^|[_\-. ]+)\d+$")


@dataclass(frozen=True)
class _MaskFile:
    """A mask file of a photo, and the class that its name or folder says; None for a label map."""

    path: Path
    class_name: str | None


@dataclass(frozen=True)
class _Job:
    """A photo, its mask files, its split, and what is wrong with names of masks."""

    photo: Path
    masks: Sequence[_MaskFile]
    split: str


def read_masks(source: Path) -> LabelSource:
    """Finds the folders `masks` with the photos beside them; see the rules at the top of this file.

    A photo without a mask file is not labelled. A label map that is 0 everywhere means a photo without objects.

    Raises:
        DataError: there is no such pair of folders, a mask fits no photo or class, or label maps have no `classes.txt`.
    """
    pairs = _folders(source)
    file = next((source / name for name in _CLASS_FILES if (source / name).is_file()), None)
    names = class_list(file) if file else {}
    jobs: list[_Job] = []
    strange: list[Path] = []
    for images, masks in pairs:
        found, unknown = _jobs(images, masks, names, source)
        jobs += found
        strange += unknown
    classes = list(names.values()) or sorted({m.class_name for job in jobs for m in job.masks if m.class_name})
    count = sum(len(job.masks) for job in jobs)
    maps = sum(mask.class_name is None for job in jobs for mask in job.masks)
    if maps and not names:
        raise DataError(f"{source}: {maps} label maps, but no classes.txt; its first line is the class of value 1")

    def photos() -> Iterator[LabelledPhoto]:
        yield from read_each(
            jobs,
            lambda job: LabelledPhoto(job.photo, name_in(source, job.photo), split=job.split),
            lambda job, photo: _read(job, photo, names),
        )
        for path in strange:
            lost = LabelledPhoto(path, name_in(source, path))
            yield lost.fail("missing_photo", f"{path}: no photo of this name; a mask's name begins with the photo's")

    return LabelSource(
        "masks",
        f"mask files: {count} for {counted(len(jobs), 'photo')} ({counted(maps, 'label map')}), "
        f"{counted(len(classes), 'class', 'classes')}",
        classes,
        len(jobs) + len(strange),
        photos,
        [file] if file else [],
        "a label map without objects means a photo without objects; a photo without mask files is not labelled",
    )


def _folders(source: Path) -> list[tuple[Path, Path]]:
    """The folders with photos and with masks: `images` beside `masks`, at the top or for each split."""
    pairs = []
    for masks in sorted(path for path in source.rglob("masks") if path.is_dir()):
        photos = next((masks.parent / name for name in PHOTO_FOLDERS if (masks.parent / name).is_dir()), None)
        if photos is not None:
            pairs.append((photos, masks))
    if not pairs:
        raise DataError(f"{source}: no folder masks with a folder images beside it; put photos and masks there")
    return pairs


def _jobs(images: Path, masks: Path, names: Mapping[int, str], source: Path) -> tuple[list[_Job], list[Path]]:
    """The photos of one pair of folders with their masks, and the masks that fit no photo."""
    photos = {path.relative_to(images).with_suffix("").as_posix(): path for path in PhotoIndex(images).paths}
    by_stem = {path.stem: stem for stem, path in photos.items()}
    of_photo: dict[str, list[_MaskFile]] = {stem: [] for stem in photos}
    strange = []
    known = {name.lower(): name for name in names.values()}
    for path in sorted(masks.rglob("*.png"), key=lambda p: p.parts):
        stem = _stem(path, masks, photos, by_stem)
        if stem is None:
            strange.append(path)
            continue
        of_photo[stem].append(_MaskFile(path, _class_of(path, masks, stem, known)))
    jobs = []
    for stem, path in photos.items():
        parts = [part.lower() for part in path.relative_to(source).parts[:-1]]
        jobs.append(_Job(path, of_photo[stem], next((SPLITS[part] for part in parts if part in SPLITS), "")))
    return jobs, strange


def _stem(path: Path, masks: Path, photos: Mapping[str, Path], by_stem: Mapping[str, str]) -> str | None:
    """The photo of a mask, as its path without suffix: its folder, or the longest one that begins the mask's name."""
    if path.parent != masks and path.parent.name in by_stem:
        return by_stem[path.parent.name]
    relative = path.relative_to(masks).with_suffix("").as_posix()
    for text in (relative, path.stem):
        for end in range(len(text), 0, -1):
            if end == len(text) or text[end] in _SEPARATORS:
                if text[:end] in photos:
                    return text[:end]
                if text is not relative and text[:end] in by_stem:
                    return by_stem[text[:end]]
    return None


def _class_of(path: Path, masks: Path, stem: str, known: Mapping[str, str]) -> str | None:
    """The class that the name or folder of a mask says, in the spelling of `known`; None for a label map."""
    photo, folder = stem.rsplit("/", 1)[-1], path.parent.name
    folder_is_class = path.parent != masks and folder not in stem.split("/") and folder.lower() not in SPLITS
    rest = path.stem.removeprefix(photo) if path.stem.startswith(photo) else path.stem
    rest = rest.strip(_SEPARATORS)
    plain = _NUMBER.sub("", rest)
    for text in (folder if folder_is_class else rest, plain):
        if text.lower() in known:
            return known[text.lower()]
    if folder_is_class:
        return folder
    if not rest:
        return None
    return plain or (next(iter(known.values())) if len(known) == 1 else "object")


def _read(job: _Job, photo: LabelledPhoto, names: Mapping[int, str]) -> None:
    photo.labelled = bool(job.masks)
    for file in job.masks:
        try:
            if file.class_name is None:
                _label_map(file.path, photo, names)
                continue
            mask = read_mask_png(file.path)
            _same_size(photo, (mask.shape[0], mask.shape[1]))
            photo.add(file.class_name, encode(mask))
        except DataError as error:
            photo.drop("broken_shape", file.path.name, file.class_name or "", str(error))


def _label_map(path: Path, photo: LabelledPhoto, names: Mapping[int, str]) -> None:
    labels = read_label_map(path)
    _same_size(photo, labels.size)
    values = labels.values
    if set(np.unique(values).tolist()) <= {0, 255} and len(names) == 1:  # a mask of the only class
        values = np.where(values == 255, next(iter(names)), 0)
    for value in np.unique(values).tolist():
        if value in {0, labels.void}:
            continue
        coded = value >= _CODED and labels.colours is not None
        name = names.get(value // _CODED if coded else value)
        if name is None:
            photo.drop("unknown_class", f"value {value}", "", f"{path.name}: the list of classes has no value {value}")
            continue
        mask = values == value
        if coded:
            photo.add(name, encode(mask))
            continue
        count, regions = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
        for number in range(1, count):
            photo.add(name, encode(regions == number))


def _same_size(photo: LabelledPhoto, size: tuple[int, int]) -> None:
    if photo.size not in {None, size}:
        raise DataError(f"the mask has {size} pixels (height, width), another mask of this photo {photo.size}")
    photo.size = size
