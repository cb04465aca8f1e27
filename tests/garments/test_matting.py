"""Soft masks compared with torch's sampling, edges with known discs, colours with known mixtures."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from clothseg.garments import Edges, own_colours, refine, soft_mask
from clothseg.instances import BoxMasks, PixelMasks


def disc(size: tuple[int, int], radius: float) -> np.ndarray:
    """A disc in the middle, `[H, W]` bool, with waves too small for a map of 28 x 28 cells."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    angle = np.arctan2(y - size[0] / 2, x - size[1] / 2)
    away = np.hypot(y - size[0] / 2, x - size[1] / 2)
    return np.asarray(away < radius * (1 + 0.06 * np.sin(17 * angle)), dtype=np.bool_)


def photo_of(mask: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A photo of the mask: red on blue-green, with noise."""
    colours = np.where(mask[..., None], (180.0, 60, 60), (60.0, 110, 140))
    return np.clip(colours + generator.normal(0, 6, colours.shape), 0, 255).astype(np.uint8)


def coarse(mask: np.ndarray, cells: int = 28) -> BoxMasks:
    """The mask as a small map in its box."""
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = [xs[0], ys[0], xs[-1] + 1, ys[-1] + 1]
    part = mask[box[1] : box[3], box[0] : box[2]].astype(np.float32)
    small = cv2.resize(part, (cells, cells), interpolation=cv2.INTER_AREA)
    return BoxMasks(torch.from_numpy(small)[None], torch.tensor([box], dtype=torch.float32), mask.shape)


def wrong(alpha: np.ndarray, truth: np.ndarray) -> float:
    """The number of wrong pixels, relative to the object's pixels."""
    return float(np.count_nonzero((alpha > 0.5) != truth) / np.count_nonzero(truth))


def test_soft_masks_are_interpolated_as_in_torch() -> None:
    grid = torch.rand(1, 9, 9, generator=torch.Generator().manual_seed(0))
    box = torch.tensor([[5.3, 8.1, 61.7, 44.9]])
    soft = soft_mask(BoxMasks(grid, box, (60, 80)), 0)
    assert soft is not None
    y = torch.arange(soft.rows.start, soft.rows.stop) + 0.5
    x = torch.arange(soft.columns.start, soft.columns.stop) + 0.5
    down, across = torch.meshgrid(
        (y - box[0, 1]) / (box[0, 3] - box[0, 1]) * 2 - 1,
        (x - box[0, 0]) / (box[0, 2] - box[0, 0]) * 2 - 1,
        indexing="ij",
    )
    theirs = F.grid_sample(grid[None], torch.stack([across, down], -1)[None], align_corners=False)[0, 0]
    assert np.allclose(soft.values, theirs.numpy(), atol=1e-5)


def test_another_threshold_is_moved_to_one_half() -> None:
    grid = torch.full((1, 4, 4), 0.3)
    box = torch.tensor([[10.0, 10, 30, 30]])
    assert soft_mask(BoxMasks(grid, box, (40, 40)), 0) is None
    soft = soft_mask(BoxMasks(grid, box, (40, 40), threshold=0.2), 0)
    assert soft is not None
    assert soft.values.max() == pytest.approx(0.5 + 0.5 * 0.1 / 0.8)


def test_pixel_masks_and_empty_masks() -> None:
    pixels = torch.zeros(2, 30, 40, dtype=torch.bool)
    pixels[0, 3:20, 4:9] = True
    soft = soft_mask(PixelMasks(pixels), 0)
    assert soft is not None
    frame = np.zeros((30, 40), np.float32)
    frame[soft.rows, soft.columns] = soft.values
    assert np.array_equal(frame, pixels[0].numpy().astype(np.float32))
    assert soft_mask(PixelMasks(pixels), 1) is None


@pytest.mark.parametrize("edges", ["regions", "grabcut"])
@pytest.mark.parametrize("size", [(240, 200), (1100, 900)])
def test_edges_move_to_the_photos_edges(size: tuple[int, int], edges: Edges) -> None:
    truth = disc(size, 0.35 * min(size))
    photo = photo_of(truth, np.random.default_rng(1))
    soft = soft_mask(coarse(truth), 0)
    assert soft is not None
    part = truth[soft.rows, soft.columns]
    alpha = refine(photo, soft, edges=edges)
    assert alpha.dtype == np.float32
    assert 0 <= alpha.min() <= alpha.max() <= 1
    assert wrong(soft.values, part) > 0.01
    assert wrong(alpha, part) < 0.5 * wrong(soft.values, part)


@pytest.mark.parametrize("edges", ["regions", "grabcut"])
def test_edges_stay_on_a_photo_without_contrast(edges: Edges) -> None:
    truth = disc((240, 200), 70)
    soft = soft_mask(coarse(truth), 0)
    assert soft is not None
    alpha = refine(np.full((240, 200, 3), 128, np.uint8), soft, edges=edges)
    assert wrong(alpha, soft.values > 0.5) < 0.01


@pytest.mark.usefixtures("matting")
def test_the_colour_of_the_background_is_removed() -> None:
    alpha = np.clip((60 - np.hypot(*(np.mgrid[:160, :160] - 80))) / 16 + 0.5, 0, 1).astype(np.float32)
    red, green = np.array([200.0, 40, 40]), np.array([20.0, 200, 60])
    photo = np.rint(alpha[..., None] * red + (1 - alpha[..., None]) * green).astype(np.uint8)
    seen = (alpha > 0.15) & (alpha < 0.85)
    before = np.abs(photo[seen] - red).mean()
    after = np.abs(own_colours(photo, alpha)[seen] - red).mean()
    assert before > 30
    assert after < 5


def test_own_colours_are_those_of_pymatting() -> None:
    from pymatting import estimate_foreground_ml

    truth = disc((120, 100), 35)
    photo = photo_of(truth, np.random.default_rng(2))
    alpha = np.asarray(cv2.GaussianBlur(truth.astype(np.float32), (9, 9), 3), dtype=np.float32)
    theirs = estimate_foreground_ml(photo / 255, alpha)
    assert np.array_equal(own_colours(photo, alpha), np.rint(np.clip(theirs, 0, 1) * 255).astype(np.uint8))


def test_colours_are_estimated_in_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    import numba

    threads = []

    def counted(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
        threads.append(numba.get_num_threads())
        return colours

    monkeypatch.setattr("clothseg.garments.foreground.load_foreground", lambda: counted)
    before = numba.get_num_threads()
    own_colours(np.zeros((8, 8, 3), np.uint8), np.ones((8, 8), np.float32))
    assert (threads, numba.get_num_threads()) == ([1], before)


def test_what_is_compiled_is_kept_and_little(tmp_path: Path) -> None:
    """A second process reads what the first one has compiled, and only what is used was compiled."""
    ours = "from clothseg.garments import load_foreground\nestimate = load_foreground()\n"
    call = "import numpy as np\nprint(estimate(np.ones((4, 4, 3), np.float32), np.ones((4, 4), np.float32)).sum())"
    kept = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", ours + call],
            env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert float(done.stdout) == pytest.approx(48, rel=1e-3)
        kept.append({path.name: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb?")})
    assert kept[0] == kept[1] != {}
    assert all(name.startswith("estimate_foreground_ml.") for name in kept[0])
