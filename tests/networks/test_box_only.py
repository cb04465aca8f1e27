"""Objects with a box and no mask: targets, and what each network learns from them."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from clothseg.config import Config, InputSettings
from clothseg.instances import Instances, PixelMasks, RleMasks, SomeMasks
from clothseg.networks import Network, build_network
from clothseg.networks.deeplab.network import DeepLabNetwork
from clothseg.networks.deeplab.targets import IGNORED, center_target, make_segments, semantic_target
from clothseg.networks.input import InputTransform
from clothseg.networks.mask_rcnn.network import MaskRCNNNetwork
from clothseg.networks.placement import InputConventions, InputPlacement
from clothseg.networks.target import Target
from clothseg.networks.yolact.losses import semantic_loss, semantic_truth, semantic_weights
from clothseg.networks.yolact.network import YolactNetwork

from .test_contract import ROWS, SMALL

SIZE = (96, 64)
PLACEMENT = InputPlacement(0, 0, *SIZE, SIZE, SIZE)
BOXES = torch.tensor([[8.0, 8, 32, 40], [20, 48, 50, 88]])
CLASSES = torch.tensor([1, 2])


def truth(has_mask: tuple[bool, ...], crowd: tuple[bool, ...] = (False, False)) -> Instances:
    """Rectangles of classes 1 and 2, some with only a box."""
    masks = torch.zeros((2, *SIZE), dtype=torch.bool)
    for mask, known, (x1, y1, x2, y2) in zip(masks, has_mask, BOXES.int().tolist(), strict=True):
        mask[y1:y2, x1:x2] = known
    flags = torch.tensor(crowd)
    return Instances(SIZE, BOXES, CLASSES, PixelMasks(masks), crowd=flags, has_mask=torch.tensor(has_mask))


def target(*has_mask: bool) -> Target:
    return InputTransform(InputSettings(resize="none"), InputConventions()).target(truth(has_mask), PLACEMENT)


def network_of(name: str, kind: type[Network]) -> Any:
    torch.manual_seed(0)
    network = build_network(Config.from_tree(SMALL | {"network": ROWS[name]}, [], name), 2)
    assert isinstance(network, kind)
    return network.train()


def image() -> Tensor:
    return torch.rand((3, *SIZE), generator=torch.Generator().manual_seed(2))


def gradients(network: Network, loss: Tensor, prefix: str) -> list[Tensor]:
    """The gradients of the parameters of a part."""
    network.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    found = [(name, p) for name, p in network.named_parameters() if name.startswith(prefix)]
    assert found
    return [torch.zeros_like(p) if p.grad is None else p.grad for _, p in found]


def features_of(network: Network) -> list[Tensor]:
    pixels, _ = network.transform.batch([image()], torch.device("cpu"))
    with torch.no_grad():
        return network.neck(network.backbone(pixels))


def test_objects_with_a_mask_come_first_in_the_target() -> None:
    made = target(False, True)
    assert made.boxes.tolist() == BOXES.flip(0).tolist()
    assert made.classes.tolist() == [2, 1]
    assert made.masks.shape == (1, *SIZE) and not made.all_have_masks
    assert made.ignored.shape == (0, 4) and made.ignored_pixels is None
    assert target(True, True).all_have_masks


def test_a_crowd_beside_an_object_with_only_a_box() -> None:
    transform = InputTransform(InputSettings(resize="none"), InputConventions())
    made = transform.target(truth((True, False), (True, False)), PLACEMENT)
    assert made.boxes.tolist() == BOXES[1:].tolist() and made.masks.shape == (0, *SIZE)
    assert made.ignored.tolist() == BOXES[:1].tolist()
    assert made.ignored_pixels is not None and int(made.ignored_pixels.sum()) == 24 * 32


def test_prepared_truth_has_no_bytes_for_missing_masks_and_gives_the_same_target() -> None:
    settings = InputSettings(resize="fit", height=48, width=32)
    transform = InputTransform(settings, InputConventions())
    whole = truth((False, True))
    _, prepared = transform.prepare(image(), whole)
    assert isinstance(prepared.masks, SomeMasks) and len(prepared.masks.known) == 1
    place = transform.place(SIZE)
    direct, later = transform.target(whole, place), transform.target(prepared, place)
    for name in ("boxes", "classes", "masks", "ignored"):
        assert torch.equal(getattr(direct, name), getattr(later, name)), name


def test_masks_of_some_objects_behave_like_all_masks() -> None:
    whole = truth((False, True))
    some = SomeMasks.of(whole.masks.select(torch.tensor([1])), whole.has_mask)
    assert torch.equal(some.pixels(), whole.masks.pixels())
    assert torch.equal(some.boxes(), whole.masks.boxes())
    assert torch.equal(some.soft(slice(40, 60)), whole.masks.soft(slice(40, 60)))
    assert some.rle() == whole.masks.rle()
    assert len(some) == 2 and some.size == SIZE
    backwards = some.select(torch.tensor([1, 0]))
    assert torch.equal(backwards.pixels(), whole.masks.pixels().flip(0))
    assert isinstance(some.select(torch.tensor([1])), PixelMasks)
    assert torch.equal(RleMasks(some.rle(), SIZE).pixels(), some.pixels())


@pytest.mark.parametrize("name", ["mask_rcnn", "yolact"])
def test_boxes_alone_do_not_move_what_only_makes_masks(name: str) -> None:
    kind = MaskRCNNNetwork if name == "mask_rcnn" else YolactNetwork
    network = network_of(name, kind)
    masks, boxes = ("mask_head.", "box_head.") if name == "mask_rcnn" else ("prototypes.", "head.delta.")
    losses = network.losses([image()], [truth((False, False))])
    assert losses["mask"] == 0
    assert losses["class"] > 0 and losses["bbox"] > 0
    assert all(not grad.any() for grad in gradients(network, losses["total"], masks))
    losses = network.losses([image()], [truth((False, False))])
    assert all(grad.any() for grad in gradients(network, losses["total"], boxes))
    losses = network.losses([image()], [truth((False, True))])
    assert losses["mask"] > 0
    assert any(grad.any() for grad in gradients(network, losses["total"], masks))


def test_mask_rcnn_leaves_out_the_mask_loss_of_a_box() -> None:
    """Six boxes: two of each object, a background one and one that does not count."""
    network = network_of("mask_rcnn", MaskRCNNNetwork)
    features = features_of(network)
    shift = torch.tensor([1.0, 2, -1, 1])
    boxes = torch.stack([BOXES[0], BOXES[1] + shift, BOXES[0] + shift, BOXES[1], BOXES[0] + 20, BOXES[0]])
    matches = torch.tensor([0, 1, 0, 1, -1, -2])
    known, mixed = target(True, True), target(True, False)
    assert torch.equal(known.boxes, mixed.boxes)
    every = network.box_and_mask_losses(features, [PLACEMENT], boxes[None], matches[None], [known])
    found = network.box_and_mask_losses(features, [PLACEMENT], boxes[None], matches[None], [mixed])
    for name in ("class", "bbox"):
        torch.testing.assert_close(found[name], every[name])
    first = matches == 0
    alone = network.box_and_mask_losses(features, [PLACEMENT], boxes[None, first], matches[None, first], [known])
    second = matches == 1
    other = network.box_and_mask_losses(features, [PLACEMENT], boxes[None, second], matches[None, second], [known])
    torch.testing.assert_close(found["mask"], alone["mask"])
    torch.testing.assert_close(every["mask"], (alone["mask"] + other["mask"]) / 2)  # of two boxes each
    assert abs(found["mask"].item() - every["mask"].item()) > 1e-6


def test_two_photos_of_which_one_has_only_boxes() -> None:
    network = network_of("mask_rcnn", MaskRCNNNetwork)
    features = [torch.cat([level, level.flip(3)]) for level in features_of(network)]
    boxes, matches = torch.stack([BOXES, BOXES]), torch.tensor([[0, 1], [0, 1]])
    places = [PLACEMENT] * 2
    both = network.box_and_mask_losses(features, places, boxes, matches, [target(False, False), target(True, True)])
    second = [level[1:] for level in features]
    alone = network.box_and_mask_losses(second, places[:1], boxes[:1], matches[:1], [target(True, True)])
    torch.testing.assert_close(both["mask"], alone["mask"])


def test_yolact_leaves_out_the_mask_loss_of_a_box() -> None:
    network = network_of("yolact", YolactNetwork)
    features = features_of(network)
    known, mixed = target(True, True), target(True, False)
    matches = network.match(features, SIZE, [known])
    places = [torch.where(matches[0] == number)[0] for number in (0, 1)]
    counts = [len(place) for place in places]
    assert min(counts) > 0
    everything = torch.cat(places)
    args = features, [PLACEMENT]
    every = network.losses_of(*args, [known], matches, [(everything, sum(counts))])
    parts = [network.losses_of(*args, [known], matches, [(place, len(place))])["mask"] for place in places]
    found = network.losses_of(*args, [mixed], matches, [(places[0], counts[0])])
    for name in ("class", "bbox"):
        torch.testing.assert_close(found[name], every[name])
    torch.testing.assert_close(every["mask"], parts[0] + parts[1])
    torch.testing.assert_close(found["mask"], parts[0] * sum(counts) / counts[0])  # over the positives with a mask
    chosen: list[Any] = []
    network.losses_of = lambda *given: chosen.append(given[-1]) or {}  # type: ignore[func-returns-value]
    network.head_losses(features, [PLACEMENT], [mixed])
    ((place, count),) = chosen[0]
    assert (sorted(place.tolist()), count) == (sorted(places[0].tolist()), counts[0])


def test_the_semantic_loss_of_yolact_ignores_what_a_box_may_hide() -> None:
    """A grid of 8 x 8 over an input of 32 x 32: a mask of class 1, a box of class 1 over its edge, one of class 2."""
    boxes = torch.tensor([[0.0, 0, 8, 8], [4, 4, 15, 12], [17, 21, 23, 32]])
    masks = torch.zeros((1, 32, 32), dtype=torch.uint8)
    masks[0, :8, :8] = 1
    made = Target(boxes, torch.tensor([1, 1, 2]), masks, boxes[:0])
    labels = semantic_truth(F.max_pool2d(masks.float(), 4) > 0, made.classes[:1], 2)
    weights = semantic_weights(labels, made, (32, 32))
    known = torch.ones((2, 8, 8), dtype=torch.bool)
    known[0, 1:3, 1:4] = False  # the cells that rows 4..11 and columns 4..14 touch
    known[1, 5:8, 4:6] = False
    known[0, :2, :2] = True  # class 1 is there
    assert torch.equal(weights, known.float())
    logits = torch.randn((1, 2, 8, 8), generator=torch.Generator().manual_seed(1), requires_grad=True)
    loss = semantic_loss(logits, labels[None], weights[None])
    terms = F.binary_cross_entropy_with_logits(logits[0], labels, reduction="none")
    torch.testing.assert_close(loss, terms[weights > 0].sum() / 64)
    torch.autograd.backward(loss)
    assert logits.grad is not None and not logits.grad[0][weights == 0].any()
    assert logits.grad[0][weights > 0].all()


def test_deeplab_ignores_the_pixels_of_a_box() -> None:
    masks = torch.zeros((1, 10, 12), dtype=torch.uint8)
    masks[0, 1:5, 2:6] = 1
    made = Target(torch.tensor([[2.0, 1, 6, 5], [4.5, 3, 9, 7.2]]), CLASSES, masks, BOXES[:0])
    place = InputPlacement(0, 0, 10, 12, (12, 12), (10, 12))
    labels = semantic_target(make_segments(made, place))
    expected = torch.zeros((12, 12), dtype=torch.int64)
    expected[3:8, 4:9] = IGNORED
    expected[1:5, 2:6] = 1  # known, though the box is over it
    expected[10:] = IGNORED  # padding
    assert torch.equal(labels, expected)
    centers = center_target(make_segments(made, place), 1.0)
    assert torch.equal(centers.center_weight, (expected != IGNORED).float())
    assert torch.equal(centers.offset_weight, (expected == 1).float())


def test_the_gradient_of_deeplab_is_zero_in_a_box() -> None:
    network = network_of("deeplab", DeepLabNetwork)
    pixels, _ = network.transform.batch([image()], torch.device("cpu"))
    seen: list[Tensor] = []
    plain = network.upsample

    def upsample(maps: Tensor, size: tuple[int, int]) -> Tensor:
        larger: Tensor = plain(maps, size)
        larger.retain_grad()
        seen.append(larger)
        return larger

    network.upsample = upsample
    features = network.neck(network.backbone(pixels))
    losses = network.head_losses(features, [PLACEMENT], [target(True, False)])
    torch.autograd.backward(losses["semantic"])
    grad = seen[0].grad
    assert grad is not None
    x1, y1, x2, y2 = BOXES[1].int().tolist()
    inside = torch.zeros(SIZE, dtype=torch.bool)
    inside[y1:y2, x1:x2] = True
    assert not grad[0][:, inside].any()
    assert grad[0][:, ~inside].any(dim=0).float().mean() > 0.9
