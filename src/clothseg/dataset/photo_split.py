"""`PhotoSplit`: which photos of one annotation file are for training and which for validation, kept with the run."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from clothseg.errors import RunError
from clothseg.files import atomic_write, read_json


@dataclass(frozen=True)
class PhotoSplit:
    """One file split into train and validation.

    Attributes:
        annotations: the name of the file's split in its folder, such as `default`.
        sha256: of the annotations file.
        fraction: of the photos for validation.
        seed: of the split.
        train: image ids.
        val: image ids.
    """

    annotations: str
    sha256: str
    fraction: float
    seed: int
    train: tuple[int, ...]
    val: tuple[int, ...]

    def is_of(self, file: Path) -> bool:
        """Whether this is the file that was split, wherever it is now."""
        return checksum_of(file) == self.sha256

    def write(self, path: Path) -> None:
        """Writes it as JSON."""
        atomic_write(path, json.dumps(asdict(self)))


def read_photo_split(path: Path) -> PhotoSplit | None:
    """The split in a run's `split.json`; None if there is no such file.

    Raises:
        RunError: the file is damaged.
    """
    if not path.is_file():
        return None
    try:
        tree = read_json(path)
        train, val = (tuple(map(int, tree[side])) for side in ("train", "val"))
        return PhotoSplit(
            str(tree["annotations"]), str(tree["sha256"]), float(tree["fraction"]), int(tree["seed"]), train, val
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise RunError(
            f"{path}: cannot be read ({error}); it names the validation photos: copy the run again, or start a new one"
        ) from error


def checksum_of(file: Path) -> str:
    """SHA-256 of a file, as hex digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
