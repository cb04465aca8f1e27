"""Decoded photos kept in memory: by one process, or shared with the processes that it starts."""

import os
import sys
import tempfile
from collections.abc import Sequence

import numpy as np

from clothseg.photos import RgbImage

Size = tuple[int, int]


class PhotoCache:
    """Keeps photos `[H, W, 3]` after their first use, up to `budget` bytes. A copy in another process keeps none."""

    def __init__(self, budget: int = 0) -> None:
        self.left = budget
        self.photos: dict[int, RgbImage] = {}

    def get(self, position: int) -> RgbImage | None:
        """The photo at `position`, if it is there."""
        return self.photos.get(position)

    def put(self, position: int, photo: RgbImage) -> None:
        """Keeps the photo if there is room."""
        if photo.nbytes <= self.left:
            self.left -= photo.nbytes
            self.photos[position] = photo

    @property
    def files(self) -> list[int]:
        """File descriptors that another process needs to use the cache."""
        return []

    def __reduce__(self) -> tuple[type["PhotoCache"], tuple[()]]:
        return PhotoCache, ()


class SharedPhotoCache(PhotoCache):
    """Keeps the photos that fit, in order, in memory that processes share; see `share_photos`.

    The first bytes say which photos are there, and the photos follow. A photo is written before its mark. Two processes
    may write the same one; they write the same bytes.

    Args:
        file: descriptor of the memory.
        sizes: height and width of the photos that have a place.
    """

    def __init__(self, file: int, sizes: Sequence[Size]) -> None:
        super().__init__()
        self.file, self.sizes = file, list(sizes)
        self.starts = np.cumsum([len(sizes), *(height * width * 3 for height, width in sizes)])

    def get(self, position: int) -> RgbImage | None:
        """See `PhotoCache.get`; a copy, so that nobody changes the shared one."""
        if sys.platform == "win32":  # see `share_photos`
            return None
        if position >= len(self.sizes) or os.pread(self.file, 1, position) != b"\1":
            return None
        photo = np.empty((*self.sizes[position], 3), dtype=np.uint8)
        left, start = photo.reshape(-1).data, int(self.starts[position])
        while left:
            count = os.preadv(self.file, [left], start)
            if not count:
                return None
            left, start = left[count:], start + count
        return photo

    def put(self, position: int, photo: RgbImage) -> None:
        """See `PhotoCache.put`."""
        if sys.platform == "win32" or position >= len(self.sizes):
            return
        left, start = photo.reshape(-1).data, int(self.starts[position])
        while left:
            count = os.pwrite(self.file, left, start)
            left, start = left[count:], start + count
        os.pwrite(self.file, b"\1", position)

    @property
    def files(self) -> list[int]:
        """See `PhotoCache.files`."""
        return [self.file]

    def __reduce__(self) -> tuple[type["PhotoCache"], tuple[int, list[Size]]]:  # type: ignore[override]
        return SharedPhotoCache, (self.file, self.sizes)


class OwnedPhotoCache(SharedPhotoCache):
    """The cache in the process that made it; the memory is free when all processes have closed it."""

    def __del__(self) -> None:
        os.close(self.file)


def fitting(sizes: Sequence[Size], budget: int) -> int:
    """How many photos of these sizes fit, in their order."""
    return int((np.cumsum([height * width * 3 for height, width in sizes]) <= budget).sum())


def share_photos(sizes: Sequence[Size], budget: int) -> PhotoCache:
    """A cache that processes share, for as many photos of `sizes` as fit `budget`; on Windows it keeps nothing.

    On Linux it is memory without a name, which does not count as `/dev/shm` (small in containers); on macOS it is an
    unnamed temporary file, which the system keeps in memory while there is room.
    """
    if sys.platform == "win32":
        return PhotoCache()
    if sys.platform == "linux":
        file = os.memfd_create("clothseg-photos")
    else:
        with tempfile.TemporaryFile() as temporary:
            file = os.dup(temporary.fileno())
    return OwnedPhotoCache(file, sizes[: fitting(sizes, budget)])
