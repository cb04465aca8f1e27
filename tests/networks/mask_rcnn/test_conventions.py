"""The parts of the network under each convention, against hand-worked cases and properties."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from clothseg.config import Anchors, Config, Picture
from clothseg.errors import ConfigError
from clothseg.instances import Instances, PasteRule, PixelMasks, paste
from clothseg.networks import build_network
from clothseg.networks.backbones.resnet import StemPool
from clothseg.networks.build import conventions_for
from clothseg.networks.input import from_photo, into_photo, into_window, inward, place_window
from clothseg.networks.layers.anchors import cell_anchors, make_anchors
from clothseg.networks.layers.roi_align import sample_boxes
from clothseg.networks.mask_rcnn.conventions import CONVENTIONS, DETECTRON2, MATTERPORT, TORCHVISION
from clothseg.networks.mask_rcnn.heads import MaskHead
from clothseg.networks.mask_rcnn.losses import head_losses, rpn_losses
from clothseg.networks.resize import padded_size, resize_image

ALL = pytest.mark.parametrize("name", list(CONVENTIONS))


@pytest.mark.parametrize(
    ("size", "picture", "name", "expected"),
    [
        ((427, 640), Picture(), "torchvision", (800, 1199)),  # 1199.06 down
        ((427, 640), Picture(), "detectron2", (800, 1199)),
        ((480, 641), Picture(), "torchvision", (800, 1068)),  # 1068.3
        ((333, 500), Picture(), "detectron2", (800, 1201)),  # 1201.2
        ((300, 999), Picture(), "torchvision", (400, 1333)),  # 400.3, 1333
        ((300, 999), Picture(), "detectron2", (400, 1333)),
        ((601, 400), Picture(min_side=320, max_side=512), "detectron2", (481, 320)),  # 480.8 up
        ((601, 400), Picture(min_side=320, max_side=512), "torchvision", (480, 320)),
        ((421, 275), Picture(resize="square", min_side=256, max_side=256), "matterport", (256, 167)),  # 167.2
        ((500, 400), Picture(resize="square", min_side=800, max_side=1024), "matterport", (1000, 800)),
        ((1000, 900), Picture(resize="square", min_side=800, max_side=1024), "matterport", (1000, 900)),  # not down
        ((3000, 2001), Picture(resize="square", min_side=800, max_side=1024), "matterport", (1024, 683)),
        ((400, 125), Picture(resize="square", min_side=100, max_side=200), "matterport", (200, 62)),  # 62.5 to even
    ],
)
def test_sizes_of_resized_photos(size: tuple[int, int], picture: Picture, name: str, expected: tuple[int, int]) -> None:
    assert picture.resized(size, CONVENTIONS[name].size_rounding) == expected


@ALL
def test_boxes_go_in_and_come_out(name: str) -> None:
    chosen = CONVENTIONS[name]
    size, padded, original = (167, 256), (256, 256), (668, 1024)
    window = place_window(size, padded, chosen)
    assert (window.top, window.left) == ((44, 0) if chosen.centred else (0, 0))
    boxes = torch.tensor([[100.0, 40, 300, 200], [0, 0, 1024, 668], [8, 8, 12, 12]])
    inside = inward(from_photo(boxes, window, original), padded, chosen)
    back = into_photo(inside, window, original, chosen)
    # Matterport shortens a box by a pixel of the input on its way in, and lengthens it by one of the photo.
    torch.testing.assert_close(back, boxes, atol=4.0 if chosen.normalised_boxes else 1e-3, rtol=0)
    on_photo = into_window(inside, window, chosen)
    torch.testing.assert_close(on_photo, boxes / 4, atol=1e-3, rtol=0)


def test_anchors_by_hand() -> None:
    settings = Anchors(scales=((10.0, 20.0),), ratios=(0.25, 1.0))
    wide, square = [-10.0, -2.5, 10, 2.5], [-5.0, -5, 5, 5]
    wide2, square2 = [-20.0, -5, 20, 5], [-10.0, -10, 10, 10]
    assert cell_anchors((10.0, 20.0), settings.ratios, MATTERPORT).tolist() == [wide, wide2, square, square2]
    assert cell_anchors((10.0, 20.0), settings.ratios, DETECTRON2).tolist() == [wide, square, wide2, square2]
    rounded = cell_anchors((10.0, 20.0), settings.ratios, TORCHVISION).tolist()
    assert rounded == [[-10, -2, 10, 2], wide2, square, square2]
    for conventions, step in ((TORCHVISION, 58), (DETECTRON2, 64)):  # 352 pixels on 6 rows
        anchors = make_anchors(settings, (6,), [(6, 5)], (352, 320), conventions)[0]
        assert anchors.view(6, 5, 4, 4)[1, 0, 3].tolist() == [-10, step - 10, 10, step + 10]


@pytest.mark.parametrize("sides", [(8, 8), (7, 7), (6, 9)])
def test_stem_pooling_of_tensorflow(sides: tuple[int, int]) -> None:
    """Its rule: as many padding cells as needed, the odd one behind."""
    x = torch.rand(1, 1, *sides)
    out = StemPool(symmetric=False)(x)
    height, width = (math.ceil(side / 2) for side in sides)
    assert out.shape == (1, 1, height, width)
    before = [max((math.ceil(side / 2) - 1) * 2 + 3 - side, 0) // 2 for side in sides]
    for row in range(height):
        for column in range(width):
            top, left = 2 * row - before[0], 2 * column - before[1]
            part = x[0, 0, max(top, 0) : top + 3, max(left, 0) : left + 3]
            assert out[0, 0, row, column] == part.max()


def test_one_sample_a_cell_by_hand() -> None:
    feature = torch.arange(20.0).reshape(1, 1, 4, 5)
    whole = sample_boxes(feature, torch.tensor([0]), torch.tensor([[0.0, 0, 1, 1]]), 3)
    assert whole[0, 0].tolist() == [[0, 2, 4], [7.5, 9.5, 11.5], [15, 17, 19]]
    beyond = sample_boxes(feature, torch.tensor([0]), torch.tensor([[-0.5, 0, 0.5, 1]]), 3)
    assert beyond[0, 0].tolist() == [[0, 0, 2], [0, 7.5, 9.5], [0, 15, 17]]
    many = torch.rand(600, 4)
    parts = sample_boxes(torch.rand(2, 3, 9, 7), torch.arange(600) % 2, many, 7)
    assert parts.shape == (600, 3, 7, 7)


def test_resizing_keeps_to_its_rule() -> None:
    generator = np.random.default_rng(0)
    photo = generator.integers(0, 256, (37, 53, 3), dtype=np.uint8)
    image = torch.from_numpy(photo).permute(2, 0, 1) / 255
    found = resize_image(image, (64, 40), DETECTRON2)
    pillow = np.asarray(Image.fromarray(photo).resize((40, 64), Image.Resampling.BILINEAR), dtype=np.float32)
    expected = (
        torch.from_numpy(pillow[:, :, ::-1].copy()).permute(2, 0, 1) - torch.tensor(DETECTRON2.mean)[:, None, None]
    )
    assert torch.equal(found, expected)
    white = torch.ones(3, 10, 10)
    faded = resize_image(white, (20, 20), MATTERPORT) + torch.tensor(MATTERPORT.mean)[:, None, None]
    assert faded[0, 10, 10] >= 254
    assert faded[0, 0, 10].round() == 191  # three quarters of the border pixel, cut down
    assert padded_size([(500, 400)], Picture(resize="square", max_side=1000), MATTERPORT) == (1024, 1024)


def test_masks_are_pasted_by_three_rules() -> None:
    full, box = torch.ones(28, 28), torch.tensor([10.0, 20.0, 30.0, 50.0])
    rules: tuple[PasteRule, ...] = ("framed", "centres", "fading")
    for rule in rules[1:]:
        rows, columns, crop = paste(full, box, (100, 100), 0.5, rule)
        picture = np.zeros((100, 100), dtype=bool)
        picture[rows, columns] = crop
        assert picture[20:50, 10:30].all() or rule == "fading"
        assert not picture[:20].any()
        assert not picture[:, 30:].any()
    half = torch.full((28, 28), 0.5)
    assert paste(half, box, (100, 100), 0.5, "centres")[2][10, 10]  # the threshold itself counts
    assert not paste(half, box, (100, 100), 0.5, "framed")[2].any()
    beyond = torch.tensor([90.0, 90.0, 130.0, 140.0])
    for rule in rules:
        rows, columns, crop = paste(full, beyond, (100, 100), 0.5, rule)
        assert crop.shape == (rows.stop - rows.start, columns.stop - columns.start)
        assert rows.stop <= 100


def test_losses_are_divided_as_the_conventions_say() -> None:
    logits, labels = torch.tensor([0.0, 0.0]), torch.tensor([1.0, 0.0])
    codes, wanted = torch.tensor([[2.0, 0, 0, 0]]), torch.zeros(1, 4)
    once = math.log(2)
    cases = {"torchvision": (once, (2 - 1 / 18) / 2), "detectron2": (once / 8, 2 / 16), "matterport": (once, 1.5 / 4)}
    for name, (unsure, off) in cases.items():
        found = rpn_losses(logits, labels, codes, wanted, 16, "smooth_l1", CONVENTIONS[name])
        assert found["rpn_class"].item() == pytest.approx(unsure)
        assert found["rpn_bbox"].item() == pytest.approx(off)
    found = rpn_losses(logits, labels, codes, wanted, 16, "l2", MATTERPORT)
    assert found["rpn_bbox"].item() == pytest.approx(0.5 * 4 / 4)
    nothing = head_losses(torch.zeros(2, 3), torch.tensor([0, 0]), codes[:0], wanted[:0], "smooth_l1", MATTERPORT)
    assert nothing["bbox"].item() == 0


def test_both_box_losses_can_be_squared() -> None:
    config = Config.load("demo", ["losses.rpn_box_loss=l2"])
    network = build_network(config, 1)
    assert network.rpn.loss_kind == "l2"
    assert config.losses.box_loss == "smooth_l1"


def test_one_class_of_the_mask_head_is_its_row() -> None:
    torch.manual_seed(0)
    config = Config.load("demo", ["pyramid.channels=16", "mask.channels=8", "mask.convolutions=1"])
    head = MaskHead(config, 3)
    pooled, classes = torch.rand(5, 16, 14, 14), torch.tensor([1, 3, 2, 2, 0])
    every = head(pooled)
    torch.testing.assert_close(head.of_class(pooled, classes), every[torch.arange(5), classes], atol=1e-5, rtol=1e-5)
    assert head.of_class(pooled[:0], classes[:0]).shape == (0, 28, 28)


def test_what_the_configuration_says_goes_over_the_conventions() -> None:
    words = ["conventions=detectron2", "picture.mean=[1,2,3]", "picture.channels=rgb", "backbone.stride_first=false"]
    found = conventions_for(Config.load("demo", [*words, "backbone.name=resnet18"]))
    assert (found.mean, found.channels, found.stride_first) == ((1, 2, 3), "rgb", False)
    assert found.std == DETECTRON2.std
    assert found.roi_aligned
    with pytest.raises(ConfigError, match="conventions"):
        Config.load("demo", ["conventions=keras"])


@ALL
def test_every_convention_learns_and_detects(name: str) -> None:
    words = [
        "backbone.name=resnet18",
        "picture.height=64",
        "picture.width=64",
        "pyramid.channels=16",
        "boxes.hidden=16",
    ]
    words += ["mask.channels=8", "detect.min_confidence=0", f"conventions={name}", "backbone.frozen_stages=0"]
    network = build_network(Config.load("demo", words), 2)
    image = torch.rand(3, 50, 40)
    mask = torch.zeros(1, 50, 40, dtype=torch.bool)
    mask[0, 10:30, 8:32] = True
    truth = Instances((50, 40), torch.tensor([[8.0, 10, 32, 30]]), torch.tensor([2]), PixelMasks(mask))
    nothing = Instances((50, 40), torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), PixelMasks(mask[:0]))
    losses = network.losses([image, image], [truth, nothing])
    assert all(torch.isfinite(loss) for loss in losses.values())
    torch.autograd.backward(losses["total"])
    assert network.box_head.score.weight.grad is not None
    found = network.eval().detect([image])[0]
    assert found.masks.pixels().shape == (len(found), 50, 40)
    assert len(found) == 0 or float(found.boxes.max()) <= 50
