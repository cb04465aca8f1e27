"""Changes to photo, boxes and masks together."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from clothseg.config import AugmentSettings, Config
from clothseg.dataset.augment import augment, paste_instances
from clothseg.dataset.augment.augment import change_geometry, draw_affine
from clothseg.errors import ConfigError
from clothseg.instances import Instances, PixelMasks

EVERYTHING = AugmentSettings.model_validate(
    {
        "scale": 0.3,
        "stretch": 0.2,
        "shift": 0.3,
        "rotate": {"max": 40, "p": 0.7},
        "shear": 15,
        "piecewise_affine": {"max": 0.03, "p": 0.7},
        "large_scale_jitter": [0.4, 2.0],
    }
)
LIGHT = AugmentSettings.model_validate(
    {"flip": 0, "brightness": 0.5, "contrast": 0.5, "saturation": 0.5, "blur": 2, "sharpen": 3}
)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def scene(height: int = 90, width: int = 70) -> tuple[Tensor, Instances]:
    """A red ellipse and a green box on black: the colours say where each object went."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    ellipse = ((y - height * 0.4) / 25) ** 2 + ((x - width * 0.4) / 18) ** 2 < 1
    box = (y >= height - 28) & (y < height - 8) & (x >= width - 25) & (x < width - 5)
    ellipse &= ~box
    masks = torch.stack([ellipse, box])
    image = torch.stack([ellipse.float(), box.float(), torch.zeros(height, width)])
    boxes = torch.tensor([[0.0, 0, 1, 1], [0, 0, 1, 1]])
    return image, Instances((height, width), boxes, torch.tensor([1, 2]), PixelMasks(masks))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_pixels_masks_and_boxes_agree(seed: int) -> None:
    image, truth = scene()
    changed, found = augment(image, truth, EVERYTHING, seeded(seed))
    assert changed.shape == image.shape
    assert set(found.classes.tolist()) <= {1, 2}
    for box, mask, label in zip(found.boxes, found.masks.pixels(), found.classes.tolist(), strict=True):
        rows, columns = np.nonzero(mask.numpy())
        assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        own, other = changed[label - 1], changed[2 - label]
        inside = cv2.erode(mask.numpy().astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        assert (own > other).numpy()[inside].all()
        outside = cv2.dilate(mask.numpy().astype(np.uint8), np.ones((3, 3), np.uint8)) == 0
        assert (own < 0.5).numpy()[outside].all()


@pytest.mark.parametrize("seed", range(6))
def test_the_map_is_the_one_of_opencv(seed: int) -> None:
    image, truth = scene()
    changes = EVERYTHING.model_copy(update={"flip": 0.0, "piecewise_affine": AugmentSettings().piecewise_affine})
    generator = seeded(seed)
    torch.rand((), generator=generator)  # the flip's draw
    affine = draw_affine(changes, truth.size, generator).numpy()
    moved, masks = change_geometry(image, truth.masks.pixels(), changes, seeded(seed))
    half = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])  # OpenCV counts from the middle of a pixel
    matrix = (half @ affine @ np.linalg.inv(half))[:2]
    size = truth.size[::-1]
    for channel, mask in enumerate(masks.numpy()):
        expected = cv2.warpAffine(image[channel].numpy(), matrix, size, flags=cv2.INTER_LINEAR)
        here = expected > 0.2
        np.testing.assert_allclose(moved[channel].numpy()[here], expected[here], atol=0.06)
        assert np.mean(mask != (expected > 0.5)) < 0.004


def test_light_moves_nothing() -> None:
    image, truth = scene()
    image = (image + 0.2).clamp(0, 1)
    for seed in range(5):
        changed, found = augment(image, truth, LIGHT, seeded(seed))
        assert torch.equal(found.masks.pixels(), truth.masks.pixels())
        assert not torch.equal(changed, image)
        assert changed.min() >= 0 and changed.max() <= 1


def test_nothing_asked_nothing_changed() -> None:
    image, truth = scene()
    changed, found = augment(image, truth, AugmentSettings(flip=0), seeded(1))
    assert torch.equal(changed, image)
    assert torch.equal(found.masks.pixels(), truth.masks.pixels())


def test_a_change_happens_as_often_as_its_chance() -> None:
    image, truth = scene(24, 20)
    image = image / 2  # so that no brighter value is cut off at 1
    settings_ = AugmentSettings.model_validate({"flip": 0, "brightness": {"max": 0.5, "p": 0.3}})
    changed = sum(not torch.equal(augment(image, truth, settings_, seeded(s))[0], image) for s in range(400))
    assert 85 < changed < 155  # 120 expected; four standard deviations


def test_what_leaves_the_photo_is_left_out() -> None:
    mask = torch.zeros((2, 50, 40), dtype=torch.bool)
    mask[0, :2, :2] = True
    mask[1, 20:30, 15:25] = True
    truth = Instances((50, 40), torch.zeros(2, 4), torch.tensor([3, 5]), PixelMasks(mask))
    settings_ = AugmentSettings.model_validate({"large_scale_jitter": [2.0, 2.0], "flip": 0})
    for seed in range(10):
        _, found = augment(torch.rand(3, 50, 40), truth, settings_, seeded(seed))
        assert 5 in found.classes.tolist() or not len(found)
        assert found.masks.pixels().flatten(1).any(1).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_pasted_objects_are_in_front(seed: int) -> None:
    image, truth = scene()
    other = torch.zeros(3, 45, 60)
    mask = torch.zeros((2, 45, 60), dtype=torch.bool)
    mask[0, 5:25, 5:40] = True
    mask[1, 28:40, 10:50] = True
    other[2][mask.any(0)] = 1.0
    crowd = torch.tensor([False, True])
    others = Instances((45, 60), torch.zeros(2, 4), torch.tensor([7, 8]), PixelMasks(mask), crowd=crowd)
    pasted, found = paste_instances(image, truth, other, others, seeded(seed))
    masks = found.masks.pixels()
    assert (masks.sum(0) <= 1).all()  # what is covered belongs to the object in front alone
    assert 8 not in found.classes.tolist()
    blue = pasted[2] > 0.5
    if 7 in found.classes.tolist():
        front = masks[found.classes == 7][0]
        assert ((front & ~blue).sum() / front.sum()) < 0.12
    else:
        assert torch.equal(pasted, image)
    unchanged = ~masks[found.classes == 7].any(0)
    assert torch.equal(pasted[:, unchanged], image[:, unchanged])


def test_bare_numbers_and_bad_ones() -> None:
    config = Config.load("demo", ["augment.rotate={max: 10, p: 0.25}", "augment.shear=5"])
    assert (config.augment.rotate.max, config.augment.rotate.p) == (10, 0.25)
    assert (config.augment.shear.max, config.augment.shear.p) == (5, 1)
    with pytest.raises(ConfigError, match=r"(?s)rotate.*jitter"):
        Config.load("demo", ["augment.large_scale_jitter=[-2, 1]", "augment.rotate=200"])
    with pytest.raises(ConfigError, match="smaller factor comes first"):
        Config.load("demo", ["augment.large_scale_jitter=[2, 1]"])
