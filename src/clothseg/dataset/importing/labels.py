"""What every reader of a label format gives: photos with objects, and what was left out of them by reason."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from clothseg.errors import ClothsegError, DataError
from clothseg.instances import Rle
from clothseg.photos import SUFFIXES, open_picture, orientation_of, photo_exists

REASONS = {
    "broken_file": "the label file cannot be read; its photo is left out",
    "missing_photo": "the photo does not exist",
    "unreadable_photo": "the photo cannot be read",
    "other_size": "the labels are for a photo of another size",
    "broken_shape": "the shape cannot be read",
    "unknown_class": "its class is not in the list of classes",
    "empty_mask": "the shape has no pixel on the photo",
    "no_area": "points, lines and skeletons have no area",
    "ignored_label": "shapes called __ignore__, which labelme leaves out too",
    "hidden": "it is marked as outside of the photo",
    "other_class": "its class is not among --classes",
    "not_labelled": "nothing says that the photo is labelled (--keep-unlabelled takes it, without objects)",
    "repeated_photo": "the photo is listed twice",
}
HARMLESS = frozenset(list(REASONS)[6:])
"""Reasons that are no fault of the files: the import is complete in spite of them."""
T = TypeVar("T")
Size = tuple[int, int]
"""Height and width in pixels."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A shape, label file or photo that is not in the dataset.

    Attributes:
        reason: a key of `REASONS`.
        photo: the photo's name in the source, or that of its label file.
        shape: the shape in its file, such as `line 3` or `shapes[2]`; empty for the whole file.
        class_name: of the shape, or empty.
        detail: what is wrong, with the values that were found.
    """

    reason: str
    photo: str
    shape: str
    class_name: str
    detail: str

    def text(self) -> str:
        """One line for the user."""
        where = " ".join(part for part in (self.photo, self.shape, self.class_name) if part)
        return f"{where}: {self.reason}: {self.detail}"


@dataclass(frozen=True, slots=True)
class LabelledObject:
    """One object: its class, and its mask on the pixels that the labels are for.

    `is_box` says that only a box is known, which `mask` fills. `occluded` is None where the format does not say it.
    """

    class_name: str
    mask: Rle
    is_box: bool = False
    occluded: bool | None = None


@dataclass
class LabelledPhoto:
    """A photo with its labels.

    Attributes:
        photo: path of the file, or its bytes where they are part of the label file.
        name: for messages and for the dataset: the photo's path in the source, with `/`.
        size: height and width of the pixels that the labels are for; None where nothing needed it.
        labelled: whether the format says that the photo was labelled, perhaps with no object.
        split: `train`, `val`, `test`, or empty where the source has no split.
        objects, dropped: what was read.
        kept: whether the photo can be part of the dataset.
    """

    photo: Path | bytes
    name: str
    size: Size | None = None
    labelled: bool = True
    split: str = ""
    objects: list[LabelledObject] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    kept: bool = True

    def add(self, class_name: str, mask: Rle, *, is_box: bool = False, occluded: bool | None = None) -> None:
        """Adds an object."""
        self.objects.append(LabelledObject(valid_text(class_name), mask, is_box, occluded))

    def drop(self, reason: str, shape: str, class_name: str, detail: str) -> None:
        """Records that a shape is left out."""
        self.dropped.append(Dropped(reason, self.name, shape, valid_text(class_name), valid_text(detail)))

    def fail(self, reason: str, detail: str) -> "LabelledPhoto":
        """Records that the whole photo is left out."""
        self.kept = False
        self.drop(reason, "", "", detail)
        return self


@dataclass(frozen=True)
class LabelSource:
    """Labels in one format.

    Attributes:
        format: its name on the command line.
        seen: what was found, as a part of a sentence: `labelme: 120 JSON files, 118 photos`.
        classes: in the order of the source; empty if only the photos' labels name them.
        count: the number of photos, for a progress bar.
        photos: reads them one after another. A broken label file gives a photo that is not `kept`.
        files: the files that hold for all photos, such as `data.yaml`; `dataset.yaml` gets their checksums.
        unlabelled_rule: what this format says about photos without objects, for the summary.
    """

    format: str
    seen: str
    classes: Sequence[str]
    count: int
    photos: Callable[[], Iterator[LabelledPhoto]]
    files: Sequence[Path] = ()
    unlabelled_rule: str = ""


def read_each(items: Iterable[T], start: Callable[[T], LabelledPhoto], read: Callable[[T, LabelledPhoto], None]
              ) -> Iterator[LabelledPhoto]:  # fmt: skip
    """Reads the labels of photos. An error of one of them is recorded with it, and the next one follows.

    Args:
        items: one for each photo.
        start: makes the photo without objects.
        read: adds the objects.
    """
    for item in items:
        photo = start(item)
        try:
            read(item, photo)
        except ClothsegError as error:
            photo.objects.clear()
            reason = "broken_file" if isinstance(error, DataError) else "unreadable_photo"
            if isinstance(photo.photo, Path) and not photo_exists(photo.photo):
                reason = "missing_photo"
            photo.fail(reason, str(error))
        yield photo


def sizes_of(path: Path) -> tuple[Size, Size]:
    """Height and width of a photo: upright, as its EXIF orientation says, and as it is stored.

    Raises:
        PhotoError: the file is missing or not a picture.
    """
    with open_picture(path) as picture:
        stored = (picture.height, picture.width)
        turned = orientation_of(picture) >= 5
    return (stored[::-1] if turned else stored), stored


class PhotoIndex:
    """The photos below a folder, found by their name or stem, as label files name them."""

    def __init__(self, root: Path, *, without: Iterable[Path] = ()) -> None:
        """Lists the photos below `root`, except for those in the folders `without`."""
        self.root = root
        left_out = {folder.resolve() for folder in without}
        self.paths = sorted(
            (
                path
                for path in root.rglob("*")
                if path.suffix.lower() in SUFFIXES
                and not path.name.startswith(".")
                and path.is_file()
                and not left_out.intersection(path.resolve().parents)
            ),
            key=lambda path: path.parts,
        )
        self._by_name: dict[str, list[Path]] = {}
        for path in self.paths:
            for key in {path.name.lower(), path.stem.lower()}:
                self._by_name.setdefault(key, []).append(path)

    def find(self, name: str, *, near: Path | None = None) -> Path | None:
        """The photo that a label file calls `name`, by path, file name or stem.

        Args:
            name: with `/` or `\\`, relative to `near` or the root, or of another computer.
            near: the folder of the label file.

        Raises:
            DataError: several photos of this name fit equally well.
        """
        relative = name.replace("\\", "/")
        for folder in (near, self.root):
            if folder is not None and photo_exists(folder / relative):
                return folder / relative
        found = self._by_name.get(relative.rsplit("/", 1)[-1].lower(), [])
        beside = [path for path in found if near is not None and path.parent == near]
        ending = [path for path in found if path.as_posix().lower().endswith("/" + relative.lstrip("./").lower())]
        mirrored = [path for path in ending or found if near is not None and self._mirrors(near, path.parent)]
        for choice in (beside, ending, mirrored, found):
            if len(choice) == 1:
                return choice[0]
        if found:
            raise DataError(f"{name}: several photos have this name: {found[0]} and {found[1]}; give them other names")
        return None

    def _mirrors(self, labels: Path, photos: Path) -> bool:
        """Whether two folders differ in one name alone: `Annotations/shop/a` and `JPEGImages/shop/a`."""
        if not (labels.is_relative_to(self.root) and photos.is_relative_to(self.root)):
            return False
        one, other = labels.relative_to(self.root).parts, photos.relative_to(self.root).parts
        return len(one) == len(other) and sum(a != b for a, b in zip(one, other, strict=True)) == 1


def name_in(root: Path, path: Path) -> str:
    """The path below `root`, with `/`."""
    try:
        return valid_text(path.resolve().relative_to(root.resolve()).as_posix())
    except ValueError:
        return valid_text(path.name)


def valid_text(text: str) -> str:
    """The text with `?` for what no file can hold: half a character, as in names that are not in UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")
