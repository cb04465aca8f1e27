"""The whole network: what it has, bad input, edges of the frame, and batches."""

import pytest
import torch
from deeplab_reference import tiny_deeplab
from torch import Tensor

from clothseg.errors import ConfigError
from clothseg.instances import Instances, LabelMasks, PixelMasks
from clothseg.networks import build_network
from clothseg.networks.deeplab.network import DeepLabNetwork
from clothseg.networks.deeplab.postprocess import PhotoMaps, detect_by_connection
from clothseg.networks.placement import InputPlacement

CENTERS = "network.instances=centers"
ALL = ("network.aux=true", CENTERS)


def truth(masks: Tensor, *, crowd: bool = False) -> Instances:
    """Objects of class 1 with these masks."""
    count = len(masks)
    of_photo = PixelMasks(masks)
    return Instances(
        (int(masks.shape[1]), int(masks.shape[2])), of_photo.boxes(), torch.ones(count, dtype=torch.int64), of_photo,
        crowd=torch.full((count,), crowd),
    )  # fmt: skip


def test_it_has_the_losses_and_heads_that_the_settings_ask_for() -> None:
    for overrides, losses, heads in (
        ((), ("semantic",), ("semantic.",)),
        (("network.aux=true",), ("semantic", "aux"), ("semantic.", "aux.")),
        (ALL, ("semantic", "aux", "center", "offset"), ("semantic.", "aux.", "instance.")),
    ):
        network = tiny_deeplab(*overrides)
        assert (network.loss_names, network.head_prefixes) == (losses, heads)
        assert set(network.config.network.weight_by_loss) == set(losses)
        parts = {name.split(".")[0] for name in network.state_dict()}
        assert parts == {"backbone", *(head.removesuffix(".") for head in heads)}


@pytest.mark.parametrize("overrides", [(), ALL])
@pytest.mark.parametrize("hard", [(), ("network.pixel_loss.hard_pixels=0.2",)])
@pytest.mark.parametrize("kind", ["ignored", "empty", "one pixel", "many", "edge"])
def test_losses_of_bad_photos_are_finite(kind: str, hard: tuple[str, ...], overrides: tuple[str, ...]) -> None:
    masks = {
        "ignored": torch.ones((1, 64, 64), dtype=torch.bool),
        "empty": torch.zeros((0, 64, 64), dtype=torch.bool),
        "one pixel": torch.zeros((1, 64, 64), dtype=torch.bool),
        "many": torch.zeros((300, 64, 64), dtype=torch.bool),
        "edge": torch.zeros((2, 64, 64), dtype=torch.bool),
    }[kind]
    if kind == "one pixel":
        masks[0, 63, 63] = True
    if kind == "many":
        masks[torch.arange(300), torch.arange(300) % 64, torch.arange(300) // 64] = True
    if kind == "edge":
        masks[0, :, 0], masks[1, 63] = True, True
    network = tiny_deeplab(*overrides, *hard).train()
    losses = network.losses([torch.rand(3, 64, 64)], [truth(masks, crowd=kind == "ignored")])
    assert all(value.isfinite() for value in losses.values())
    if kind == "ignored":
        assert losses["total"].item() == 0
    torch.autograd.backward(losses["total"])
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters() if p.requires_grad)


@pytest.mark.parametrize("overrides", [(), (CENTERS,), ("network.decoder.levels=[]", "network.decoder.projected=[]")])
def test_detections_are_sorted_disjoint_and_inside(overrides: tuple[str, ...]) -> None:
    torch.manual_seed(0)
    settings = ("input.resize=none", "network.components.min_area=1", "inference.score_threshold=0")
    network = tiny_deeplab(*overrides, *settings, "inference.max_detections=7").eval()
    found = network.detect([torch.rand(3, 75, 51), torch.rand(3, 40, 90)])
    for instances, size in zip(found, ((75, 51), (40, 90)), strict=True):
        assert instances.size == size and len(instances) <= 7
        assert (instances.scores[:-1] >= instances.scores[1:]).all()
        pixels = instances.masks.pixels()
        assert pixels.sum(0).max() <= 1
        boxes = PixelMasks(pixels).boxes()
        torch.testing.assert_close(boxes, instances.boxes)


@pytest.mark.parametrize("backbone", ["resnet18", "mobilenetv2"])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (1, 70)])
def test_tiny_photos_have_detections_of_their_own_size(backbone: str, size: tuple[int, int]) -> None:
    network = tiny_deeplab("input.resize=none", f"backbone.name={backbone}", CENTERS).eval()
    found = network.detect([torch.rand(3, *size)])[0]
    assert found.size == size and found.masks.pixels().shape[1:] == size


def planted(labels: Tensor, placement: InputPlacement) -> PhotoMaps:
    """Maps that are certain of `labels` on the input."""
    return PhotoMaps(torch.nn.functional.one_hot(labels, 3).permute(2, 0, 1).float() * 20, placement)


def test_a_mask_at_the_frames_edge_stays_there_when_the_photo_is_larger_than_the_input() -> None:
    network = tiny_deeplab()
    placement = InputPlacement(0, 0, 32, 24, (32, 40), (96, 72))
    labels = torch.zeros((32, 40), dtype=torch.int64)
    labels[16:, 12:24] = 1
    labels[:, 24:] = 2  # the padding, which no photo has
    settings = network.settings.components, network.config.inference
    (found,) = detect_by_connection([planted(labels, placement)], *settings)
    instances = network.on_photo(found, placement)
    assert instances.classes.tolist() == [1] and instances.boxes.tolist() == [[36, 48, 72, 96]]
    expected = torch.zeros((96, 72), dtype=torch.bool)
    expected[48:, 36:] = True
    assert isinstance(instances.masks, LabelMasks)
    assert (instances.masks.pixels()[0] ^ expected).sum() <= 36 + 48  # at most a line at the inner edges
    assert instances.masks.pixels()[0, -1, -1] and instances.masks.pixels()[0, 60, -1]


def test_the_limit_on_detections_keeps_the_best_and_small_parts_are_dropped() -> None:
    network = tiny_deeplab("inference.max_detections=2", "network.components.min_area=4")
    placement = InputPlacement(0, 0, 32, 32, (32, 32), (32, 32))
    maps = planted(torch.zeros((32, 32), dtype=torch.int64), placement)
    logits = maps.logits.clone()
    for number, certainty in enumerate((3.0, 9.0, 6.0)):
        logits[:, 2:6, 8 * number : 8 * number + 4] = torch.tensor([0.0, certainty, 0.0])[:, None, None]
    logits[:, 20, 20:23] = torch.tensor([0.0, 9.0, 0.0])[:, None]
    found = detect_by_connection(
        [PhotoMaps(logits, placement)], network.settings.components, network.config.inference
    )[0]  # fmt: skip
    assert found.boxes[:, 0].tolist() == [8, 16]


def test_the_first_channel_of_many_classes_is_background() -> None:
    network = tiny_deeplab(classes=300)
    with torch.no_grad():
        network.semantic.predictor.get_parameter("bias")[290] = 50
    found = network.eval().detect([torch.rand(3, 64, 64)])[0]
    assert found.classes.tolist() == [290]


def test_batch_norm_needs_two_photos() -> None:
    network = tiny_deeplab("network.norm=batch").train()
    with pytest.raises(ConfigError, match="batch_size to 2"):
        network.losses([torch.rand(3, 64, 64)], [truth(torch.ones((1, 64, 64), dtype=torch.bool))])


def test_a_timm_backbone_is_dilated_or_says_that_it_cannot_be() -> None:
    from clothseg.config import Config

    tree = {"network": {"name": "deeplab", "output_stride": 8}, "backbone": {"name": "timm/tf_efficientnet_lite0"}}
    network = build_network(Config.from_tree(tree, [], "t"), 2)
    assert isinstance(network, DeepLabNetwork)
    with torch.no_grad():
        last = network.backbone(torch.rand(1, 3, 64, 96))[-1]
    assert last.shape[-2:] == (8, 12)
    tree["backbone"] = {"name": "timm/swinv2_cr_tiny_ns_224"}
    with pytest.raises(ConfigError):
        build_network(Config.from_tree(tree, [], "t"), 2)
