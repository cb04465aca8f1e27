"""Sizes, places and coordinates of photos in the input, with the conventions of each implementation."""

import pytest
import torch

from clothseg.config import InputSettings
from clothseg.networks.input import InputTransform
from clothseg.networks.mask_rcnn.conventions import CONVENTIONS
from clothseg.networks.placement import (
    InputConventions,
    image_to_input,
    network_to_image,
    network_to_resized,
    placement_bounds,
    to_network_coords,
)

ALL = pytest.mark.parametrize("name", list(CONVENTIONS))
SMALL = InputSettings(min_side=320, max_side=512)
LARGE_SQUARE = InputSettings(resize="square", min_side=800, max_side=1024)


@pytest.mark.parametrize(
    ("photo", "settings", "name", "expected"),
    [
        ((427, 640), InputSettings(), "torchvision", (800, 1199)),  # 1199.06, rounded down
        ((427, 640), InputSettings(), "detectron2", (800, 1199)),
        ((480, 641), InputSettings(), "torchvision", (800, 1068)),  # 1068.3
        ((333, 500), InputSettings(), "detectron2", (800, 1201)),  # 1201.2
        ((300, 999), InputSettings(), "torchvision", (400, 1333)),  # 400.3, 1333
        ((300, 999), InputSettings(), "detectron2", (400, 1333)),
        ((601, 400), SMALL, "detectron2", (481, 320)),  # 480.8, rounded up
        ((601, 400), SMALL, "torchvision", (480, 320)),
        ((421, 275), InputSettings(resize="square", min_side=256, max_side=256), "matterport", (256, 167)),  # 167.2
        ((500, 400), LARGE_SQUARE, "matterport", (1000, 800)),
        ((1000, 900), LARGE_SQUARE, "matterport", (1000, 900)),  # not made smaller
        ((3000, 2001), LARGE_SQUARE, "matterport", (1024, 683)),
        (
            (400, 125),
            InputSettings(resize="square", min_side=100, max_side=200),
            "matterport",
            (200, 62),
        ),  # 62.5 to even
    ],
)
def test_resized_sizes_follow_the_conventions(
    photo: tuple[int, int], settings: InputSettings, name: str, expected: tuple[int, int]
) -> None:
    assert InputTransform(settings, CONVENTIONS[name].input).resized(photo) == expected


@ALL
@pytest.mark.parametrize(
    ("resize", "photo"),
    [
        ("keep_ratio", (150, 261)),
        ("keep_ratio", (901, 347)),
        ("fit", (150, 261)),
        ("square", (150, 261)),
        ("square", (901, 347)),
    ],
)
def test_the_photo_fits_into_the_padded_input(name: str, resize: str, photo: tuple[int, int]) -> None:
    conventions = CONVENTIONS[name].input
    settings = InputSettings.model_validate(
        {"resize": resize, "height": 250, "width": 190, "min_side": 200, "max_side": 333}
    )
    placement = InputTransform(settings, conventions).place(photo)
    assert all(side % conventions.size_divisor == 0 for side in placement.padded)
    assert 0 <= placement.top <= placement.top + placement.height <= placement.padded[0]
    assert 0 <= placement.left <= placement.left + placement.width <= placement.padded[1]
    before, after = placement.left, placement.padded[1] - placement.left - placement.width
    assert after - before in {0, 1} if conventions.centred else before == 0
    ratio = placement.height / placement.width * photo[1] / photo[0]
    assert ratio == pytest.approx(1, abs=1 / min(placement.size))


@ALL
def test_boxes_are_converted_to_the_input_and_back(name: str) -> None:
    conventions = CONVENTIONS[name].input
    transform = InputTransform(InputSettings(resize="fit", height=256, width=256), conventions)
    placement = transform.place((668, 1024))
    assert (placement.size, placement.padded) == ((167, 256), (256, 256))
    assert (placement.top, placement.left) == ((44, 0) if conventions.centred else (0, 0))
    boxes = torch.tensor([[100.0, 40, 300, 200], [0, 0, 1024, 668], [8, 8, 12, 12]])
    inside = to_network_coords(image_to_input(boxes, placement), placement.padded, conventions)
    back = network_to_image(inside, placement, conventions)
    # Matterport shortens a box by one pixel of the input, and lengthens it by one pixel of the photo on the way back.
    torch.testing.assert_close(back, boxes, atol=4.0 if conventions.normalised_boxes else 1e-3, rtol=0)
    on_photo = network_to_resized(inside, placement, conventions)
    torch.testing.assert_close(on_photo, boxes / 4, atol=1e-3, rtol=0)


@ALL
@pytest.mark.parametrize("resize", ["keep_ratio", "fit", "square"])
@pytest.mark.parametrize("photo", [(150, 261), (901, 347), (64, 64)])
def test_boxes_return_to_the_photo_unchanged(name: str, resize: str, photo: tuple[int, int]) -> None:
    """Image to input to network to image, for random boxes on photos that are enlarged and photos that are reduced."""
    conventions = CONVENTIONS[name].input
    settings = InputSettings.model_validate(
        {"resize": resize, "height": 250, "width": 190, "min_side": 200, "max_side": 333}
    )
    placement = InputTransform(settings, conventions).place(photo)
    generator = torch.Generator().manual_seed(3)
    sides = torch.tensor([photo[1], photo[0]] * 2)
    corners = torch.rand((200, 2, 2), generator=generator).sort(dim=1).values.flatten(1) * sides
    boxes = torch.cat([corners, torch.tensor([[0.0, 0, photo[1], photo[0]]])])
    inside = to_network_coords(image_to_input(boxes, placement), placement.padded, conventions)
    back = network_to_image(inside, placement, conventions)
    torch.testing.assert_close(back[-1], boxes[-1], atol=1e-3, rtol=0)  # the whole photo, exactly
    # Matterport maps w - 1 pixels of the resized photo to W - 1 of the photo, not w to W, and rounds at the end.
    allowed = torch.full((2,), 1e-3)
    if conventions.normalised_boxes:
        pairs = zip(placement.size[::-1], photo[::-1], strict=True)
        allowed = torch.tensor([abs(old - new) / (new - 1) + 0.5 + 1e-3 for new, old in pairs])
    assert bool(((back - boxes).abs() <= allowed.repeat(2)).all())


@ALL
def test_placement_bounds_match_hand_computed_values(name: str) -> None:
    conventions = CONVENTIONS[name].input
    placement = InputTransform(InputSettings(resize="fit", height=128, width=128), conventions).place((64, 128))
    whole, photo = (placement_bounds(placement, conventions, padded=padded) for padded in (True, False))
    if name == "matterport":  # 64 rows in the middle of 128
        assert whole == (0, 0, 1, 1)
        assert photo == pytest.approx((0, 32 / 127, 1, 95 / 127))
    else:
        assert (whole, photo) == ((0, 0, 128, 128), (0, 0, 128, 64))


@pytest.mark.parametrize(
    ("photo", "expected"), [((40, 60), (40, 60)), ((400, 300), (400, 300)), ((1000, 500), (500, 250))]
)
def test_a_photo_keeps_its_own_size_unless_its_long_side_is_too_long(
    photo: tuple[int, int], expected: tuple[int, int]
) -> None:
    settings = InputSettings(resize="none", max_side=500)
    assert InputTransform(settings, InputConventions(size_divisor=1)).resized(photo) == expected


@pytest.mark.parametrize("short", range(33, 1200, 101))
def test_the_short_side_is_exact_where_the_long_one_is_rounded_down(short: int) -> None:
    settings = InputSettings(min_side=520, max_side=5000)
    transform = InputTransform(settings, InputConventions(size_rounding="long_down"))
    long = short + short // 3
    assert transform.resized((long, short)) == (520 * long // short, 520)
    assert transform.resized((short, long)) == (520, 520 * long // short)
