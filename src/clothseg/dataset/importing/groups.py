"""Objects that consist of several shapes: CVAT, Datumaro and LabelMe say which shapes are one object."""

from dataclasses import dataclass, field

from clothseg.dataset.importing.labels import LabelledPhoto
from clothseg.instances import Rle, mask_union


@dataclass
class _Parts:
    masks: list[Rle] = field(default_factory=list)
    orders: list[int] = field(default_factory=list)
    is_box: bool = True
    occluded: bool = False


class ObjectGroups:
    """The objects of a photo while its shapes are read."""

    def __init__(self) -> None:
        self._objects: dict[tuple[str, str], _Parts] = {}

    def add(self, label: str, group: str, mask: Rle, *, order: int, is_box: bool, occluded: bool) -> None:
        """Adds a shape.

        Args:
            label: of the object. Shapes of another label are another object.
            group: what shapes of one object have in common.
            mask: of the shape.
            order: the larger it is, the later the object comes; that of an object is its largest.
            is_box: whether the shape is a box. An object is one if all its shapes are.
            occluded: whether something hides it. An object is occluded if one of its shapes is.
        """
        parts = self._objects.setdefault((label, group), _Parts())
        parts.masks.append(mask)
        parts.orders.append(order)
        parts.is_box &= is_box
        parts.occluded |= occluded

    def add_to(self, photo: LabelledPhoto) -> None:
        """Adds the objects to the photo, in their order."""
        for (label, _), parts in sorted(self._objects.items(), key=lambda item: max(item[1].orders)):
            photo.add(label, mask_union(parts.masks), is_box=parts.is_box, occluded=parts.occluded)
