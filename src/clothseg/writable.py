"""Whether something can be written at a path: known at once, not after minutes of work."""

import secrets
from pathlib import Path

from clothseg.errors import ClothsegError

LOCK_NAME = ".clothseg-lock"
"""A file that keeps two commands from writing to a folder at once. After a kill it may be left. Other names that begin
so are further locks, and what `require_writable` tries. A folder that has nothing else counts as empty."""


def require_writable(path: Path, *, folder: bool = False) -> None:
    """Raises ClothsegError if nothing can be written at `path`; it may exist or not. Nothing is left there.

    Args:
        path: a file or folder.
        folder: whether it is to be a folder, so that a file there is wrong.
    """
    try:
        nearest = next(place for place in (path, *path.parents) if place.exists())
        if nearest.is_file() and (folder or nearest != path):
            where = "" if nearest == path else f"{path}: "
            raise ClothsegError(f"{where}{nearest} is a file, not a folder; choose another place")
        trial = (nearest if nearest.is_dir() else path.parent) / f"{LOCK_NAME}-{secrets.token_hex(4)}"
        trial.mkdir()
        trial.rmdir()
    except OSError as error:
        raise ClothsegError(f"{path}: nothing can be written here ({error.strerror}); choose another place") from error
