"""The addresses of Open Images, and the same paths below a mirror.

Source: the download pages at https://storage.googleapis.com/openimages/web/download_v5.html.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from clothseg.errors import DataError

TABLES_URL = "https://storage.googleapis.com/openimages"
PHOTOS_URL = "https://open-images-dataset.s3.amazonaws.com"
SPLITS = ("train", "validation", "test")
PARTITIONS = "0123456789abcdef"

CLASS_NAMES = ("v5/class-descriptions-boxable.csv",)
SEGMENTABLE = ("v5/classes-segmentation.txt",)
HIERARCHY = ("2018_04/bbox_labels_600_hierarchy.json",)
MASK_LIST = "v5/{split}-annotations-object-segmentation.csv"
PHOTO_LABELS = "v5/{split}-annotations-human-imagelabels-boxable.csv"
MASK_ZIP = "v5/{split}-masks/{split}-masks-{partition}.zip"
PHOTO = "{split}/{image_id}.jpg"

# The first file that exists is taken. The train boxes of V5 are those of V4; V6 has a larger file.
BOX_LIST: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "train": ("2018_04/train/train-annotations-bbox.csv", "v6/oidv6-train-annotations-bbox.csv"),
        "validation": ("v5/validation-annotations-bbox.csv",),
        "test": ("v5/test-annotations-bbox.csv",),
    }
)
IMAGE_LIST: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "train": ("2018_04/train/train-images-boxable-with-rotation.csv",),
        "validation": ("2018_04/validation/validation-images-with-rotation.csv",),
        "test": ("2018_04/test/test-images-with-rotation.csv",),
    }
)

PUBLISHED_MD5: Mapping[str, str] = MappingProxyType(
    {
        "class-descriptions-boxable.csv": "9846fd22fd2e68b45e3f3810a4c2a32a",
        "classes-segmentation.txt": "f53e4734bb4132b256e8eb408f761108",
        "train-annotations-object-segmentation.csv": "fa69369843fcf6e294d9195aeed1f2c6",
        "validation-annotations-object-segmentation.csv": "dbfa09320082b635e8b96989c971128d",
        "test-annotations-object-segmentation.csv": "707198de1a855cefde26d3fe35f7a6ce",
    }
)
"""MD5 of tables at `TABLES_URL`, in hex. A mirror may have other versions."""


@dataclass(frozen=True)
class FileSource:
    """A file's local name, its possible addresses in the order in which they are tried, and its MD5 if it is known."""

    name: str
    urls: tuple[str, ...]
    md5: str = ""


@dataclass(frozen=True)
class Publisher:
    """The addresses of all files: the published ones, or all below one `--source-url`.

    A mirror may have the published paths (`v5/train-masks/...`), or be a plain folder in the layout that
    `clothseg dataset build` reads (`train-masks/...`). Both are tried.
    """

    tables: str = TABLES_URL
    photos: str = PHOTOS_URL

    @classmethod
    def at(cls, source_url: str | None) -> "Publisher":
        """Returns the public addresses, or those below `source_url`.

        Raises:
            DataError: it is not an http or https address.
        """
        if source_url is None:
            return cls()
        base = source_url.rstrip("/")
        if not base.startswith(("http://", "https://")) or "?" in base or "#" in base:
            raise DataError(f"source url {source_url!r}: give the http or https address of a folder, without ? and #")
        return cls(base, base)

    def table(self, paths: tuple[str, ...]) -> FileSource:
        """A table by its published paths. Its local name is that of the first path."""
        names = [path.rpartition("/")[2] for path in paths]
        md5 = PUBLISHED_MD5.get(names[0], "") if self.tables == TABLES_URL else ""
        return FileSource(names[0], self._urls(*paths, *names), md5)

    def mask_zip(self, split: str, partition: str) -> FileSource:
        """The archive with the masks of a split whose image ids begin with `partition`."""
        path = MASK_ZIP.format(split=split, partition=partition)
        return FileSource(path.rpartition("/")[2], self._urls(path, path.removeprefix("v5/")))

    def photo(self, split: str, image_id: str) -> FileSource:
        """One photo."""
        path = PHOTO.format(split=split, image_id=image_id)
        return FileSource(path.rpartition("/")[2], (f"{self.photos}/{path}",))

    def _urls(self, *paths: str) -> tuple[str, ...]:
        return tuple(f"{self.tables}/{path}" for path in dict.fromkeys(paths))
