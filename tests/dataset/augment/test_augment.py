"""Augmentation of photo, boxes and masks together."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as transforms

from clothseg.config import AugmentSettings, Config
from clothseg.dataset.augment import augment, paste_instances
from clothseg.dataset.augment.changes import draw_affine, draw_geometry
from clothseg.errors import ConfigError
from clothseg.instances import CropMasks, Instances, PixelMasks

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


def nothing_on(size: tuple[int, int]) -> Instances:
    masks = PixelMasks(torch.zeros((0, *size), dtype=torch.bool))
    return Instances(size, masks.boxes(), torch.zeros(0, dtype=torch.int64), masks)


def noise(height: int, width: int) -> Tensor:
    """A photo `[3, H, W]` of random bytes."""
    return torch.randint(256, (3, height, width), dtype=torch.uint8)


def scene(height: int = 90, width: int = 70) -> tuple[Tensor, Instances]:
    """A red ellipse and a green box on black. The colours show where each object is after a change."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    ellipse = ((y - height * 0.4) / 25) ** 2 + ((x - width * 0.4) / 18) ** 2 < 1
    box = (y >= height - 28) & (y < height - 8) & (x >= width - 25) & (x < width - 5)
    ellipse &= ~box
    masks = torch.stack([ellipse, box])
    image = torch.stack([ellipse, box, torch.zeros_like(box)]).to(torch.uint8) * 255
    boxes = torch.tensor([[0.0, 0, 1, 1], [0, 0, 1, 1]])
    return image, Instances((height, width), boxes, torch.tensor([1, 2]), PixelMasks(masks))


def moved_together(
    image: Tensor, truth: Instances, changes: AugmentSettings, generator: torch.Generator
) -> tuple[Tensor, CropMasks]:
    """A photo and its masks after one random change of geometry."""
    geometry = draw_geometry(changes, truth.size, generator)
    masks = (geometry.mask(mask) for mask in truth.mask_arrays())
    return geometry.image(image), CropMasks.cut(masks, truth.size)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_pixels_masks_and_boxes_agree(seed: int) -> None:
    image, truth = scene()
    changed, found = augment(image, truth, EVERYTHING, seeded(seed))
    assert changed.shape == image.shape
    # An object is found exactly if the photo still shows its colour, apart from single pixels at the photo's edge.
    expected = {label for label, channel in ((1, changed[0]), (2, changed[1])) if int((channel > 153).sum()) >= 8}
    assert expected <= set(found.classes.tolist()) <= {1, 2}
    for box, mask, label in zip(found.boxes, found.masks.pixels(), found.classes.tolist(), strict=True):
        rows, columns = np.nonzero(mask.numpy())
        assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        own, other = changed[label - 1], changed[2 - label]
        inside = cv2.erode(mask.numpy().astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        assert (own > other).numpy()[inside].all()
        outside = cv2.dilate(mask.numpy().astype(np.uint8), np.ones((3, 3), np.uint8)) == 0
        assert (own < 128).numpy()[outside].all()


def inside(size: tuple[int, int], affine: Tensor) -> Tensor:
    """The pixels `[H, W]` that come from within the old photo, a pixel away from its edge."""
    y, x = torch.meshgrid(*(torch.arange(side) + 0.5 for side in size), indexing="ij")
    origin = torch.linalg.inv(affine) @ torch.stack([x, y, torch.ones_like(x)]).flatten(1)
    x, y = origin[0].reshape(size), origin[1].reshape(size)
    there: Tensor = (x > 1) & (x < size[1] - 1) & (y > 1) & (y < size[0] - 1)
    return there


def smooth_noise(size: tuple[int, int], seed: int) -> Tensor:
    """A photo `[3, H, W]` uint8 without sharp edges."""
    values: Tensor = transforms.gaussian_blur(torch.rand((3, *size), generator=seeded(seed)), [9, 9], [2.0, 2.0])
    return (values * 255).to(torch.uint8)


@pytest.mark.parametrize("seed", range(6))
def test_the_affine_map_equals_torchvision(seed: int) -> None:
    """Away from the photo's edge, where torchvision blends the fill colour in its own way."""
    _, truth = scene()
    image = smooth_noise(truth.size, seed)
    changes = EVERYTHING.model_copy(update={"flip": 0.0, "piecewise_affine": AugmentSettings().piecewise_affine})
    generator = seeded(seed)
    torch.rand((), generator=generator)  # drawn for the flip
    affine = draw_affine(changes, truth.size, generator)
    coefficients = [*torch.linalg.inv(affine)[:2].flatten().tolist(), 0.0, 0.0]

    def expected(values: Tensor, mode: InterpolationMode) -> Tensor:
        mapped: Tensor = transforms.perspective(values.float(), None, None, mode, [0.0], coefficients)
        return mapped

    moved, masks = moved_together(image, truth, changes, seeded(seed))
    there, photo = inside(truth.size, affine), expected(image, InterpolationMode.BILINEAR)
    assert there.any()
    torch.testing.assert_close(moved.float()[:, there], photo[:, there], atol=2, rtol=0)  # of 255 grey levels
    mapped = expected(truth.masks.pixels(), InterpolationMode.NEAREST) > 0.5
    assert (masks.pixels() != mapped).float().mean() < 0.001


@pytest.mark.parametrize("seed", range(3))
def test_the_piecewise_affine_map_equals_torchvision(seed: int) -> None:
    _, truth = scene()
    image = smooth_noise(truth.size, seed)
    bent = AugmentSettings.model_validate({"flip": 0, "piecewise_affine": 0.04})
    moved, masks = moved_together(image, truth, bent, seeded(seed))
    generator = seeded(seed)
    torch.rand((), generator=generator)  # drawn for the flip
    draw_affine(bent, truth.size, generator)
    torch.rand((), generator=generator)  # drawn for whether it happens
    points = torch.zeros((1, 2, 5, 5))
    points[..., 1:-1, 1:-1] = (2 * torch.rand((1, 2, 3, 3), generator=generator) - 1) * 0.04 * 2  # of half a side
    grid = torch.nn.functional.interpolate(points, size=truth.size, mode="bilinear", align_corners=True)
    shift = grid.permute(0, 2, 3, 1)
    photo = transforms.elastic(image.float(), shift, InterpolationMode.BILINEAR, [0.0])
    torch.testing.assert_close(moved.float()[:, 4:-4, 4:-4], photo[:, 4:-4, 4:-4], atol=2, rtol=0)
    mapped = transforms.elastic(truth.masks.pixels().float(), shift, InterpolationMode.NEAREST, [0.0]) > 0.5
    assert (masks.pixels() != mapped).float().mean() < 0.002


def test_two_flips_give_the_photo_again_and_boxes_stay_tight() -> None:
    mask = torch.zeros((1, 10, 16), dtype=torch.bool)
    mask[0, 2:6, 1:5] = True
    truth = Instances((10, 16), torch.tensor([[1.0, 2, 5, 6]]), torch.tensor([1]), PixelMasks(mask))
    image = noise(10, 16)
    always = AugmentSettings(flip=1.0)
    once, flipped = augment(image, truth, always, torch.Generator())
    assert flipped.boxes.tolist() == [[11, 2, 15, 6]]
    twice, back = augment(once, flipped, always, torch.Generator())
    assert torch.equal(twice, image)
    assert torch.equal(back.masks.pixels(), mask)


def test_light_does_not_change_masks() -> None:
    image, truth = scene()
    image = image.clamp(50, 200)
    for seed in range(5):
        changed, found = augment(image, truth, LIGHT, seeded(seed))
        assert torch.equal(found.masks.pixels(), truth.masks.pixels())
        assert not torch.equal(changed, image)
        assert changed.dtype == torch.uint8 and changed.shape == image.shape


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 3), (30, 4), (30, 60)])
def test_light_changes_photos_smaller_than_the_blur(size: tuple[int, int]) -> None:
    """A grey ramp: blur makes no value brighter or darker than those there, and leaves an even photo even."""
    settings_ = AugmentSettings.model_validate({"flip": 0, "blur": 20})
    ramp = torch.linspace(40, 200, size[1]).round().to(torch.uint8).expand(3, *size)
    for seed in range(5):
        for image in (ramp, torch.full_like(ramp, 77)):
            changed, _ = augment(image, nothing_on(size), settings_, seeded(seed))
            assert changed.shape == image.shape and changed.min() >= image.min() and changed.max() <= image.max()
            assert changed.float().std(correction=0) <= image.float().std(correction=0) + 1e-3


def test_no_augmentation_changes_nothing() -> None:
    image, truth = scene()
    changed, found = augment(image, truth, AugmentSettings(flip=0), seeded(1))
    assert torch.equal(changed, image)
    assert torch.equal(found.masks.pixels(), truth.masks.pixels())


def test_a_change_happens_with_its_probability() -> None:
    image, truth = scene(24, 20)
    image = image // 2  # so that no brighter value is clipped
    settings_ = AugmentSettings.model_validate({"flip": 0, "brightness": {"max": 0.5, "p": 0.3}})
    changed = sum(not torch.equal(augment(image, truth, settings_, seeded(s))[0], image) for s in range(400))
    assert 85 < changed < 155  # 120 expected; four standard deviations


def test_objects_outside_a_zoomed_photo_are_removed() -> None:
    """At zoom 2 the photo shows half of each side: always a part of the object in the middle, the corner sometimes."""
    mask = torch.zeros((2, 50, 40), dtype=torch.bool)
    mask[0, :12, :10] = True
    mask[1, 20:30, 15:25] = True
    truth = Instances((50, 40), torch.zeros(2, 4), torch.tensor([3, 5]), PixelMasks(mask))
    zoomed = AugmentSettings.model_validate({"large_scale_jitter": [2.0, 2.0], "flip": 0})
    seen = set()
    for seed in range(20):
        generator = seeded(seed)
        torch.rand((), generator=generator)  # drawn for the flip
        inverse = torch.linalg.inv(draw_affine(zoomed, truth.size, generator))
        x, y = (inverse @ torch.tensor([0.5, 0.5, 1.0]))[:2].tolist()  # the old place of the first new pixel
        corner = x < 10 and y < 12
        _, found = augment(noise(50, 40), truth, zoomed, seeded(seed))
        assert found.classes.tolist() == ([3, 5] if corner else [5])
        assert found.masks.pixels().flatten(1).any(1).all()
        seen.add(corner)
    assert seen == {True, False}


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_pasted_objects_are_in_front(seed: int) -> None:
    image, truth = scene()
    other = torch.zeros((3, 45, 60), dtype=torch.uint8)
    mask = torch.zeros((2, 45, 60), dtype=torch.bool)
    mask[0, 5:25, 5:40] = True
    mask[1, 28:40, 10:50] = True
    other[2][mask.any(0)] = 255
    crowd = torch.tensor([False, True])
    others = Instances((45, 60), torch.zeros(2, 4), torch.tensor([7, 8]), PixelMasks(mask), crowd=crowd)
    pasted, found = paste_instances(image, truth, other, others, seeded(seed))
    masks = found.masks.pixels()
    assert (masks.sum(0) <= 1).all()  # a covered pixel belongs only to the object in front
    assert 8 not in found.classes.tolist()
    blue = pasted[2] > 127
    chosen = float(torch.rand(2, generator=seeded(seed))[0]) < 0.5  # the first draw selects the objects to paste
    assert (7 in found.classes.tolist()) == chosen
    if chosen:
        front = masks[found.classes == 7][0]
        assert ((front & ~blue).sum() / front.sum()) < 0.12
    else:
        assert torch.equal(pasted, image)
    unchanged = ~masks[found.classes == 7].any(0)
    assert torch.equal(pasted[:, unchanged], image[:, unchanged])


@pytest.mark.parametrize("size", [(300, 2), (2, 300), (17, 17)])
def test_a_photo_that_would_be_a_line_is_not_pasted(size: tuple[int, int]) -> None:
    """torch scales bytes to one column wrongly, or stops."""
    masks = PixelMasks(torch.ones((8, *size), dtype=torch.bool))
    others = Instances(size, masks.boxes(), torch.ones(8, dtype=torch.int64), masks)
    for below in ((40, 30), (1, 1), (30, 1)):
        image = noise(*below)
        for seed in range(3):
            changed, found = paste_instances(image, nothing_on(below), noise(*size), others, seeded(seed))
            is_line = max(size) == 300 or min(below) == 1
            assert torch.equal(changed, image) == is_line and (len(found) == 0) == is_line


def test_settings_may_be_numbers_and_wrong_ones_are_errors() -> None:
    config = Config.load("demo", ["augment.rotate={max: 10, p: 0.25}", "augment.shear=5"])
    assert (config.augment.rotate.max, config.augment.rotate.p) == (10, 0.25)
    assert (config.augment.shear.max, config.augment.shear.p) == (5, 1)
    with pytest.raises(ConfigError, match=r"(?s)rotate.*jitter"):
        Config.load("demo", ["augment.large_scale_jitter=[-2, 1]", "augment.rotate=200"])
    with pytest.raises(ConfigError, match="smaller factor comes first"):
        Config.load("demo", ["augment.large_scale_jitter=[2, 1]"])


# objects with a box and no mask
