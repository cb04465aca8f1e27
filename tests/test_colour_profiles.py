"""Photos with an ICC profile are read in the colours of sRGB."""

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from clothseg.photos import read_photo

P3 = np.array([[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]])
"""Linear Display P3 to XYZ with the white D50, as in Apple's profile."""
SRGB = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
"""The same for sRGB, as in the profile sRGB IEC61966-2.1."""
COLOURS = np.array([[200, 120, 80], [90, 150, 120], [128, 128, 128], [255, 255, 255], [0, 0, 0]], np.uint8)


def fixed(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def profile(matrix: "np.ndarray[tuple[int, int], np.dtype[np.float64]]", gamma: float) -> bytes:
    """A display's profile by ICC.1:2001-04: header, table of tags, three colours and one curve."""
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"wide\0" + bytes(78),
        b"wtpt": b"XYZ " + bytes(4) + fixed(0.9642, 1, 0.8249),
        **{name: b"XYZ " + bytes(4) + fixed(*matrix[:, k]) for k, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))},
        **{
            name: b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) for name in (b"rTRC", b"gTRC", b"bTRC")
        },
    }
    table, content, start = b"", b"", 132 + 12 * len(tags)
    for name, tag in tags.items():
        table += name + struct.pack(">II", start + len(content), len(tag))
        content += tag + bytes(-len(tag) % 4)
    size = start + len(content)
    head = struct.pack(">I4s4s4s4s4s", size, bytes(4), b"\x02\x10\0\0", b"mntr", b"RGB ", b"XYZ ")
    head = (head + bytes(12) + b"acsp").ljust(68, b"\0") + fixed(0.9642, 1, 0.8249)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + content


def by_hand(
    colours: "np.ndarray[tuple[int, int], np.dtype[np.uint8]]",
) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
    """Display P3 with a gamma of 2.2 as sRGB, by IEC 61966-2-1."""
    linear = np.linalg.solve(SRGB, P3 @ (colours / 255).T ** 2.2).T.clip(0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colours_of_display_p3_become_those_of_srgb(mode: str, tmp_path: Path) -> None:
    picture = Image.fromarray(COLOURS[None]).convert(mode)
    picture.save(tmp_path / "p3.png", icc_profile=profile(P3, 2.2))
    found = read_photo(tmp_path / "p3.png")[0]
    assert np.abs(found - by_hand(COLOURS)).max() <= 2
    assert np.abs(found[0].astype(int) - COLOURS[0]).max() > 5


def test_a_turned_photo_has_the_same_colours(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(COLOURS[None]).save(tmp_path / "p3.png", icc_profile=profile(P3, 2.2), exif=exif)
    assert np.abs(read_photo(tmp_path / "p3.png")[:, 0] - by_hand(COLOURS)).max() <= 2


@pytest.mark.parametrize("content", [b"", b"no profile", profile(P3, 2.2)[:200], profile(SRGB, 2.2)[:131]])
def test_a_broken_profile_changes_nothing(content: bytes, tmp_path: Path) -> None:
    Image.fromarray(COLOURS[None]).save(tmp_path / "p.png", icc_profile=content)
    np.testing.assert_array_equal(read_photo(tmp_path / "p.png")[0], COLOURS)


def test_the_profile_of_srgb_changes_nothing(tmp_path: Path) -> None:
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    noise = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "p.png", icc_profile=own)
    np.testing.assert_array_equal(read_photo(tmp_path / "p.png"), noise)
