"""Photos, each by its own address."""

import base64
import binascii
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from clothseg.errors import ClothsegError, DataError
from clothseg.openimages.download.decode import PHOTO_KINDS, check_picture
from clothseg.openimages.download.fetch import fetch_file
from clothseg.openimages.download.ledger import Ledger, md5_of
from clothseg.openimages.download.plan import PhotoPlan
from clothseg.openimages.download.sources import Publisher
from clothseg.openimages.download.wanted import SplitRequest
from clothseg.openimages.download.web import Remote, Web

# The copies in the public bucket have at most 1024 pixels a side; a mirror may have originals.
LARGEST_PHOTO = 256 << 20
SAMPLED = 16


@dataclass(frozen=True)
class Original:
    """What an image list says of the original photo: its bytes, and their MD5 in hex."""

    size: int
    md5: str


def plan_photos(web: Web, publisher: Publisher, wanted: SplitRequest, out: Path, ledger: Ledger) -> PhotoPlan:
    """See which photos of a split are missing, and ask for the sizes of a few of them."""
    missing = [image_id for image_id in wanted.photos if not _is_there(out / wanted.split / f"{image_id}.jpg", ledger)]
    sizes = []
    for image_id in missing[:: max(len(missing) // SAMPLED, 1)][:SAMPLED]:
        try:
            size = web.probe(publisher.photo(wanted.split, image_id).urls[0], patient=False).size
        except ClothsegError:
            continue
        if size:
            sizes.append(size)
    return PhotoPlan(wanted.split, len(wanted.photos), missing, sum(sizes) // max(len(sizes), 1), len(sizes))


def fetch_photo(
    web: Web, publisher: Publisher, split: str, image_id: str, out: Path, parts: Path, original: Original | None
) -> str:
    """Fetch a photo to `train/ID.jpg`.

    Args:
        web: does the requests.
        publisher: knows the address.
        split: of Open Images.
        image_id: 16 hex digits.
        out: the folder with `train/`.
        parts: folder for what has come so far.
        original: from the image list, if known. Its MD5 must be that of the photo if the size is: then it is the
            original, and no copy made smaller.

    Returns:
        The MD5, in hex.

    Raises:
        GoneError: it is no longer to be had.
        DownloadError: it could not be fetched.
    """

    def check(path: Path) -> None:
        check_picture(path, PHOTO_KINDS)
        if original and path.stat().st_size == original.size and md5_of(path) != original.md5:
            raise DataError(f"{path}: has the size of the original photo, but not its MD5")

    remote = Remote(publisher.photo(split, image_id).urls[0], None, ranges=True, validator=None)
    return fetch_file(web, remote, out / split / f"{image_id}.jpg", parts, check=check, limit=LARGEST_PHOTO)


def read_originals(path: Path, image_ids: Collection[str]) -> dict[str, Original]:
    """Size and MD5 of the originals of photos, by id, from an image list; without those that it does not tell.

    Raises:
        DataError: it cannot be read.
    """
    columns = ["ImageID", "OriginalSize", "OriginalMD5"]
    try:
        table = pl.scan_csv(path, infer_schema=False, encoding="utf8-lossy", truncate_ragged_lines=True)
        if not set(columns) <= set(table.collect_schema().names()):
            return {}
        rows = table.select(columns).filter(pl.col("ImageID").is_in(sorted(image_ids))).collect(engine="streaming")
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path}: not a table that can be read ({str(error).splitlines()[0]})") from error
    found = {}
    for image_id, size, text in rows.drop_nulls().iter_rows():
        try:
            digest = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            continue
        if size.isdigit() and len(digest) == 16:
            found[image_id] = Original(int(size), digest.hex())
    return found


def _is_there(path: Path, ledger: Ledger) -> bool:
    """Whether the photo is there and good; one that nobody vouches for is decoded."""
    if ledger.holds(path):
        return True
    if ledger.knows(path):
        return False
    try:
        check_picture(path, PHOTO_KINDS)
    except DataError:
        return False
    ledger.add(path)
    return True
