"""Photos and their checksums."""

import base64
import hashlib
from pathlib import Path
from typing import Any


def test_the_checksum_of_the_original_is_verified_if_the_photo_is_the_original(
    serve: Any, fault: Any, sample_files: dict[str, bytes], fetch: Any, tmp_path: Path
) -> None:
    path = next(k for k in sorted(sample_files) if k.startswith("train/"))
    image_id = path[6:-4]
    header = (
        "ImageID,Subset,OriginalURL,OriginalLandingURL,License,AuthorProfileURL,Author,Title,OriginalSize,OriginalMD5"
    )
    listed = "2018_04/train/train-images-boxable-with-rotation.csv"

    def site_with(size: int, md5: str) -> Any:
        row = f'{image_id},train,u,l,c,p,"A, B","two\nlines",{size},{md5}\n'
        return serve(sample_files | {listed: (header + "\n" + row).encode()})

    size = len(sample_files[path])
    wrong = "AAAAAAAAAAAAAAAAAAAAAA=="
    how: dict[str, Any] = {"splits": ["train"], "partitions": "0"}
    assert fetch(site_with(size + 1, wrong), tmp_path / "copy", **how).failed == ()
    summary = fetch(site_with(size, wrong), tmp_path / "raw", **how)
    assert [(f.file, "MD5" in f.reason) for f in summary.failed] == [(f"{image_id}.jpg", True)]
    right = base64.b64encode(hashlib.md5(sample_files[path]).digest()).decode()
    assert fetch(site_with(size, right), tmp_path / "same", **how).failed == ()
