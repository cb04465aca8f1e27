"""Fits masks to their photo: its size, and its EXIF orientation."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clothseg.dataset.importing.labels import Dropped, LabelledPhoto, Size
from clothseg.dataset.importing.options import ImportOptions
from clothseg.errors import DataError
from clothseg.instances import Rle, decode, encode, mask_area, tight_box
from clothseg.photos import RgbImage, exif_orientation, read_photo, turn_upright


@dataclass(frozen=True)
class Oriented:
    """A photo as the dataset sees it.

    Attributes:
        pixels: `[H, W, 3]` uint8, upright.
        orientation: the EXIF orientation that the masks still have to follow; 1 if they are upright.
    """

    pixels: RgbImage
    orientation: int

    @property
    def turned(self) -> bool:
        """Whether the masks are turned with the photo."""
        return self.orientation != 1


def orient(path: Path, photo: LabelledPhoto) -> Oriented:
    """Reads a photo upright, and finds on which pixels its labels are.

    Most tools turn photos upright by their EXIF data before people label them. So labels of the upright size are taken
    as they are. Labels of the size that is stored in the file are turned with the photo.

    Args:
        path: of the photo.
        photo: its labels.

    Raises:
        PhotoError: the photo cannot be read.
        DataError: the labels are for another size.
    """
    pixels = read_photo(path)
    upright: Size = (pixels.shape[0], pixels.shape[1])
    if photo.size in {None, upright}:
        return Oriented(pixels, 1)
    orientation = exif_orientation(path)
    if orientation >= 5 and photo.size == upright[::-1]:
        return Oriented(pixels, orientation)
    raise DataError(
        f"{path}: the photo has {upright[0]} x {upright[1]} pixels (height x width), but the labels are for "
        f"{' x '.join(map(str, photo.size or ()))}; use the photo that was labelled"
    )


def annotations_of(
    photo: LabelledPhoto, oriented: Oriented, options: ImportOptions
) -> tuple[list[dict[str, Any]], list[Dropped]]:
    """COCO annotations without ids, with the name of the class under `class`, and what was left out."""
    annotations: list[dict[str, Any]] = []
    dropped: list[Dropped] = []
    for number, found in enumerate(photo.objects, start=1):

        def drop(reason: str, detail: str, name: str = found.class_name, number: int = number) -> None:
            dropped.append(Dropped(reason, photo.name, f"object {number}", name, detail))

        if not found.class_name.strip():
            drop("broken_shape", "it has no class")
            continue
        name = options.classes.get(found.class_name) if options.classes else found.class_name
        if name is None:
            drop("other_class", "not chosen")
        elif not mask_area(found.mask):
            drop("empty_mask", "no pixel on the photo")
        else:
            mask = _turned(found.mask, oriented.orientation)
            box_only = found.is_box and not options.boxes_as_masks
            annotation = {
                "class": name,
                "segmentation": [] if box_only else mask,
                "area": mask_area(mask),
                "bbox": list(tight_box(mask)),
                "iscrowd": 0,
            }
            if found.occluded is not None:
                annotation["isoccluded"] = int(found.occluded)
            annotations.append(annotation)
    return annotations, dropped


def _turned(mask: Rle, orientation: int) -> Rle:
    return mask if orientation == 1 else encode(turn_upright(decode(mask), orientation))
