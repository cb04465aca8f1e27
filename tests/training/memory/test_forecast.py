"""The memory forecast against counts of real steps."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from clothseg.config import Config
from clothseg.dataset import load_example
from clothseg.instances import CocoAnnotation
from clothseg.networks import Network, build_network
from clothseg.training.memory.forecast import forecast, forecast_memory, photo_needs
from clothseg.training.memory.tensors import LiveBytes

from ..conftest import SMALL, Photos

CPU = torch.device("cpu")


def saved_bytes(network: Network, compute: Callable[[], torch.Tensor]) -> int:
    """Bytes that autograd keeps for the backward pass, without the weights. Each storage counts once."""
    known = {t.untyped_storage().data_ptr() for t in network.state_dict().values()}
    found: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = compute()
    del loss
    return sum(found.values())


@pytest.mark.parametrize("backbone", ["timm/tf_efficientnet_lite0", "resnet18"])
def test_the_memory_probe_keeps_as_many_bytes_as_a_real_step(backbone: str, photos: Photos) -> None:
    """The difference is below 10 % in a step on two photos in which every proposal is positive."""
    size = [
        "input.height=256",
        "input.width=192",
        "network.box_head.foreground_iou=0",
        "network.box_head.background_iou=0",
    ]
    more = [f"backbone.name={backbone}", "backbone.frozen_stages=2", "network.box_head.positive_fraction=1"]
    config = Config.load("demo", [*SMALL, *size, *more])
    network = build_network(config, 3)
    examples = [load_example(photos[0], position, None) for position in (0, 1)]
    counted = saved_bytes(
        network, lambda: network.losses([image for image, _ in examples], [truth for _, truth in examples])["total"]
    )
    with torch.device("meta"):
        empty = build_network(config, 3)
        with LiveBytes() as live:
            outputs = empty.backbone.forward_frozen(torch.empty((2, 3, 256, 192)))
            loss = empty.memory_probe(outputs, 1, on_cpu=True)
            del outputs
    assert live.now == pytest.approx(counted, rel=0.1)
    del loss


def test_forecast_of_weights_gradients_and_optimizer_matches_a_real_step(photos: Photos) -> None:
    train, val = photos
    for overrides in ([], ["train.optimizer=sgd", "backbone.frozen_stages=5"], ["train.ema_decay=0.9"]):
        config = Config.load("demo", [*SMALL, *overrides])
        found = forecast(config, 3, photo_needs(train, config), photo_needs(val, config), CPU, 7)
        network = build_network(config, 3)
        trained = [p for p in network.parameters() if p.requires_grad]
        everything = sum(p.numel() for p in network.parameters())
        adam = config.train.optimizer == "adamw"
        optimizer = torch.optim.AdamW(trained) if adam else torch.optim.SGD(trained, lr=0.1, momentum=0.9)
        for parameter in trained:
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
        assert found.gradients == sum(p.grad.nbytes for p in trained if p.grad is not None)
        kept = [value for state in optimizer.state.values() for value in state.values() if torch.is_tensor(value)]
        assert found.optimizer == pytest.approx(sum(tensor.nbytes for tensor in kept), rel=0.01)
        assert found.ema == (4 * everything if overrides == ["train.ema_decay=0.9"] else 0)
        tensors = network.state_dict().values()
        assert found.weights == sum(t.nbytes for t in tensors) >= 4 * everything


def test_recomputed_activations_need_less_memory() -> None:
    """The peak of live bytes in the forward and backward pass of a backbone; fast, on tensors without values."""
    config = Config.load("demo", ["backbone.name=resnet50", "backbone.frozen_stages=0"])
    peaks = []
    for recompute in (True, False):
        with torch.device("meta"), LiveBytes() as live:
            backbone = build_network(config, 3).backbone
            backbone.recompute = recompute
            start = live.now
            torch.autograd.backward(torch.stack([x.sum() for x in backbone(torch.empty(16, 3, 256, 256))]).sum())
        peaks.append(live.peak - start)
    assert peaks[0] < 0.7 * peaks[1]


def test_objects_without_a_mask_take_no_mask_bytes(photos: Photos) -> None:
    train, _ = photos
    config = Config.load("demo", SMALL)
    before = photo_needs(train, config)
    other = train.only([entry.id for entry in train.images])
    for position, entry in enumerate(train.images):
        row = entry.annotations[0]
        boxes: list[CocoAnnotation] = [{**row, "segmentation": []} for _ in range(20)]
        other.images[position] = replace(entry, annotations=[row, *boxes])
    after = photo_needs(other, config)
    assert (after.masks, after.most, after.most_masks) == (1, 21, 1)
    assert after.held <= before.held


@pytest.mark.parametrize("drawn", [True, False])
def test_masks_that_a_teacher_may_draw_are_counted(drawn: bool, photos: Photos) -> None:
    """The forecast for photos with boxes is that for photos with as many masks."""
    train, val = photos
    config = Config.load(
        "demo", [*SMALL, "augment.fixed_views=0", "train.ema_decay=0.9", f"box_labels.pseudo_masks={drawn}"]
    )
    forecasts = []
    for of_others in ([], [[0, 0, 50, 0, 50, 50]]):
        other = train.only([entry.id for entry in train.images])
        for position, entry in enumerate(train.images):
            rows: list[CocoAnnotation] = [
                {**entry.annotations[0], "bbox": [0.0, 0.0, 50.0, 50.0], "segmentation": of_others} for _ in range(20)
            ]
            other.images[position] = replace(entry, annotations=[entry.annotations[0], *rows])
        forecasts.append(forecast_memory(config, other, val, CPU))
    boxes, every = forecasts
    assert (boxes.photos < every.photos) != drawn
