"""Ours and the original YOLACT compute the same from the same file: stages, detections, masks, losses, gradients.

The stored outputs and what their tolerances mean: `../shared/reference/yolact/README.md`.
"""

import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from clothseg.config import YolactSettings
from clothseg.networks import Network, to_tensor
from clothseg.networks.detections import InputMaps
from clothseg.networks.layers.box_targets import decode_boxes
from clothseg.networks.placement import InputPlacement
from clothseg.networks.target import Target
from clothseg.networks.yolact.losses import hard_negatives
from clothseg.networks.yolact.network import YolactNetwork
from clothseg.photos import read_photo
from clothseg.weights import load_model

SIDE = 550
PHOTOS = ("0011", "0032_square", "0053_landscape")
STAGES = {"C3": (16, 4), "C4": (16, 3), "C5": (32, 2)}
LEVELS = {"P3": (16, 4), "P4": (16, 3), "P5": (16, 2), "P6": (16, 1), "P7": (16, 1)}
GRADIENTS = {
    "prediction_layers.0.bbox_layer.bias": "head.delta.bias",
    "prediction_layers.0.conf_layer.bias": "head.score.bias",
    "prediction_layers.0.mask_layer.bias": "head.coefficient.bias",
    "prediction_layers.0.upfeature.0.bias": "head.convs.0.conv.bias",
    "proto_net.10.bias": "prototypes.last.bias",
    "proto_net.0.bias": "prototypes.convs.0.conv.bias",
    "semantic_seg_conv.bias": "semantic.bias",
    "fpn.lat_layers.0.bias": "fpn.lateral.2.0.bias",
    "fpn.pred_layers.2.bias": "fpn.smooth.0.0.bias",
    "fpn.downsample_layers.1.bias": "fpn.extra.1.0.bias",
    "backbone.conv1.weight": "backbone.model.conv1.weight",
    "backbone.layers.3.2.conv3.weight": "backbone.model.layer4.2.conv3.weight",
}
Arrays = dict[str, NDArray[Any]]
Forward = Callable[[str], tuple[list[InputPlacement], list[Tensor]]]


@pytest.fixture(scope="module")
def folder(reference: Path) -> Path:
    if not (reference / "yolact").is_dir():
        pytest.skip(f"no reference files: {reference / 'yolact'}")
    return reference / "yolact"


@pytest.fixture(scope="module")
def loaded(reference_weights: Callable[[str], Path], as_yolact: Callable[[Network], YolactNetwork]) -> YolactNetwork:
    network = as_yolact(load_model(reference_weights("yolact")).network)
    network.backbone.freeze(0)
    return network


@pytest.fixture
def network(loaded: YolactNetwork) -> Iterator[YolactNetwork]:
    settings = loaded.settings
    yield loaded.eval()
    loaded.settings = settings
    loaded.zero_grad()


@pytest.fixture(scope="module")
def tolerances(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "tolerances.json").read_text())
    return content


@pytest.fixture(scope="module")
def forward(loaded: YolactNetwork, folder: Path) -> Forward:
    """Placements, and what `forward_dense` gives, of a photo; computed once."""

    @functools.cache
    def run(name: str) -> tuple[list[InputPlacement], list[Tensor]]:
        with torch.no_grad():
            pixels, placements = loaded.eval().transform.batch([photo(folder, name)], loaded.device)
            return placements, loaded.forward_dense(pixels)

    return run


def stored(folder: Path, name: str) -> Arrays:
    with np.load(folder / f"{name}.npz") as archive:
        return {key: archive[key] for key in archive.files}


def photo(folder: Path, name: str) -> Tensor:
    return to_tensor(read_photo(folder / "photos" / f"{name}.jpg"))


def close(found: Tensor, expected: NDArray[Any], tolerance: float, name: str) -> None:
    assert found.shape == expected.shape, name
    worst = float((found.detach().double() - torch.from_numpy(expected).double()).abs().max())
    assert worst <= tolerance, f"{name}: off by {worst:.3g}, allowed {tolerance:.3g}"


def changed(network: YolactNetwork, section: str, **values: Any) -> YolactSettings:
    part = getattr(network.settings, section).model_copy(update=values)
    return network.settings.model_copy(update={section: part})


@pytest.mark.parametrize("name", PHOTOS)
def test_every_stage(
    name: str, network: YolactNetwork, folder: Path, tolerances: dict[str, Any], forward: Forward
) -> None:
    truth = stored(folder, f"outputs_{name}")

    def check(stage: str, found: Tensor, expected: NDArray[Any]) -> None:
        close(found, expected, 5 * tolerances["stages"][stage]["variants"], stage)

    def check_channels(stage: str, found: Tensor) -> None:
        """Over the whole map: a part that the strides leave out counts too."""
        tolerance = 5 * tolerances["stages"][stage]["variants"]
        close(found.mean(dim=(1, 2)), truth[f"{stage}_channel_mean"], tolerance, stage)
        if f"{stage}_channel_rms" in truth:
            close(found.square().mean(dim=(1, 2)).sqrt(), truth[f"{stage}_channel_rms"], tolerance, stage)

    with torch.no_grad():
        pixels, placements = network.transform.batch([photo(folder, name)], network.device)
        check("input", pixels[0, :, ::5, ::5], truth["input"])
        outputs = network.backbone(pixels)
        levels = network.neck(outputs)
        for maps, places in ((outputs, STAGES), (levels, LEVELS)):
            for output, (stage, (channels, step)) in zip(maps, places.items(), strict=True):
                check(stage, output[0, ::channels, ::step, ::step], truth[stage])
                check_channels(stage, output[0])
        semantic = network.semantic(levels[0])[0, 1:]
        check("segm", semantic[:, ::4, ::4], truth["segm"])
        check_channels("segm", semantic)
        _, (prototypes, *maps) = forward(name)
        check("proto", prototypes[0, :, ::4, ::4].permute(1, 2, 0), truth["proto"])
        check_channels("proto", prototypes[0])
        logits, deltas, coefficients = (part[0] for part in network.head.by_anchor(maps))
        anchors = network.anchors_of([(m.shape[2], m.shape[3]) for m in levels], placements[0].padded, network.device)
        boxes = decode_boxes(deltas, anchors, network.conventions.box_weights, network.conventions.box_clip) / SIDE
    step, coefficient_step = truth["rows"]
    check("conf_logits", logits[::step], truth["conf_logits"])
    check("conf", logits.softmax(-1)[::7], truth["conf"])
    check("loc", deltas[::step], truth["loc"])
    check("boxes", boxes[::step], truth["boxes"])
    check("mask_coefficients", coefficients.tanh()[::coefficient_step], truth["mask_coefficients"])
    if "priors" in truth:
        centres, sides = (anchors[:, :2] + anchors[:, 2:]) / 2, anchors[:, 2:] - anchors[:, :2]
        close(torch.cat([centres, sides], dim=1) / SIDE, truth["priors"], 1e-6, "priors")
    assert int((logits.softmax(-1)[:, 1:].amax(dim=1) > 0.05).sum()) == truth["num_candidates"]


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize(
    ("prefix", "selection"),
    [
        ("det", {}),
        ("cross", {"nms": "cross_class"}),
        ("low", {"candidate_threshold": 0.005}),
        ("traditional", {"nms": "traditional"}),
    ],
)
def test_every_selection(
    name: str,
    prefix: str,
    selection: dict[str, Any],
    network: YolactNetwork,
    folder: Path,
    tolerances: dict[str, Any],
    forward: Forward,
) -> None:
    """Every detection is there, with its prior and class, and in its place unless scores lie close together."""
    truth = {key.removeprefix(f"{prefix}_"): v for key, v in stored(folder, f"outputs_{name}").items()}
    network.settings = changed(network, "selection", **selection)
    with torch.no_grad():
        placements, (_, *maps) = forward(name)
        logits, deltas, coefficients = network.head.by_anchor(maps)
        anchors = network.anchors_of([(m.shape[2], m.shape[3]) for m in maps[:5]], placements[0].padded, network.device)
        ((found, priors),) = network.choose(logits, deltas, anchors)
    boxes, classes, scores = found
    limits = tolerances["photos"][f"{name}.jpg"]
    assert len(scores) == len(truth["scores"])
    if prefix != "traditional":
        assert sorted(zip(priors.tolist(), (classes - 1).tolist(), strict=True)) == sorted(
            zip(truth["priors"].tolist(), truth["classes"].tolist(), strict=True)
        )
    assert float(np.abs(scores.numpy() - truth["scores"]).max()) <= 5 * limits["largest_score_difference"]
    gaps = np.abs(np.diff(truth["scores"], prepend=np.inf, append=-np.inf))
    in_place = np.minimum(gaps[1:], gaps[:-1]) > 2 * limits["largest_score_difference"]
    assert in_place[: limits["above_0_3"]].all()
    assert (classes.numpy() - 1)[in_place].tolist() == truth["classes"][in_place].tolist()
    close(boxes[in_place] / SIDE, truth["boxes"][in_place], 5 * limits["largest_box_difference"], "boxes")
    if prefix == "det":
        chosen = coefficients[0, priors].tanh()[in_place]
        tolerance = 5 * tolerances["stages"]["mask_coefficients"]["variants"]
        close(chosen, truth["coefficients"][in_place], tolerance, "coefficients")


@pytest.mark.parametrize("name", PHOTOS)
def test_masks_and_boxes_on_the_photo(
    name: str, network: YolactNetwork, folder: Path, tolerances: dict[str, Any], forward: Forward
) -> None:
    truth, limits = stored(folder, f"outputs_{name}"), tolerances["photos"][f"{name}.jpg"]
    placements, outputs = forward(name)
    with torch.no_grad():
        (maps,) = network.head_detections(outputs, placements)
    assert isinstance(maps.masks, InputMaps)
    shown = len(truth["mask_probability"])
    steady = [rank for rank in range(len(maps.scores)) if rank not in limits["ranks_that_move"]]
    close(maps.masks.probabilities[:shown, ::3, ::3], truth["mask_probability"], 5e-3, "mask_probability")
    means = maps.masks.probabilities.mean(dim=(1, 2))
    close(means[steady], truth["mask_probability_mean"][steady], 1e-4, "mask_probability_mean")
    found = network.on_photo(maps, placements[0])
    height, width = (int(side) for side in truth["photo_size"])
    assert found.size == (height, width)
    assert (found.classes.numpy() - 1)[steady].tolist() == truth["pp_classes"][steady].tolist()
    close(found.boxes[steady], truth["pp_boxes"][steady], 1, "pp_boxes")
    drawn, most = found.masks.pixels().numpy(), limits["largest_mask_difference_pixels"]
    areas = drawn.sum(axis=(1, 2))
    assert np.abs(areas - truth["pp_mask_areas"])[steady].max() <= most
    packed = truth["pp_masks_packed"]
    masks = np.unpackbits(packed, axis=1)[:, : height * width].reshape(len(packed), height, width) > 0
    assert len(masks) >= limits["above_0_3"]
    assert max((mine != other).sum() for mine, other in zip(drawn, masks, strict=False)) <= most


CASES = {
    "one_photo": ("0011",),
    "crowd": ("0011",),
    "few_masks": ("0011",),
    "two_photos": ("0011", "0032_square"),
}


def target(truth: Arrays, case: str) -> Target:
    """The objects of `one_photo`, `crowd` or `second_photo`; crowds are last."""
    rows = torch.from_numpy(truth[f"gt_{case}"])
    packed = truth["masks_one_photo" if case == "crowd" else f"masks_{case}"]
    masks = np.unpackbits(packed, axis=1)[:, : SIDE * SIDE].reshape(-1, SIDE, SIDE)
    crowd = rows[:, 4] < 0
    boxes, single = rows[:, :4] * SIDE, rows[~crowd]
    return Target(boxes[~crowd], single[:, 4].long() + 1, torch.from_numpy(masks), boxes[crowd])


def step(
    network: YolactNetwork, folder: Path, case: str
) -> tuple[list[Tensor], list[InputPlacement], list[Target], Arrays]:
    """Features, placements and targets of a case, in training mode."""
    truth = stored(folder, "losses")
    pixels, placements = network.transform.batch([photo(folder, name) for name in CASES[case]], network.device)
    features = network.neck(network.train().backbone(pixels))
    targets = [target(truth, "crowd" if case == "crowd" else "one_photo")]
    return features, placements, [*targets, target(truth, "second_photo")][: len(placements)], truth


@pytest.mark.parametrize("case", CASES)
def test_losses_targets_and_hard_negatives(
    case: str, network: YolactNetwork, folder: Path, tolerances: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with torch.no_grad():
        features, placements, targets, truth = step(network, folder, case)
        if case == "few_masks":
            network.settings = changed(network, "prototypes", max_positive=10)
            monkeypatch.setattr(torch, "randperm", lambda count, **_: torch.arange(count))
        found = network.head_losses(features, placements, targets)
        weights = network.settings.weight_by_loss
        for letter, name in (("B", "bbox"), ("C", "class"), ("M", "mask"), ("S", "semantic")):
            stored_losses = tolerances["losses"][case]
            expected = float(truth[f"{case}_{letter}"])
            allowed = 3 * abs(stored_losses["float32"][letter] - stored_losses["float64"][letter]) + 1e-4
            assert weights[name] * float(found[name]) == pytest.approx(expected, abs=allowed), name
        matches = network.match(features, placements[0].padded, targets)
        assert (matches >= 0).sum(dim=1).tolist() == tolerances["losses"][case]["positives"]
        number = len(targets) - 1
        key = f"{case}{number}"
        if f"{key}_conf_target" not in truth:
            return
        anchors = network.anchors_of([(f.shape[2], f.shape[3]) for f in features], placements[0].padded, network.device)
        labels, deltas = network.anchor_targets(anchors, matches, targets)
        assert labels[number].tolist() == truth[f"{key}_conf_target"].tolist()
        positive = matches[number] >= 0
        assert matches[number][positive].tolist() == truth[f"{key}_matched_gt"][positive.numpy()].tolist()
        close(deltas[number][positive], truth[f"{key}_loc_target_positives"], 1e-4, "box deltas")
        logits, _, _ = network.head.by_anchor(network.head(features))
        rows = torch.where(hard_negatives(logits, labels, 3.0)[number])[0]
        assert rows.tolist() == truth[f"{key}_negatives"].tolist()


def test_gradients(network: YolactNetwork, folder: Path, tolerances: dict[str, Any]) -> None:
    features, placements, targets, truth = step(network, folder, "one_photo")
    total = network.with_total(network.head_losses(features, placements, targets))["total"]
    total.backward()  # type: ignore[no-untyped-call]
    found = {name: parameter.grad for name, parameter in network.named_parameters()}
    for name, ours in GRADIENTS.items():
        gradient, expected = found[ours], truth[f"grad_{name}"]
        assert gradient is not None
        if ours == "head.score.bias":
            gradient = gradient.view(4, 3).T.flatten()  # class, then anchor, to anchor, then class
        if ours == "semantic.bias":
            assert float(gradient[0]) == 0  # of background's row, which is not used
            gradient = gradient[1:]
        if ours.endswith("conv3.weight"):
            gradient = gradient[::32, ::16]
        allowed = 3 * tolerances["gradients"][name]["difference_float64"] + 1e-5
        off = (gradient.double() - torch.from_numpy(expected).double()).abs()
        assert float(off.flatten().quantile(0.99)) <= allowed, name
        assert float(off.max()) <= 10 * allowed, name  # one ReLU at 0 may go the other way
        if gradient.shape == found[ours].shape or ours == "head.score.bias":  # type: ignore[union-attr]
            norm = float(truth[f"gradnorm_{name}"])
            assert float(gradient.norm()) == pytest.approx(norm, rel=1e-2), name
