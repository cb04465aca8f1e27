"""Large crops, done in strips: the same values as whole ones, and bounded memory."""

import itertools
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch

from clothseg.garments import foreground, matting, own_colours, refine, soft_mask
from clothseg.garments.large import enlarge_rows, strips
from clothseg.garments.regions import cut_regions
from clothseg.instances import PixelMasks

from .test_matting import coarse, disc, photo_of, wrong


@pytest.mark.parametrize("channels", [(), (3,)])
def test_rows_are_those_of_the_whole_enlarged_picture(channels: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).random((7, 9, *channels)).astype(np.float32)
    whole = cv2.resize(values, (40, 31), interpolation=cv2.INTER_LINEAR)
    for rows in (slice(0, 31), slice(0, 5), slice(13, 14), slice(26, 31)):
        assert np.allclose(enlarge_rows(values, rows, (31, 40)), whole[rows], atol=1e-5)


def test_strips_cover_all_rows_once() -> None:
    parts = list(strips(3001, 2000))
    assert [parts[0].start, parts[-1].stop] == [0, 3001]
    assert all(one.stop == other.start for one, other in itertools.pairwise(parts))
    assert len(list(strips(2, 2**22))) == 2


def test_alpha_in_strips_is_that_of_the_whole_crop(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = disc((1100, 900), 320)
    photo = photo_of(truth, np.random.default_rng(1))
    soft = soft_mask(coarse(truth), 0)
    assert soft is not None
    whole = refine(photo, soft)
    monkeypatch.setattr(matting, "LARGE_CROP", 1000)
    assert np.abs(refine(photo, soft) - whole).max() < 0.02


def test_two_specks_far_apart_are_cut_on_a_coarse_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a mask has few pixels, and its box is the whole photo."""
    truth = np.zeros((1900, 1800), dtype=bool)
    truth[100:150, 90:150] = truth[1800:1860, 1700:1750] = True
    photo = photo_of(truth, np.random.default_rng(2))
    soft = soft_mask(PixelMasks(torch.from_numpy(truth)[None]), 0)
    assert soft is not None and soft.values.shape == truth.shape
    sizes = []

    def cut(colours: np.ndarray, certainty: np.ndarray) -> np.ndarray:
        sizes.append(colours.shape[:2])
        return cut_regions(colours, certainty)

    monkeypatch.setattr(matting, "cut_regions", cut)
    alpha = refine(photo, soft)
    assert wrong(alpha, truth) < 0.2
    ((height, width),) = sizes
    assert height * width < 2_000_000


@pytest.mark.usefixtures("matting")
def test_the_background_is_removed_from_a_large_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreground, "LARGE_CROP", 160 * 160 // 4)
    alpha = np.clip((120 - np.hypot(*(np.mgrid[:320, :320] - 160))) / 32 + 0.5, 0, 1).astype(np.float32)
    red, green = np.array([200.0, 40, 40]), np.array([20.0, 200, 60])
    photo = np.rint(alpha[..., None] * red + (1 - alpha[..., None]) * green).astype(np.uint8)
    seen = (alpha > 0.15) & (alpha < 0.85)
    colours = own_colours(photo, alpha)
    assert np.abs(photo[seen] - red).mean() > 30
    assert np.abs(colours[seen] - red).mean() < 5
    assert np.array_equal(colours[alpha == 1], photo[alpha == 1])


MEMORY = """
import resource
import numpy as np
from clothseg.garments import load_foreground, own_colours, refine
from clothseg.garments.matting import SoftMask

load_foreground()(np.ones((8, 8, 3), np.float32), np.ones((8, 8), np.float32))
y, x = np.ogrid[:4000, :3000]
inside = (y - 2000) ** 2 + (x - 1500) ** 2 < 1400**2
photo = np.where(inside[..., None], np.uint8([180, 60, 60]), np.uint8([60, 110, 140]))
soft = SoftMask(slice(0, 4000), slice(0, 3000), inside.astype(np.float32))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
alpha = refine(photo, soft)
own_colours(photo, alpha)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * (1 if sys.platform == "darwin" else 1024))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no module resource")
def test_memory_of_a_large_crop_is_bounded() -> None:
    """Whole, a float for every channel of colours, slopes and layers would take 80 bytes for each pixel and more."""
    done = subprocess.run([sys.executable, "-c", "import sys\n" + MEMORY], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 40 * 4000 * 3000
