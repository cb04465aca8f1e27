"""Photos: each has its own address."""

import base64
import binascii
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl

from clothseg.errors import ClothsegError, DataError
from clothseg.http import RemoteFile, fetch_file, md5_of
from clothseg.openimages.download.decode import PHOTO_KINDS, check_picture
from clothseg.openimages.download.job import DownloadJob, part_file
from clothseg.openimages.download.plan import PhotoPlan
from clothseg.openimages.download.request import SplitRequest

# The copies in the public bucket have at most 1024 pixels a side; a mirror may have originals.
MAX_PHOTO_BYTES = 256 << 20
SAMPLED = 16


@dataclass(frozen=True)
class Original:
    """What an image list says about the original photo: its size in bytes, and its MD5 in hex."""

    size: int
    md5: str


def plan_photos(job: DownloadJob, request: SplitRequest) -> PhotoPlan:
    """Finds the photos of a split that are missing, and asks for the sizes of `SAMPLED` of them."""
    folder = job.out / request.split
    check = partial(check_picture, kinds=PHOTO_KINDS)
    missing = [image_id for image_id in request.photos if not job.ledger.accepts(folder / f"{image_id}.jpg", check)]
    sizes = []
    for image_id in missing[:: max(len(missing) // SAMPLED, 1)][:SAMPLED]:
        try:
            size = job.client.probe(job.publisher.photo(request.split, image_id).urls[0], attempts=1).size
        except ClothsegError:
            continue
        if size:
            sizes.append(size)
    return PhotoPlan(request.split, len(request.photos), missing, sum(sizes) // max(len(sizes), 1), len(sizes))


def fetch_photo(job: DownloadJob, split: str, image_id: str, original: Original | None) -> None:
    """Fetches a photo to `SPLIT/ID.jpg`, and adds it to the ledger.

    Args:
        job: the folder and the servers.
        split: of Open Images.
        image_id: 16 hex digits.
        original: from the image list, if known. A photo of the same size is the original itself, not a smaller copy;
            then it must have the same MD5.

    Raises:
        GoneError: the server does not have it.
        DownloadError: it cannot be fetched.
    """

    def check(path: Path) -> None:
        check_picture(path, PHOTO_KINDS)
        if original and path.stat().st_size == original.size and md5_of(path) != original.md5:
            raise DataError(f"{path}: has the size of the original photo, but not its MD5")

    path = job.out / split / f"{image_id}.jpg"
    remote = RemoteFile(job.publisher.photo(split, image_id).urls[0])
    part = part_file(job.parts, path)
    md5 = fetch_file(job.client, remote, path, part=part, check=check, max_bytes=MAX_PHOTO_BYTES)
    job.ledger.add(path, md5)


def read_originals(path: Path, image_ids: Collection[str]) -> dict[str, Original]:
    """Reads size and MD5 of original photos from an image list, by image id. Photos without them are left out.

    Raises:
        DataError: the list cannot be read.
    """
    columns = ["ImageID", "OriginalSize", "OriginalMD5"]
    try:
        table = pl.scan_csv(path, infer_schema=False, encoding="utf8-lossy", truncate_ragged_lines=True)
        if not set(columns) <= set(table.collect_schema().names()):
            return {}
        rows = table.select(columns).filter(pl.col("ImageID").is_in(sorted(image_ids))).collect(engine="streaming")
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path}: the table cannot be read ({str(error).splitlines()[0]})") from error
    originals = {}
    for image_id, size, text in rows.drop_nulls().iter_rows():
        try:
            digest = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            continue
        if size.isdigit() and len(digest) == 16:
            originals[image_id] = Original(int(size), digest.hex())
    return originals
