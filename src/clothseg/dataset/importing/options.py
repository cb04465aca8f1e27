"""The options of an import."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from clothseg.errors import DataError

SourceFormat = Literal[
    "auto", "yolo", "labelme", "voc", "voc-boxes", "masks", "supervisely", "cvat-xml", "labelme-xml", "datumaro"
]
"""`auto`, or a key of `READERS` (`formats.py`)."""
DEFAULT_VAL_FRACTION = 0.2
"""Of the photos, where the source has no validation split."""
_RUN_OPTIONS = frozenset({"overwrite"})


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """The options of `import_dataset`.

    Attributes:
        format: `yolo`, `labelme`, `voc`, `voc-boxes`, `masks`, `supervisely`, `cvat-xml`,
            `labelme-xml`, `datumaro`, or `auto`.
        classes: the classes to take, and their new names: `{"dress": "Dress"}`. Category ids are 1..N in the order of
            the new names. Empty: all classes, in the order of the source.
        val_fraction: fraction of the photos for validation, above 0 and below 1. The split is stratified by class and
            keeps near-duplicates on one side. None: the split of the source; if it has none, 0.2.
        seed: random seed of the split by fraction.
        boxes_as_masks: fill boxes that have no outline. Otherwise they are objects with a box and no mask.
        keep_unlabelled: also take photos of which nothing says that they are labelled, as photos without objects.
        hard_links: link photos instead of copying them, where the file system can. Source and dataset then share the
            file.
        overwrite: replace an existing dataset.

    Raises:
        DataError: an option is invalid.
    """

    format: SourceFormat = "auto"
    classes: Mapping[str, str] = field(default_factory=dict)
    val_fraction: float | None = None
    seed: int = 0
    boxes_as_masks: bool = False
    keep_unlabelled: bool = False
    hard_links: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.val_fraction is not None and not 0 < self.val_fraction < 1:
            raise DataError(f"the validation fraction is {self.val_fraction}; use a number above 0 and below 1")
        for old, new in self.classes.items():
            if not old.strip() or not new.strip():
                raise DataError(f"--classes has an empty name in {old!r}={new!r}; use NAME or OLD=NEW")

    def as_dict(self) -> dict[str, Any]:
        """The options that determine the content of the dataset, for `dataset.yaml`."""
        return {name: value for name, value in asdict(self).items() if name not in _RUN_OPTIONS}


def parse_classes(names: list[str]) -> dict[str, str]:
    """The classes from `NAME` and `OLD=NEW`."""
    pairs = [name.partition("=") for name in names]
    return {old.strip(): (new if sign else old).strip() for old, sign, new in pairs}
