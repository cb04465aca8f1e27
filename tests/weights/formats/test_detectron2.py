"""Our network and detectron2 compute the same with the same weights: stages, detections, losses, gradients."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from clothseg.networks import Network, to_tensor
from clothseg.networks.layers.box_targets import IGNORED, NEGATIVE, encode_boxes, match_boxes
from clothseg.networks.mask_rcnn.losses import mask_targets, rpn_losses
from clothseg.networks.mask_rcnn.network import MaskRCNNNetwork
from clothseg.networks.target import Target
from clothseg.photos import read_photo
from clothseg.weights import LoadedModel, load_model, read_weights

PHOTOS = ("0008", "0042_landscape", "0137_square")
LATER = [pytest.param(name, marks=pytest.mark.slow) for name in PHOTOS[1:]]
STAGES = {"res2": (16, 4), "res3": (16, 2), "res4": (16, 1), "res5": (16, 1)}
LEVELS = {"p2": (8, 4), "p3": (8, 2), "p4": (4, 1), "p5": (2, 1), "p6": (1, 1)}


@pytest.fixture(scope="module")
def model(reference: Path, reference_weights: Callable[[str], Path]) -> LoadedModel:
    """The network of the file of the model zoo, with detectron2's settings file."""
    loaded = load_model(reference_weights("detectron2"), reference / "detectron2" / "config.yaml")
    loaded.network.eval()
    return loaded


@pytest.fixture(scope="module")
def network(model: LoadedModel, as_mask_rcnn: Callable[[Network], MaskRCNNNetwork]) -> MaskRCNNNetwork:
    return as_mask_rcnn(model.network)


@pytest.fixture(scope="module")
def tolerances(reference: Path) -> dict[str, float]:
    stored_tolerances = json.loads((reference / "detectron2" / "tolerances.json").read_text())["models"]["r50"]
    suggested: dict[str, float] = stored_tolerances["suggested"]
    return suggested


def stored(reference: Path, name: str) -> dict[str, NDArray[Any]]:
    with np.load(reference / "detectron2" / f"outputs_{name}.npz") as archive:
        return {key: archive[key] for key in archive.files}


def photo(reference: Path, name: str) -> Tensor:
    return to_tensor(read_photo(reference / "detectron2" / "photos" / f"{name}.jpg"))


def close(found: Tensor, expected: NDArray[Any], tolerance: float, name: str) -> None:
    assert found.shape == expected.shape, name
    worst = float((found.double() - torch.from_numpy(expected).double()).abs().max())
    assert worst <= tolerance, f"{name}: off by {worst:.3g}, allowed {tolerance:.3g}"


@pytest.mark.parametrize("name", ["0008", *LATER])
def test_every_stage(name: str, network: MaskRCNNNetwork, reference: Path, tolerances: dict[str, float]) -> None:
    truth = stored(reference, name)
    with torch.no_grad():
        pixels, placements = network.transform.batch([photo(reference, name)], network.device)
        assert list(pixels.shape) == truth["input_shape"].tolist()
        close(pixels[0, :, ::8, ::8], truth["input"], tolerances["input"], "input")
        features = network.backbone(pixels)
        levels = network.fpn(features)
        for outputs, places in ((features, STAGES), (levels, LEVELS)):
            for output, (stage, (channels, step)) in zip(outputs, places.items(), strict=True):
                close(output[0, ::channels, ::step, ::step], truth[stage], tolerances[stage], stage)
        scores, deltas, anchors = network.rpn(levels, placements[0].padded)
        by_level = torch.split(anchors, [score.shape[1] for score in scores])
        for place, (feature, score, delta) in enumerate(zip(levels, scores, deltas, strict=True)):
            stage, (height, width) = f"p{place + 2}", feature.shape[-2:]
            step = 2 if place == 0 else 1
            logits = score[0].reshape(height, width, 3).permute(2, 0, 1)[:, ::step, ::step]
            shifts = delta[0].reshape(height, width, 12).permute(2, 0, 1)[:, ::step, ::step]
            close(logits, truth[f"rpn_logits_{stage}"], tolerances[f"rpn_logits_{stage}"], f"rpn_logits_{stage}")
            close(shifts, truth[f"rpn_deltas_{stage}"], tolerances[f"rpn_deltas_{stage}"], f"rpn_deltas_{stage}")
            rows = torch.from_numpy(truth[f"anchor_rows_{stage}"])
            close(by_level[place][rows], truth[f"anchors_{stage}"], 1e-4, f"anchors_{stage}")
        proposals = network.rpn.proposals(scores, deltas, anchors, placements, train=False)[0]
        wanted = torch.from_numpy(truth["proposal_boxes"])
        nearest = torch.cdist(wanted, proposals, p=torch.inf).min(dim=1).values
        assert int((nearest > tolerances["proposals"]).sum()) <= tolerances["proposals_unmatched"]
        check_heads(network, levels, placements[0].padded, truth, tolerances)


def check_heads(
    network: MaskRCNNNetwork,
    levels: list[Tensor],
    padded: tuple[int, int],
    truth: dict[str, NDArray[Any]],
    tolerances: dict[str, float],
) -> None:
    """The heads on the stored boxes."""
    pooled = network.pool(levels, [torch.from_numpy(truth["proposal_boxes"])], 7, padded)
    rows = torch.from_numpy(truth["box_pooled_rows"])
    close(pooled[rows, ::8], truth["box_pooled"], tolerances["box_pooled"], "box_pooled")
    logits, deltas = network.box_head(pooled)
    close(logits.roll(-1, 1), truth["class_logits"], tolerances["class_logits"], "class_logits")
    close(deltas[:, 1:].flatten(1), truth["box_deltas"], tolerances["box_deltas"], "box_deltas")
    pooled = network.pool(levels, [torch.from_numpy(truth["det_boxes_input"])], 14, padded)
    close(pooled[:4, ::8], truth["mask_pooled"], tolerances["mask_pooled"], "mask_pooled")
    maps = network.mask_head(pooled)
    close(maps[:8, 1:], truth["mask_logits"], tolerances["mask_logits"], "mask_logits")
    if "probe_boxes" in truth:
        probes = torch.from_numpy(truth["probe_boxes"])
        small = network.pool(levels, [probes], 7, padded)
        large = network.pool(levels, [probes], 14, padded)
        close(small[:, ::16], truth["probe_pooled7"], tolerances["mask_pooled"], "probe_pooled7")
        close(large[:, ::32], truth["probe_pooled14"], tolerances["mask_pooled"], "probe_pooled14")
        maps = network.mask_head(large[[4, 9]])[:, 1:]
        close(maps[:, :, :8] if truth["probe_mask_logits"].shape[2] == 8 else maps, truth["probe_mask_logits"],
              tolerances["mask_logits"], "probe_mask_logits")  # fmt: skip


@pytest.mark.parametrize("name", ["0008", *LATER])
def test_every_detection(name: str, network: MaskRCNNNetwork, reference: Path) -> None:
    truth = stored(reference, name)
    found = network.detect([photo(reference, name)])[0]
    assert found.scores is not None
    assert truth["final_stable"].all()
    assert (found.classes.numpy() - 1).tolist() == truth["final_classes"].tolist()
    close(found.boxes, truth["final_boxes"], 0.1, "boxes")
    close(found.scores, truth["final_scores"], 1e-3, "scores")
    count, height, width = truth["final_mask_shape"]
    masks = np.unpackbits(truth["final_masks"], axis=1)[:, : height * width].reshape(count, height, width) > 0
    for mine, other in zip(found.masks.pixels().numpy(), masks, strict=True):
        assert (mine & other).sum() / max(1, (mine | other).sum()) >= 0.99


@pytest.mark.parametrize("layout", ["caffe2-detector", "caffe2", "caffe2-stats", "heuristics"])
def test_other_layouts_give_the_same_tensors(layout: str, reference_weights: Callable[[str], Path]) -> None:
    zoo, other = read_weights(reference_weights("detectron2")), read_weights(reference_weights(layout))
    assert (other.classes is not None) == (layout == "caffe2-detector")
    assert other.settings["backbone"]["name"] == "resnet50"
    for name, tensor in other.tensors.items():
        if layout in {"caffe2", "caffe2-detector"} and ("norm" in name or "shortcut.1" in name):
            continue  # folded into weight and bias; the next test compares the outputs
        assert torch.equal(tensor, zoo.tensors[name]), name
    expected = {name for name in zoo.tensors if name.startswith("backbone.") or layout == "caffe2-detector"}
    assert expected <= other.tensors.keys()


def test_folded_norms_compute_what_detectron2_computes(
    network: MaskRCNNNetwork,
    reference: Path,
    reference_weights: Callable[[str], Path],
    tolerances: dict[str, float],
) -> None:
    converted = read_weights(reference_weights("caffe2"))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.load_state_dict(converted.tensors, strict=False)
    with torch.no_grad():
        features = network.backbone(network.transform.batch([photo(reference, "0008")], network.device)[0])
    network.load_state_dict(before)
    truth = stored(reference, "caffe2_0008")
    for output, (stage, (channels, step)) in zip(features, STAGES.items(), strict=True):
        close(output[0, ::channels, ::step, ::step], truth[stage], tolerances[stage], stage)


def stored_targets(truth: dict[str, NDArray[Any]]) -> list[Target]:
    targets = []
    for number in range(2):
        height, width = truth[f"image{number}_resized_size"]
        boxes = torch.from_numpy(truth[f"image{number}_gt_boxes"])
        packed = truth[f"image{number}_gt_bitmaps"]
        masks = np.unpackbits(packed, axis=1)[:, : height * width].reshape(len(boxes), height, width)
        classes = torch.from_numpy(truth[f"image{number}_gt_classes"]) + 1
        targets.append(Target(boxes, classes, torch.from_numpy(masks), torch.zeros((0, 4))))
    return targets


@pytest.mark.slow
def test_losses_and_gradients(
    model: LoadedModel, network: MaskRCNNNetwork, reference: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = stored(reference, "training")
    pixels, placements = network.transform.batch([photo(reference, name) for name in truth["photos"]], network.device)
    assert list(pixels.shape) == truth["input_shape"].tolist()
    targets = stored_targets(truth)
    network.zero_grad()
    levels = network.fpn(network.backbone(pixels))
    scores, deltas, anchors = network.rpn(levels, placements[0].padded)
    losses = proposal_losses(network, scores, deltas, anchors.float(), targets, truth)
    proposals = network.rpn.proposals(scores, deltas, anchors, placements, train=True)
    boxes, matches, polygons = [], [], []
    for number, target in enumerate(targets):
        wanted = torch.from_numpy(truth[f"image{number}_proposal_boxes"])
        assert int((torch.cdist(wanted, proposals[number], p=torch.inf).min(dim=1).values > 0.07).sum()) <= 5
        boxes.append(torch.from_numpy(truth[f"image{number}_sampled_boxes"]))
        index = torch.from_numpy(truth[f"image{number}_sampled_gt_index"]).long()
        found = torch.from_numpy(truth[f"image{number}_sampled_classes"]) < network.classes
        matches.append(torch.where(found, index, NEGATIVE))
        ours = match_boxes(boxes[-1], target.boxes, target.ignored, foreground=0.5, background=0.5, keep_best=False)
        assert torch.equal(ours, matches[-1])
        (cut,) = mask_targets(
            target.masks, boxes[-1][found], index[found], [28], placements[number], network.conventions
        )
        packed = truth[f"image{number}_mask_targets_bitmap"]
        assert torch.equal(cut.flatten(1), torch.from_numpy(np.unpackbits(packed, axis=1)).float())
        packed = truth[f"image{number}_mask_targets_polygon"]
        polygons.append(torch.from_numpy(np.unpackbits(packed, axis=1)).float().reshape(-1, 28, 28))
    expected = dict(zip(truth["loss_names"].tolist(), truth["losses"].tolist(), strict=True))
    sampled = torch.stack(boxes), torch.stack(matches)
    with torch.no_grad():
        bitmaps = network.box_and_mask_losses(levels, placements, *sampled, targets)["mask"]
    assert bitmaps.item() == pytest.approx(expected["loss_mask_bitmap_targets"], rel=1e-5)
    drawn = iter([[polygon] for polygon in polygons])
    monkeypatch.setattr("clothseg.networks.mask_rcnn.losses.mask_targets", lambda *_: next(drawn))
    losses |= network.box_and_mask_losses(levels, placements, *sampled, targets)
    names = {"rpn_class": "rpn_cls", "rpn_bbox": "rpn_loc", "class": "cls", "bbox": "box_reg", "mask": "mask"}
    for ours_, theirs in names.items():
        assert losses[ours_].item() == pytest.approx(expected[f"loss_{theirs}"], rel=1e-5), ours_
    torch.autograd.backward(torch.stack(list(losses.values())).sum())
    check_gradients(network, truth, model.report.renamed)
    network.zero_grad()


def proposal_losses(
    network: MaskRCNNNetwork,
    scores: list[Tensor],
    level_deltas: list[Tensor],
    anchors: Tensor,
    targets: list[Target],
    truth: dict[str, NDArray[Any]],
) -> dict[str, Tensor]:
    logits, deltas = torch.cat(scores, dim=1), torch.cat(level_deltas, dim=1)
    chosen, labels, found, wanted = [], [], [], []
    for number, target in enumerate(targets):
        matches = match_boxes(anchors, target.boxes, target.ignored, foreground=0.7, background=0.3, keep_best=True)
        label = torch.where(matches >= 0, 1, torch.where(matches == IGNORED, -1, 0))
        assert torch.equal(label, torch.from_numpy(truth[f"image{number}_anchor_labels"]).long())
        positive, negative = (
            torch.from_numpy(truth[f"image{number}_anchor_{kind}"]).long() for kind in ("positive", "negative")
        )
        chosen += [logits[number, positive], logits[number, negative]]
        labels += [torch.ones(len(positive)), torch.zeros(len(negative))]
        found.append(deltas[number, positive])
        boxes = target.boxes[matches[positive]]
        close(boxes, truth[f"image{number}_anchor_positive_gt_boxes"], 1e-4, "matched boxes")
        wanted.append(encode_boxes(boxes, anchors[positive], network.conventions.rpn_box_weights))
    return rpn_losses(
        torch.cat(chosen), torch.cat(labels), torch.cat(found), torch.cat(wanted), 512, "smooth_l1", network.conventions
    )


def check_gradients(network: MaskRCNNNetwork, truth: dict[str, NDArray[Any]], renamed: dict[str, str]) -> None:
    parameters = dict(network.named_parameters())
    for name, norm in zip(truth["grad_names"].tolist(), truth["grad_norms"].tolist(), strict=True):
        gradient = parameters[renamed[name]].grad
        assert gradient is not None, name
        assert gradient.norm().item() == pytest.approx(norm, rel=1e-2), name
    for name in truth["frozen_names"].tolist():
        assert parameters[renamed[name]].grad is None, name
