"""From photos and ground truth to the network's input, with the conventions of each implementation."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image

from clothseg.config import InputSettings
from clothseg.instances import CropMasks, Instances, PixelMasks
from clothseg.networks.input import InputTransform, resize_each_mask, resize_masks
from clothseg.networks.mask_rcnn.conventions import CONVENTIONS, DETECTRON2, MATTERPORT
from clothseg.networks.placement import (
    InputConventions,
    image_to_input,
)

ALL = pytest.mark.parametrize("name", list(CONVENTIONS))
SMALL = InputSettings(min_side=320, max_side=512)


def test_resampling_matches_pillow_and_pads_with_zeros() -> None:
    generator = np.random.default_rng(0)
    photo = generator.integers(0, 256, (37, 53, 3), dtype=np.uint8)
    image = torch.from_numpy(photo).permute(2, 0, 1)
    transform = InputTransform(InputSettings(), DETECTRON2.input)
    found = transform.normalise(transform.resample(image / 255, (64, 40)), (64, 40))
    assert torch.equal(found, transform.normalise(transform.resample(image, (64, 40)), (64, 40)))
    pillow = np.asarray(Image.fromarray(photo).resize((40, 64), Image.Resampling.BILINEAR), dtype=np.float32)
    mean = torch.tensor(DETECTRON2.input.mean)[:, None, None]
    assert torch.equal(found, torch.from_numpy(pillow[:, :, ::-1].copy()).permute(2, 0, 1) - mean)
    white = torch.ones(3, 10, 10)
    square = InputTransform(InputSettings(resize="square", max_side=1000), MATTERPORT.input)
    restored = (
        square.normalise(square.resample(white, (20, 20)), (20, 20))
        + torch.tensor(MATTERPORT.input.mean)[:, None, None]
    )
    assert restored[0, 10, 10] >= 254
    assert restored[0, 0, 10].round() == 191  # three quarters of the border pixel, rounded down
    assert square.padded([(500, 400)]) == (1024, 1024)


@pytest.mark.parametrize("resize", ["fit", "square", "keep_ratio"])
@ALL
def test_bytes_floats_and_prepared_examples_give_the_same_input(name: str, resize: str) -> None:
    settings = InputSettings.model_validate(
        {"resize": resize, "height": 64, "width": 64, "min_side": 48, "max_side": 64}
    )
    transform = InputTransform(settings, CONVENTIONS[name].input)
    generator = torch.Generator().manual_seed(0)
    for height, width in ((90, 61), (33, 75), (64, 64)):
        photo = torch.randint(256, (height, width, 3), dtype=torch.uint8, generator=generator).permute(2, 0, 1)
        masks = torch.rand((3, height, width), generator=generator) < 0.5
        crowd = torch.tensor([False, True, False])
        boxes = torch.tensor([[1.0, 2, 30, 31], [5, 6, 17, 18], [0, 0, 20, 33]])
        truth = Instances((height, width), boxes, torch.tensor([1, 2, 3]), PixelMasks(masks), crowd=crowd)
        image, ready = transform.prepare(photo, truth)
        inputs, targets = [], []
        for pixels, objects in ((photo.float() / 255, truth), (photo, truth), (image, ready)):
            batch, placements = transform.batch([pixels], torch.device("cpu"))
            inputs.append(batch)
            targets.append(transform.target(objects, placements[0]))
        place = transform.place((height, width))
        expected = F.interpolate(masks[~crowd][:, None].float(), size=place.size)[:, 0]
        assert all(torch.equal(one, inputs[0]) for one in inputs)
        for target in targets:
            assert torch.equal(target.masks, expected.byte())
            assert torch.equal(target.boxes, image_to_input(boxes, place)[~crowd])
            assert torch.equal(target.ignored, image_to_input(boxes, place)[crowd])


@pytest.mark.parametrize(
    ("name", "inside", "padding"),
    [
        ("torchvision", [(1 - 0.485) / 0.229, (0.5 - 0.456) / 0.224, (0 - 0.406) / 0.225], [0, 0, 0]),
        ("detectron2", [0 - 103.53, 128 - 116.28, 255 - 123.675], [0, 0, 0]),  # BGR
        ("matterport", [255 - 123.7, 128 - 116.8, 0 - 103.9], [-123.7, -116.8, -103.9]),  # black minus the mean
    ],
)
def test_a_batch_places_and_normalises_each_photo(name: str, inside: list[float], padding: list[float]) -> None:
    """Two photos of one colour that are not resized: one fills the width of the frame, the other its height.

    A grey level of 127.5 becomes 128.
    """
    transform = InputTransform(InputSettings(resize="fit", height=64, width=64), CONVENTIONS[name].input)
    colour = torch.tensor([1.0, 0.5, 0.0])[:, None, None]
    images = [colour.expand(3, 32, 64), colour.expand(3, 64, 48)]
    pixels, placements = transform.batch(images, torch.device("cpu"))
    assert pixels.shape == (2, 3, 64, 64)
    assert [p.photo for p in placements] == [(32, 64), (64, 48)]
    for canvas, at in zip(pixels, placements, strict=True):
        assert at.size == at.photo
        photo = torch.zeros(64, 64, dtype=torch.bool)
        photo[at.top : at.top + at.height, at.left : at.left + at.width] = True
        for found, values in ((canvas[:, photo], inside), (canvas[:, ~photo], padding)):
            expected = torch.tensor(values, dtype=torch.float32)[:, None].expand_as(found)
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_the_input_is_padded_to_the_size_agreed_by_all_processes() -> None:
    transform = InputTransform(SMALL, DETECTRON2.input)
    pixels, placements = transform.batch([torch.rand(3, 320, 330)], torch.device("cpu"), lambda size: (size[0], 512))
    assert pixels.shape == (1, 3, 320, 512)
    assert placements[0].padded == (320, 512)
    assert not pixels[..., 330:].any()


@ALL
def test_the_ground_truth_is_scaled_and_shifted_with_the_photo(name: str) -> None:
    """A photo of 32 x 48 in a frame of 64 x 128: everything doubles; Matterport shifts the photo 16 to the right."""
    conventions = CONVENTIONS[name].input
    transform = InputTransform(InputSettings(resize="fit", height=64, width=128), conventions)
    placement = transform.place((32, 48))
    masks = torch.zeros(2, 32, 48, dtype=torch.bool)
    masks[0, 4:12, 2:10] = True
    masks[1, 20:30, 20:40] = True
    truth = Instances(
        (32, 48),
        torch.tensor([[2.0, 4, 10, 12], [20, 20, 40, 30]]),
        torch.tensor([3, 1]),
        PixelMasks(masks),
        crowd=torch.tensor([False, True]),
    )
    found = transform.target(truth, placement)
    left = 16 if conventions.centred else 0
    assert found.boxes.tolist() == [[4 + left, 8, 20 + left, 24]]
    assert found.ignored.tolist() == [[40 + left, 40, 80 + left, 60]]
    assert found.classes.tolist() == [3]
    expected = torch.zeros(1, 64, 96, dtype=torch.uint8)
    expected[0, 8:24, 4:20] = 1
    assert torch.equal(found.masks, expected)


def test_pixels_of_crowds_come_on_the_resized_photo() -> None:
    masks = torch.zeros((3, 4, 6), dtype=torch.bool)
    masks[0, 0, 0], masks[1, 1, 2:4], masks[2, 3, 5] = True, True, True
    of_photo = PixelMasks(masks)
    crowd = torch.tensor([False, True, True])
    truth = Instances((4, 6), of_photo.boxes(), torch.tensor([1, 1, 2]), of_photo, crowd=crowd)
    transform = InputTransform(InputSettings(resize="fit", height=32, width=48), InputConventions())
    target = transform.target(truth, transform.place((4, 6)))
    assert target.ignored_pixels is not None and len(target.masks) == 1
    expected = (masks[1] | masks[2]).repeat_interleave(8, 0).repeat_interleave(8, 1)
    assert torch.equal(target.ignored_pixels.bool(), expected)
    alone = transform.target(truth[~crowd], transform.place((4, 6)))
    assert alone.ignored_pixels is None


@given(
    st.tuples(st.integers(0, 4), st.integers(1, 9), st.integers(1, 9)).flatmap(lambda shape: arrays(bool, shape)),
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.integers(1, 200),
)
@settings(deadline=None)
def test_masks_resized_some_at_a_time(stack: NDArray[np.bool_], size: tuple[int, int], together: int) -> None:
    whole = resize_masks(torch.from_numpy(stack), size).bool()
    crops = CropMasks.cut(iter(stack), (stack.shape[1], stack.shape[2]))
    assert torch.equal(resize_each_mask(crops, size, together), whole)
    assert torch.equal(resize_each_mask(PixelMasks(torch.from_numpy(stack)), size, together), whole)
