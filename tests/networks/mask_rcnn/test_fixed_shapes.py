"""Detection and losses in fixed shapes, as on a GPU: the same as on a CPU, with few reads and operations."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from clothseg import cpu_path
from clothseg.config import Config
from clothseg.instances import Instances, PixelMasks, encode_photos
from clothseg.networks import build_network
from clothseg.networks.dispatch_counts import DispatchCounts
from clothseg.networks.layers.fpn import level_rows
from clothseg.networks.mask_rcnn import postprocess
from clothseg.networks.mask_rcnn.conventions import CONVENTIONS
from clothseg.networks.mask_rcnn.losses import sample_proposals, targets_in_network_coords
from clothseg.networks.mask_rcnn.network import MaskRCNNNetwork

Build = Callable[[Config, int], MaskRCNNNetwork]
SMALL = [
    "backbone.name=resnet18",
    "input.height=128",
    "input.width=128",
    "network.fpn.channels=16",
    "network.box_head.fc_dim=32",
    "network.mask_head.channels=8",
    "inference.max_detections=30",
]


def sharpened(network: MaskRCNNNetwork) -> MaskRCNNNetwork:
    """Random weights whose scores differ and whose boxes move."""
    with torch.no_grad():
        network.rpn.score.weight.mul_(100)
        network.box_head.score.weight.mul_(40)
        network.box_head.delta.weight.mul_(5)
    return network.eval()


def photos(*sizes: tuple[int, int]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand((3, *size), generator=generator) for size in sizes]


def truth_on(size: tuple[int, int]) -> Instances:
    """Three squares that overlap."""
    masks = torch.zeros(3, *size, dtype=torch.bool)
    for mask, (first, last) in zip(masks, ((3, 33), (10, 38), (20, 36)), strict=True):
        mask[first:last, first:last] = True
    pixels = PixelMasks(masks)
    return Instances(size, pixels.boxes(), torch.tensor([1, 2, 3]), pixels)


def use_fixed_shapes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(cpu_path, "uses_cpu_path", lambda tensor: False)


def both_ways(network: MaskRCNNNetwork, images: list[Tensor]) -> tuple[list[Instances], list[Instances]]:
    """Detections of the CPU's way, and of fixed shapes; their masks computed.

    Both have one memory order: matterport's rule at the edge of the input depends on the last digits.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu_path, "in_fast_order", lambda maps: maps)
        one_by_one = network.detect(images)
        use_fixed_shapes(patch)
        return one_by_one, network.detect(images)


def assert_same(expected: list[Instances], found: list[Instances]) -> None:
    for one, other in zip(expected, found, strict=True):
        assert torch.equal(one.classes, other.classes)
        torch.testing.assert_close(other.boxes, one.boxes, atol=1e-3, rtol=0)
        torch.testing.assert_close(other.scores, one.scores, atol=1e-5, rtol=0)
        with pytest.MonkeyPatch.context() as patch:
            use_fixed_shapes(patch)
            pixels = other.masks.pixels()
        assert (pixels != one.masks.pixels()).float().mean() < 1e-4 if len(one) else len(pixels) == 0


@pytest.mark.parametrize("rescoring", ["false", "true"])
@pytest.mark.parametrize("name", list(CONVENTIONS))
def test_detections_are_the_same_in_both_ways(name: str, rescoring: str, build_mask_rcnn: Build) -> None:
    overrides = [f"network.conventions={name}", f"inference.mask_rescoring={rescoring}", "inference.score_threshold=0"]
    network = sharpened(build_mask_rcnn(Config.load("demo", [*SMALL, *overrides]), 3))
    if CONVENTIONS[name].single_class:
        with torch.no_grad():
            network.box_head.score.bias[0] -= 3  # otherwise background may win everywhere
    expected, found = both_ways(network, photos((100, 128), (1, 1), (60, 40)))
    assert len(expected[0]) > 5
    assert_same(expected, found)


def test_a_photo_may_have_no_detection(build_mask_rcnn: Build) -> None:
    network = sharpened(build_mask_rcnn(Config.load("demo", [*SMALL, "inference.score_threshold=1"]), 3))
    expected, found = both_ways(network, photos((50, 60), (20, 90)))
    assert [len(one) for one in expected] == [len(one) for one in found] == [0, 0]
    assert_same(expected, found)
    assert encode_photos([one.masks for one in found]) == [[], []]


def test_all_candidates_are_used_if_the_best_are_not_enough(
    build_mask_rcnn: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best candidates overlap, so that NMS leaves fewer detections than are asked for."""
    network = sharpened(build_mask_rcnn(Config.load("demo", [*SMALL, "inference.score_threshold=0"]), 3))
    monkeypatch.setattr(postprocess, "_FIRST", 31)
    expected, found = both_ways(network, photos((100, 128), (60, 40)))
    assert [len(one) for one in expected] == [30, 30]
    assert_same(expected, found)


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("name", list(CONVENTIONS))
def test_proposals_are_the_same_in_both_ways(
    name: str, train: bool, build_mask_rcnn: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config.load("demo", [*SMALL, f"network.conventions={name}", "network.rpn.post_nms_top_n_train=150"])
    network = sharpened(build_mask_rcnn(config, 3))
    with torch.no_grad():
        pixels, placements = network.transform.batch(photos((100, 128), (60, 40)), network.device)
        scores, deltas, anchors = network.rpn(network.neck(network.backbone(pixels)), placements[0].padded)
    expected = network.rpn.proposals(scores, deltas, anchors, placements, train)
    use_fixed_shapes(monkeypatch)
    found = network.rpn.proposals(scores, deltas, anchors, placements, train)
    assert [len(one) for one in found] == [len(one) for one in expected]
    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(other, one, atol=1e-5, rtol=0)


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("name", list(CONVENTIONS))
def test_losses_and_gradients_are_the_same_in_both_ways(
    name: str, batch: int, build_mask_rcnn: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the same sampled boxes: which are sampled depends on the number of proposals, which may be padded."""
    overrides = [f"network.conventions={name}", "backbone.frozen_stages=1", "network.box_head.norm=frozen"]
    network = sharpened(build_mask_rcnn(Config.load("demo", [*SMALL, *overrides]), 3)).train()
    names, parameters = zip(*((n, p) for n, p in network.named_parameters() if p.requires_grad), strict=True)
    truth = [truth_on((100, 128)), truth_on((60, 40))][:batch]
    answers = []
    for on_gpu in (False, True):
        if on_gpu:
            use_fixed_shapes(monkeypatch)
        pixels, placements = network.transform.batch(photos((100, 128), (60, 40))[:batch], network.device)
        targets = [network.transform.target(t, p) for t, p in zip(truth, placements, strict=True)]
        features = network.neck(network.backbone(pixels))
        anchors = network.rpn.anchors_of(features, placements[0].padded)
        generators = [torch.Generator().manual_seed(3) for _ in targets]
        losses = network.rpn.losses(features, anchors, targets, generators, network.distributed)
        inside = targets_in_network_coords(targets, placements, network.conventions.input)
        proposals = [torch.cat([t.boxes, t.boxes * 0.9, t.boxes * 0.5]) for t in inside]
        boxes, matches = sample_proposals(proposals, inside, network.settings.box_head, generators)
        rows = level_rows(features) if on_gpu else None
        losses |= network.box_and_mask_losses(features, placements, boxes, matches, inside, rows)
        total = torch.stack([*losses.values()]).sum()
        answers.append((losses, torch.autograd.grad(total, parameters, allow_unused=True)))
    (expected, expected_gradients), (found, gradients) = answers
    assert all(loss > 0 for loss in expected.values())
    for loss in expected:
        torch.testing.assert_close(found[loss], expected[loss], atol=1e-5, rtol=1e-4, msg=loss)
    for parameter, one, other in zip(names, gradients, expected_gradients, strict=True):
        scale = other.abs().max().item()
        torch.testing.assert_close(one, other, atol=1e-3 * scale, rtol=1e-3, msg=parameter)


@pytest.mark.parametrize(("batch", "operations"), [(1, 850), (4, 1350)])
def test_detection_with_run_lengths_reads_five_times_at_most(
    batch: int, operations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ResNet-50 as torchvision has it. The size of the input and the number of proposals change neither number."""
    use_fixed_shapes(monkeypatch)
    fewer = ["network.rpn.post_nms_top_n_test=300", "network.rpn.pre_nms_top_n_test=300"]
    config = Config.from_tree({}, fewer, "test").changed("input", min_side=96, max_side=192)
    config = config.changed("inference", max_detections=100, score_threshold=0.0)
    network = build_network(config, 5).eval()
    images = photos(*[(96, 128)] * batch)
    network.detect(images[:1])  # constants are computed once
    with DispatchCounts() as counts:
        found = network.detect(images)
        for one in found:
            one.masks.pixels()
        encode_photos([one.masks for one in found])
    assert sum(len(one) for one in found) > 50 * batch
    own = batch  # the copy on the processor is looked at once a photo, to drop boxes without extent
    assert counts.reads.total() - own <= 5, counts.reads
    assert counts.operations.total() <= operations, counts.operations.most_common()
