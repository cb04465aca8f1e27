"""Losses, gradients, running statistics and steps of whole networks against the originals, in double precision."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from deeplab_reference import Arrays, photo_tensor, read_arrays
from torch import Tensor, nn

from clothseg.networks.deeplab.losses import center_loss, offset_loss, pixel_loss
from clothseg.networks.deeplab.network import DeepLabNetwork
from clothseg.networks.deeplab.targets import Segments, center_target, semantic_target, small_object_weights
from clothseg.weights import load_model

Make = Callable[[str], Path]
pytestmark = pytest.mark.slow
BATCH_NORM = ("network.norm=batch", "backbone.norm=batch", "network.aspp.dropout=0", "backbone.frozen_stages=0")
SAMPLED = {
    "backbone.conv1.weight": (4, 1),
    "backbone.layer1.0.conv1.weight": (2, 2),
    "backbone.layer4.0.conv2.weight": (32, 32),
    "classifier.project.0.weight": (4, 8),
    "classifier.aspp.convs.2.0.weight": (32, 128),
    "classifier.aspp.convs.4.1.weight": (16, 64),
    "classifier.classifier.0.weight": (16, 16),
    "classifier.classifier.3.weight": (1, 1),
}


@pytest.fixture
def folder(reference: Path) -> Path:
    if not (reference / "deeplab").is_dir():
        pytest.skip("no reference/deeplab")
    return reference / "deeplab"


def double_network(path: Path) -> tuple[DeepLabNetwork, dict[str, str]]:
    """A network in double precision whose norms learn, and our names by those of the file."""
    loaded = load_model(path, overrides=BATCH_NORM)
    assert isinstance(loaded.network, DeepLabNetwork)
    return loaded.network.double(), loaded.report.renamed


def crops(folder: Path, arrays: Arrays, network: DeepLabNetwork) -> Tensor:
    """The batch of normalised crops, rounded to float32 as the original's was."""
    photos = [photo_tensor(folder, str(name)) for name in arrays["photos"]]
    normalised = [network.transform.normalise(p, (p.shape[1], p.shape[2])) for p in photos]
    parts = [normalised[p][:, y : y + 208, x : x + 208] for p, y, x in arrays["crops"].tolist()]
    return torch.stack(parts).double()


def class_logits(network: DeepLabNetwork, pixels: Tensor) -> Tensor:
    return network.upsample(network.forward_dense(pixels)[0], (pixels.shape[-2], pixels.shape[-1]))


def gradient_norms(network: nn.Module, names: list[str]) -> list[float]:
    parameters = dict(network.named_parameters())
    gradients = [parameters[name].grad for name in names]
    return [float(g.norm()) for g in gradients if g is not None]


@pytest.mark.parametrize("case", ["frozen", "batchnorm"])
def test_loss_gradients_and_statistics_are_vainfs(case: str, folder: Path, reference_weights: Make) -> None:
    arrays = read_arrays(folder / "training.npz")
    network, ours = double_network(reference_weights("deeplabv3plus_resnet50"))
    network.train(case == "batchnorm")
    logits = class_logits(network, crops(folder, arrays, network))
    loss = pixel_loss(logits, torch.from_numpy(arrays["target"]).long())
    assert float(loss) == pytest.approx(float(arrays[f"{case}_loss_float64"]), rel=1e-9)
    torch.autograd.backward(loss)
    names = [ours[name] for name in arrays["grad_names"].tolist()]
    np.testing.assert_allclose(gradient_norms(network, names), arrays[f"{case}_gradnorms_float64"], rtol=1e-6)
    parameters = dict(network.named_parameters())
    for name, (rows, columns) in SAMPLED.items():
        gradient, expected = parameters[ours[name]].grad, arrays[f"{case}_grad_{name}"]
        assert gradient is not None
        part = gradient[::rows, ::columns].numpy()
        assert np.abs(part - expected).max() <= 1e-6 * np.abs(expected).max(), name
    if case == "batchnorm":
        for name in arrays["bn_names"].tolist():
            norm = network.get_submodule(ours[f"{name}.weight"].removesuffix(".weight"))
            step = 8 if name == "backbone.layer4.2.bn3" else 1
            for statistic in ("running_mean", "running_var"):
                expected = arrays[f"batchnorm_{statistic}_{name}"]
                np.testing.assert_allclose(getattr(norm, statistic)[::step].numpy(), expected, rtol=1e-5, atol=1e-5)


def test_three_steps_of_sgd_are_vainfs(folder: Path, reference_weights: Make) -> None:
    arrays = read_arrays(folder / "training.npz")
    network, ours = double_network(reference_weights("deeplabv3plus_resnet50"))
    network.train()
    heads = [p for n, p in network.named_parameters() if not n.startswith("backbone.")]
    groups = [{"params": list(network.backbone.parameters())}, {"params": heads}]
    optimizer = torch.optim.SGD(groups, lr=0.01, momentum=0.9, weight_decay=1e-4)
    pixels, target = crops(folder, arrays, network), torch.from_numpy(arrays["target"]).long()
    losses = []
    for step, rates in enumerate(arrays["sgd_rates"].tolist()):
        loss = pixel_loss(class_logits(network, pixels), target)
        losses.append(float(loss))
        if step == 3:
            break
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        optimizer.step()
    np.testing.assert_allclose(losses, arrays["sgd_losses_float64"], rtol=1e-6)
    parameters = dict(network.named_parameters())
    norms = [float(parameters[ours[name]].norm()) for name in arrays["grad_names"].tolist()]
    np.testing.assert_allclose(norms, arrays["sgd_norms_after_float64"], rtol=1e-6)


@pytest.mark.parametrize("kind", ["plain", "separable"])
def test_panoptic_losses_and_gradients_are_detectron2s(kind: str, folder: Path, reference_weights: Make) -> None:
    arrays, targets = read_arrays(folder / "panoptic_training.npz"), read_arrays(folder / "panoptic_targets.npz")
    suffix = "" if kind == "plain" else "_separable"
    network, ours = double_network(reference_weights(f"panoptic_deeplab_r52{suffix}"))
    network.eval()
    photo = photo_tensor(folder, "ccp0254_portrait")
    mean, std = (
        torch.tensor(v)[:, None, None] for v in (network.transform.conventions.mean, network.transform.conventions.std)
    )
    low = network.forward_dense(((photo.double() - mean.double()) / std.double())[None])
    size = 320, 256
    rows = targets["photo_segments"]
    ids = torch.full(size, -1, dtype=torch.int64)
    for number, segment in enumerate(rows[:, 0].tolist()):
        ids[torch.from_numpy(targets["photo_panoptic"] == segment)] = number
    classes = torch.tensor(rows[:, 1], dtype=torch.int64)
    segments = Segments(ids, classes, classes > 0, torch.tensor(rows[:, 2] > 0))
    truth = center_target(segments, 8)
    weights = small_object_weights(segments, 4096, 3.0).double()[None]
    labels = semantic_target(segments, ignore_crowds=False)[None]
    losses = {
        "loss_sem_seg": pixel_loss(network.upsample(low[0], size), labels, weights, 0.2),
        "loss_center": 200
        * center_loss(network.upsample(low[1], size)[:, 0], truth.heat[None], truth.center_weight[None]),
        "loss_offset": 0.01
        * offset_loss(network.upsample_offsets(low[2], size), truth.offsets[None], truth.offset_weight[None]),
    }
    ordered = [float(losses[name]) for name in arrays["loss_names"].tolist()]
    np.testing.assert_allclose(ordered, arrays[f"{kind}_losses_float64"], rtol=1e-6)
    torch.autograd.backward(torch.stack(list(losses.values())).sum())
    names = [ours.get(name, name) for name in arrays["grad_names"].tolist()]
    np.testing.assert_allclose(gradient_norms(network, names), arrays[f"{kind}_gradnorms_float64"], rtol=1e-5)
