"""YOLACT as a whole: odd photos and objects, both ways of computing, and what `fit` and `predict` ask of it."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from clothseg import cpu_path
from clothseg.config import Config
from clothseg.instances import Instances, MapMasks, PixelMasks, encode_photos
from clothseg.networks import Network, build_network
from clothseg.networks.dispatch_counts import DispatchCounts
from clothseg.networks.yolact.network import YolactNetwork
from clothseg.training.memory.tensors import LiveBytes

SMALL = {
    "input": {"resize": "fit", "height": 96, "width": 64},
    "backbone": {"name": "resnet18", "norm": "group", "frozen_stages": 1},
    "inference": {"score_threshold": 0.0},
    "network": {
        "name": "yolact",
        "fpn": {"channels": 16, "levels": [3, 4, 5, 6]},
        "anchors": {"scales": [[12.0], [24.0], [48.0], [80.0]]},
        "prototypes": {"count": 6, "channels": 16, "num_conv": 1, "max_positive": 20},
        "head": {"channels": 16},
    },
}
Build = Callable[..., YolactNetwork]


@pytest.fixture
def build(as_yolact: Callable[[Network], YolactNetwork]) -> Build:
    """A small network whose scores differ and whose boxes move."""

    def built(*overrides: str, classes: int = 3) -> YolactNetwork:
        network = as_yolact(build_network(Config.from_tree(SMALL, list(overrides), "small"), classes))
        with torch.no_grad():
            network.head.score.weight.mul_(20)
            network.head.delta.weight.mul_(5)
        return network.eval()

    return built


def photos(*sizes: tuple[int, int]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand((3, *size), generator=generator) for size in sizes]


def truth(size: tuple[int, int], boxes: list[list[int]], crowd: list[bool] | None = None) -> Instances:
    """Objects that fill their boxes, of classes 1, 2, 3, 1, ..."""
    masks = torch.zeros((len(boxes), *size), dtype=torch.bool)
    for mask, (left, top, right, bottom) in zip(masks, boxes, strict=True):
        mask[top:bottom, left:right] = True
    classes = torch.arange(len(boxes)) % 3 + 1
    flags = torch.tensor(crowd or [False] * len(boxes), dtype=torch.bool)
    return Instances(size, torch.tensor(boxes).float().reshape(-1, 4), classes, PixelMasks(masks), crowd=flags)


def step(network: YolactNetwork, images: list[Tensor], targets: list[Instances]) -> dict[str, float]:
    """Losses of one step, all of them finite, with a finite gradient for every trained weight."""
    network.zero_grad()
    losses = network.losses(images, targets)
    losses["total"].backward()  # type: ignore[no-untyped-call]
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None and bool(parameter.grad.isfinite().all()), name
    values = {name: value.item() for name, value in losses.items()}
    assert all(torch.tensor(list(values.values())).isfinite())
    return values


def test_a_photo_without_objects_is_background_for_the_semantic_layer_alone(build: Build) -> None:
    network = build()
    values = step(network, photos((96, 64)), [truth((96, 64), [])])
    assert values["class"] == values["bbox"] == values["mask"] == 0
    assert values["semantic"] > 0
    with_objects = [truth((96, 64), [[10, 10, 50, 60]]), truth((96, 64), [])]
    assert step(network, photos((96, 64), (96, 64)), with_objects)["class"] > 0


@pytest.mark.parametrize(
    "box",
    [[30, 40, 31, 41], [0, 0, 1, 1], [63, 95, 64, 96], [0, 0, 64, 96], [0, 90, 64, 96], [62, 0, 64, 96]],
    ids=["one pixel", "first pixel", "last pixel", "whole photo", "bottom edge", "right edge"],
)
def test_objects_of_any_size_at_any_place_can_be_learned(box: list[int], build: Build) -> None:
    network, target = build(), truth((96, 64), [box])
    assert step(network, photos((96, 64)), [target])["bbox"] > 0
    pixels, placements = network.transform.batch(photos((96, 64)), network.device)
    targets = [network.transform.target(target, placements[0])]
    matches = network.match(network.neck(network.backbone(pixels)), placements[0].padded, targets)
    assert int((matches >= 0).sum()) >= 1


def test_300_objects_on_a_photo(build: Build) -> None:
    generator = torch.Generator().manual_seed(4)
    corners = torch.randint(0, 50, (300, 2), generator=generator)
    boxes = torch.cat([corners, corners + 2 + torch.randint(0, 12, (300, 2), generator=generator)], dim=1)
    network = build()
    step(network, photos((96, 64)), [truth((96, 64), boxes.tolist())])
    crowds = [False] * 10 + [True] * 290
    step(network, photos((96, 64)), [truth((96, 64), boxes.tolist(), crowds)])


def test_crowds_change_nothing_but_the_negative_anchors(build: Build) -> None:
    network = build()
    alone, crowd = [[10, 10, 50, 60]], [[0, 0, 64, 96]]
    without = step(network, photos((96, 64)), [truth((96, 64), alone)])
    with_crowd = step(network, photos((96, 64)), [truth((96, 64), alone + crowd, [False, True])])
    assert {name: with_crowd[name] for name in ("bbox", "mask", "semantic")} == {
        name: without[name] for name in ("bbox", "mask", "semantic")
    }
    assert with_crowd["class"] < without["class"]


@pytest.mark.parametrize("frame", [(96, 96), (100, 70), (33, 64)])
@pytest.mark.parametrize("resize", ["fit", "stretch"])
def test_any_frame_can_be_trained_and_used(resize: str, frame: tuple[int, int], build: Build) -> None:
    network = build(f"input.resize={resize}", f"input.height={frame[0]}", f"input.width={frame[1]}")
    images = photos((80, 60), (50, 90))
    step(network, images, [truth((80, 60), [[5, 5, 40, 70]]), truth((50, 90), [[20, 0, 90, 30]])])
    for image, found in zip(images, network.detect(images), strict=True):
        assert found.size == image.shape[1:] and isinstance(found.masks, MapMasks)
        assert found.masks.pixels().shape == (len(found), *found.size)
        assert bool((found.boxes[:, 2:] > found.boxes[:, :2]).all())


def test_photos_of_several_sizes_share_a_padded_input(build: Build) -> None:
    network = build("input.resize=keep_ratio", "input.min_side=64", "input.max_side=120")
    images = photos((80, 60), (50, 90))
    step(network, images, [truth((80, 60), [[5, 5, 40, 70]]), truth((50, 90), [[20, 0, 90, 30]])])
    assert [found.size for found in network.detect(images)] == [(80, 60), (50, 90)]


def test_masks_follow_the_photo_in_its_frame(build: Build) -> None:
    """A network that finds one thing everywhere: in a padded frame the mask covers the photo, not its padding."""
    network = build("network.prototypes.count=1", classes=1)
    with torch.no_grad():
        for layer in (network.prototypes.last, network.head.coefficient, network.head.delta, network.head.score):
            layer.weight.zero_()
            layer.get_parameter("bias").fill_(0.0)
        network.prototypes.last.get_parameter("bias").fill_(9.0)
        network.head.coefficient.get_parameter("bias").fill_(9.0)
        network.head.delta.get_parameter("bias").view(3, 4)[:, 2:].fill_(20.0)  # far larger than the photo
    (found,) = network.detect(photos((30, 60)))
    assert len(found) > 0 and bool(found.masks.pixels().all())
    assert found.boxes.tolist() == [[0, 0, 60, 30]] * len(found)


def both_ways(network: YolactNetwork, images: list[Tensor]) -> tuple[list[Instances], list[Instances]]:
    """Detections of the CPU's way, and of fixed shapes."""
    one_by_one = network.detect(images)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu_path, "uses_cpu_path", lambda tensor: False)
        return one_by_one, network.detect(images)


@pytest.mark.parametrize("nms", ["fast", "cross_class", "traditional"])
@pytest.mark.parametrize("rescoring", ["false", "true"])
def test_detections_are_the_same_in_both_ways(nms: str, rescoring: str, build: Build) -> None:
    network = build(f"network.selection.nms={nms}", f"inference.mask_rescoring={rescoring}")
    expected, found = both_ways(network, photos((96, 64), (1, 1), (60, 90)))
    assert len(expected[0]) > 5
    for one, other in zip(expected, found, strict=True):
        assert torch.equal(one.classes, other.classes)
        torch.testing.assert_close(other.boxes, one.boxes, atol=1e-3, rtol=0)
        torch.testing.assert_close(other.scores, one.scores, atol=1e-5, rtol=0)
        assert (other.masks.pixels() != one.masks.pixels()).float().mean() < 1e-4


def test_no_detection_in_both_ways(build: Build) -> None:
    network = build("inference.score_threshold=1.0")
    with torch.no_grad():
        network.head.score.weight.zero_()
    for found in both_ways(network, photos((96, 64), (40, 40))):
        assert [len(one) for one in found] == [0, 0]
        assert [one.masks.rle() for one in found] == [[], []]


@pytest.mark.parametrize("count", [1, 4])
def test_a_gpu_is_waited_for_once_and_the_masks_twice(count: int, build: Build) -> None:
    network = build()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu_path, "uses_cpu_path", lambda tensor: False)
        images = photos(*[(96, 64)] * count)
        network.detect(images)
        with DispatchCounts() as counts:
            found = network.detect(images)
        own = count  # the copy on the processor is looked at once a photo, to drop boxes without extent
        assert counts.reads.total() - own == 1, counts.reads
        with DispatchCounts() as counts:
            encode_photos([one.masks for one in found])
        assert counts.reads.total() == 2, counts.reads


def test_a_step_reads_the_number_of_positive_anchors_alone(build: Build) -> None:
    network = build()
    images, targets = photos((96, 64), (96, 64)), [truth((96, 64), [[10, 10, 50, 60]])] * 2
    step(network, images, targets)
    pixels, placements = network.transform.batch(images, network.device)
    placed = [network.transform.target(*pair) for pair in zip(targets, placements, strict=True)]
    features = network.neck(network.backbone(pixels))
    network.head_losses(features, placements, placed)
    with DispatchCounts() as counts:
        network.head_losses(features, placements, placed)
    seeds = 1  # of the photos' generators, which are on the processor
    assert counts.reads.total() - seeds == 1, counts.reads


def test_half_precision_gives_losses_in_full(build: Build) -> None:
    network = build()
    image, target = photos((96, 64)), [truth((96, 64), [[10, 10, 50, 60]])]
    full = network.losses(image, target)
    with torch.autocast("cpu", torch.bfloat16):
        half = network.losses(image, target)
    for name, value in full.items():
        assert half[name].dtype == torch.float32
        assert half[name].item() == pytest.approx(value.item(), rel=0.1, abs=0.05), name


def test_the_drawn_positives_depend_on_the_seed_alone(build: Build) -> None:
    network = build("network.prototypes.max_positive=2")
    image, target = photos((96, 64)), [truth((96, 64), [[10, 10, 50, 60], [5, 30, 40, 90]])]

    def mask_loss(seed: int) -> float:
        network.generator.manual_seed(seed)
        return network.losses(image, target)["mask"].item()

    assert mask_loss(1) == mask_loss(1)
    assert len({mask_loss(seed) for seed in range(8)}) > 1


def test_whole_boxes_are_cut_as_the_original_does(build: Build) -> None:
    plain, whole = (build(f"network.whole_boxes={word}").detect(photos((96, 64)))[0] for word in ("false", "true"))
    assert not torch.equal(plain.boxes, plain.boxes.trunc())
    kept = (plain.boxes.trunc()[:, 2:] > plain.boxes.trunc()[:, :2]).all(dim=1)
    assert torch.equal(whole.boxes, plain.boxes[kept].trunc())


def test_the_preflight_speaks_of_anchors(build: Build) -> None:
    boxes = torch.tensor([[6.0, 6, 12, 12], [5.0, 5, 55, 2]])
    (check,) = build().preflight([((96, 64), boxes)])
    assert check.name == "anchors" and "50% of the" in check.problem


@pytest.mark.parametrize("objects", [1, 12])
def test_the_memory_probe_keeps_as_many_bytes_as_a_real_step(objects: int, build: Build) -> None:
    """With as many positive anchors as a step can learn from: every anchor that touches the object."""
    overrides = ["input.height=256", "input.width=192", "network.anchors.foreground_iou=0.05"]
    network = build(*overrides, "network.anchors.background_iou=0.01", "network.prototypes.max_positive=10").train()
    boxes = [[10 + 4 * number, 10, 90 + 4 * number, 150] for number in range(objects)]
    images, targets = photos((256, 192), (256, 192)), [truth((256, 192), boxes)] * 2
    with LiveBytes() as live:
        loss = network.losses(images, targets)["total"]
        counted = live.now - sum(image.nbytes for image in images)
    del loss
    with torch.device("meta"):
        empty = build_network(network.config, 3)
        with LiveBytes() as live:
            loss = empty.memory_probe(
                empty.backbone.forward_frozen(torch.empty((2, 3, 256, 192))), objects, on_cpu=True
            )
            assert live.now == pytest.approx(counted, rel=0.1)
    del loss
