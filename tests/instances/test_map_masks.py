"""Masks as maps over the whole photo, against `torch.nn.functional.interpolate`."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from clothseg import cpu_path
from clothseg.instances import MapMasks, PixelMasks, axis_taps, decode, encode_photos, sample_maps

CPU = torch.device("cpu")


@pytest.fixture(params=["cpu", "gpu"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Both ways of computing, on a CPU."""
    if request.param == "gpu":
        monkeypatch.setattr(cpu_path, "uses_cpu_path", lambda tensor: False)
    yield request.param


def blobs(count: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    """Maps of random values, each 0 outside of a random rectangle, which may touch the edges or be empty."""
    generator = np.random.default_rng(seed)
    maps = torch.from_numpy(generator.random((count, height, width), dtype=np.float32))
    for number in range(count):
        top, bottom = sorted(generator.integers(0, height + 1, 2).tolist())
        left, right = sorted(generator.integers(0, width + 1, 2).tolist())
        inside = torch.zeros(height, width, dtype=torch.bool)
        inside[top:bottom, left:right] = True
        maps[number] *= inside
    return maps


def masks_of(maps: torch.Tensor, size: tuple[int, int], threshold: float = 0.5) -> MapMasks:
    return MapMasks(maps, torch.zeros(len(maps), 4), size, threshold)


@pytest.mark.parametrize("size", [(83, 55), (17, 23), (20, 30), (5, 200), (1, 1)])
@pytest.mark.parametrize("threshold", [0.5, 0.3])
def test_pixels_are_those_of_interpolate(way: str, size: tuple[int, int], threshold: float) -> None:
    maps = blobs(12, 20, 30)
    wide = F.interpolate(maps[None].double(), size, mode="bilinear", align_corners=False)[0]
    found = masks_of(maps, size, threshold)
    clear = (wide - threshold).abs() > 1e-5
    assert torch.equal(found.pixels()[clear], (wide > threshold)[clear])
    if threshold == 0.5:
        torch.testing.assert_close(found.soft(), wide.float(), atol=1e-5, rtol=0)


def test_soft_has_its_edge_at_one_half_for_any_threshold(way: str) -> None:
    found = masks_of(blobs(8, 12, 9), (40, 33), 0.3)
    assert torch.equal(found.soft() > 0.5, found.pixels())
    assert float(found.soft().min()) >= 0 and float(found.soft().max()) <= 1


def test_parts_of_the_photo_are_cut_from_the_whole(way: str) -> None:
    found = masks_of(blobs(6, 16, 16), (50, 70))
    part = found.soft(slice(10, 31), slice(40, 65))
    torch.testing.assert_close(part, found.soft()[:, 10:31, 40:65])


def test_a_photo_in_a_frame_takes_its_region_of_the_map(way: str) -> None:
    """The frame is 40 x 60, the photo its rows 8 to 32 and all columns: at the frame's own size, pixels are cells."""
    maps = blobs(7, 40, 60)
    found = MapMasks(maps, torch.zeros(7, 4), (24, 60), 0.5, (8 / 40, 0.0, 24 / 40, 1.0))
    assert torch.equal(found.pixels(), maps[:, 8:32] > 0.5)
    torch.testing.assert_close(found.soft(), maps[:, 8:32])


def test_run_lengths_are_those_of_the_pixels(way: str) -> None:
    photos = [masks_of(blobs(5, 14, 14, 1), (37, 29)), masks_of(blobs(1, 6, 8, 2), (64, 11))]
    boxes = torch.zeros((0, 4))
    photos.append(MapMasks(torch.zeros((0, 4, 4)), boxes, (9, 9)))
    for photo, runs in zip(photos, encode_photos(photos), strict=True):
        assert runs == PixelMasks(photo.pixels()).rle() == photo.rle()
        assert [int(decode(run).sum()) for run in runs] == photo.pixels().sum(dim=(1, 2)).tolist()


def test_selection_keeps_order(way: str) -> None:
    maps = blobs(4, 9, 9)
    found = masks_of(maps, (18, 18)).select(torch.tensor([2, 0]))
    assert len(found) == 2 and found.size == (18, 18)
    assert torch.equal(found.pixels(), masks_of(maps[[2, 0]], (18, 18)).pixels())


def test_no_masks(way: str) -> None:
    found = MapMasks(torch.zeros((0, 5, 5)), torch.zeros((0, 4)), (10, 12))
    assert found.pixels().shape == found.soft().shape == (0, 10, 12)
    assert found.rle() == [] and found.boxes().shape == (0, 4)


@pytest.mark.parametrize("cells", [(7, 9), (55, 40), (110, 4)])
def test_samples_of_integers_are_those_of_interpolate(cells: tuple[int, int]) -> None:
    """Rows first or columns first, by which is less work: the answer is the same."""
    maps = (blobs(3, 55, 40) > 0.5).to(torch.uint8)
    wide = F.interpolate(maps[None].float(), cells, mode="bilinear", align_corners=False)[0]
    found = sample_maps(maps, *(axis_taps(side, old, 0, 1, CPU) for side, old in zip(cells, (55, 40), strict=True)))
    torch.testing.assert_close(found, wide, atol=1e-5, rtol=0)
