"""Similar photos, compared with a plain double loop and imagehash's own distance, and among thousands."""

from pathlib import Path

import imagehash
import numpy as np
import pytest
from PIL import Image, ImageFilter

from clothseg.dataset.doctor.photos import ImageStats, image_stats
from clothseg.dataset.doctor.splits import similar


def made(seed: int, size: tuple[int, int] = (120, 90)) -> Image.Image:
    """A picture with soft random spots."""
    spots = np.random.default_rng(seed).integers(0, 256, (9, 12), dtype=np.uint8)
    return Image.fromarray(spots).resize(size, Image.Resampling.BICUBIC).convert("RGB")


def test_same_as_a_double_loop(tmp_path: Path) -> None:
    pictures = [made(seed) for seed in range(12)]
    pictures += [made(3).filter(ImageFilter.GaussianBlur(1)), made(5).resize((60, 45)), made(7).rotate(90)]
    stats = []
    for number, picture in enumerate(pictures):
        picture.save(tmp_path / f"{number}.png")
        stats.append(image_stats(tmp_path / f"{number}.png"))
    hashes = [imagehash.phash(picture) for picture in pictures]
    thumbs = [np.asarray(p.convert("L").resize((32, 32), Image.Resampling.BOX), dtype=float).ravel() for p in pictures]
    expected = set()
    for left in range(12):
        for right in range(12, 15):
            correlation = np.corrcoef(thumbs[left], thumbs[right])[0, 1]
            if hashes[left] - hashes[right] <= 12 and correlation >= 0.9:
                expected.add((left, right - 12, hashes[left] - hashes[right]))
    found = list(similar(stats[:12], stats[12:]))
    assert {(left, right, bits) for left, right, bits, _ in found} == expected
    assert {(left, right) for left, right, _ in expected} == {(3, 0), (5, 1)}


def test_flat_pictures_are_not_similar(tmp_path: Path) -> None:
    for name, colour in (("a", "white"), ("b", "black")):
        Image.new("RGB", (50, 50), colour).save(tmp_path / f"{name}.png")
    assert list(similar([image_stats(tmp_path / "a.png")], [image_stats(tmp_path / "b.png")])) == []


def many(count: int, generator: np.random.Generator) -> list[ImageStats]:
    thumbs = generator.normal(size=(count, 1024)).astype(np.float32)
    thumbs /= np.linalg.norm(thumbs, axis=1, keepdims=True)
    bits = generator.integers(0, 2**64, count, dtype=np.uint64)
    return [ImageStats(size=(1, 1), bits=int(b), thumb=t) for b, t in zip(bits, thumbs, strict=True)]


@pytest.mark.parametrize("count", [3000])
def test_one_among_thousands_is_found(count: int) -> None:
    left, right = many(count, np.random.default_rng(0)), many(count, np.random.default_rng(1))
    right[1234] = ImageStats(size=(1, 1), bits=left[777].bits ^ 0b10011, thumb=left[777].thumb)
    ((one, two, bits, correlation),) = similar(left, right)
    assert (one, two, bits) == (777, 1234, 3)
    assert correlation == pytest.approx(1.0)
