"""Instances that draw themselves."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from PIL import Image

from clothseg.errors import ClothsegError
from clothseg.files import atomic_file
from clothseg.instances import Instances
from clothseg.photo_values import as_photo
from clothseg.pictures.instances import draw_instances

if TYPE_CHECKING:
    from clothseg.photo_values import Photo


class PhotoInstances(Instances):
    """`Instances` with `plot`; what `Model.predict` returns."""

    @classmethod
    def of(cls, found: Instances, names: Sequence[str]) -> Self:
        """The same instances, with the names of the classes 1..K."""
        fields = (found.size, found.boxes, found.classes, found.masks, found.scores, found.crowd)
        return cls(*fields, tuple(names), found.has_mask)

    def plot(self, photo: "Photo | None" = None, out: Path | str | None = None, **options: Any) -> Image.Image:
        """Draws masks, boxes and labels on the photo.

        Args:
            photo: in any form that `Model.predict` takes; white if there is none.
            out: also write the picture to this file; its ending, such as .png or .jpg, is the format.
            options: of `clothseg.pictures.draw_instances`, such as `scores=False`.

        Returns:
            The picture, which a notebook shows.

        Raises:
            PhotoError: the photo cannot be read.
            ClothsegError: the ending of `out` is not that of a picture.
            ValueError: the photo has another size than the instances.
        """
        pixels = np.full((*self.size, 3), 255, dtype=np.uint8) if photo is None else as_photo(photo)
        picture = Image.fromarray(draw_instances(pixels, self, self._all_names(), **options))
        if out is not None:
            _save(picture, Path(out))
        return picture

    def _all_names(self) -> list[str]:
        """The names of all classes that occur, by number where they are not known."""
        return [self.class_name(number) for number in range(1, max([len(self.names), *self.classes.tolist()]) + 1)]


def _save(picture: Image.Image, path: Path) -> None:
    if Image.registered_extensions().get(path.suffix.lower()) not in Image.SAVE:
        raise ClothsegError(f"{path}: the name of the picture must end in .png, .jpg or another ending of pictures")
    with atomic_file(path) as temporary:
        picture.save(temporary)
