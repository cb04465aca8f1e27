"""Targets, losses and grouping of Panoptic-DeepLab against outputs of detectron2."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from deeplab_reference import Arrays, PanopticRules, by_panoptic_id, panoptic_ids, read_arrays, valid_points
from torch import Tensor

from clothseg.config import CenterSettings
from clothseg.networks.deeplab.instances import group_by_centers
from clothseg.networks.deeplab.losses import center_loss, offset_loss, pixel_loss
from clothseg.networks.deeplab.targets import (
    Segments,
    center_target,
    semantic_target,
    small_object_weights,
)

TARGETS = ("usual", "crowd_ignored", "stuff_in_offset", "photo", "photo_no_stuff")
GROUPINGS = (
    "no_center", "one_center", "two_touching", "two_fragments", "vote", "plateau", "threshold", "top_6", "top_7",
    "top_4", "top_3", "top_2", "equal_distance", "stuff_area", "stuff_area_96", "no_stuff", "close_kernel_7",
    "close_kernel_41", "divisor_256", "photo",
)  # fmt: skip
"""All but `resized`: we group at the size of the input, see the guide."""


@pytest.fixture
def folder(reference: Path) -> Path:
    if not (reference / "deeplab").is_dir():
        pytest.skip("no reference/deeplab")
    return reference / "deeplab"


def settings_of(arrays: Arrays, case: str) -> dict[str, Any]:
    return dict(zip(arrays["settings_names"].tolist(), arrays[f"{case}_settings"].tolist(), strict=True))


def value(arrays: Arrays, case: str, name: str) -> np.ndarray:
    """An input of a case, or of the case that it shares its input with."""
    same = arrays.get(f"{case}_same_input_as")
    source = case if f"{case}_{name}" in arrays or same is None else str(same)
    return arrays[f"{source}_{name}"]


def segments_of(ids: np.ndarray, rows: np.ndarray, things: list[int]) -> Segments:
    """The reference's panoptic ids and segments as ours; an id without segment is unknown."""
    numbers = torch.full(ids.shape, -1, dtype=torch.int64)
    for number, (segment, _, _) in enumerate(rows.tolist()):
        numbers[torch.from_numpy(ids == segment)] = number
    classes = torch.tensor(rows[:, 1], dtype=torch.int64)
    is_thing = torch.tensor([int(label) in things for label in rows[:, 1]])
    return Segments(numbers, classes, is_thing, torch.tensor(rows[:, 2] > 0))


@pytest.mark.parametrize("case", TARGETS)
def test_targets_are_detectron2s(case: str, folder: Path) -> None:
    arrays = read_arrays(folder / "panoptic_targets.npz")
    settings, things = settings_of(arrays, case), arrays[f"{case}_thing_ids"].tolist()
    segments = segments_of(value(arrays, case, "panoptic"), value(arrays, case, "segments"), things)
    labels = semantic_target(segments, ignore_crowds=bool(settings["ignore_crowd_in_semantic"]))
    assert np.array_equal(labels.numpy(), arrays[f"{case}_sem_seg"])
    weights = small_object_weights(segments, settings["small_instance_area"], settings["small_instance_weight"])
    assert np.array_equal(weights.numpy(), arrays[f"{case}_sem_seg_weights"])
    target = center_target(segments, settings["sigma"])
    step = 4 if case.startswith("photo") else 1
    assert np.abs(target.heat[::step, ::step].numpy() - arrays[f"{case}_center"]).max() < 1e-6
    assert np.array_equal(target.offsets[:, ::step, ::step].numpy(), arrays[f"{case}_offset"])
    assert np.array_equal(target.center_weight[None].numpy(), arrays[f"{case}_center_weights"])
    offset_weight = target.offset_weight if settings["ignore_stuff_in_offset"] else target.center_weight
    assert np.array_equal(offset_weight[None].numpy(), arrays[f"{case}_offset_weights"])


def both_targets(folder: Path, *, labelled: bool = True) -> tuple[dict[str, Tensor], Arrays]:
    """The targets of the two photos of the loss cases."""
    losses, arrays = read_arrays(folder / "panoptic_losses.npz"), read_arrays(folder / "panoptic_targets.npz")
    maps = (("usual", value(arrays, "usual", "panoptic")), ("crowd_ignored", losses["second_image_panoptic"]))
    parts: dict[str, list[Tensor]] = {}
    for case, ids in maps:
        settings, things = settings_of(arrays, case), arrays[f"{case}_thing_ids"].tolist()
        segments = segments_of(ids, value(arrays, case, "segments"), things)
        target = center_target(segments, settings["sigma"])
        crowds = bool(settings["ignore_crowd_in_semantic"])
        rule = settings["small_instance_area"], settings["small_instance_weight"]
        found = {
            "labels": semantic_target(segments, ignore_crowds=crowds),
            "weights": small_object_weights(segments, *rule),
            "heat": target.heat,
            "offsets": target.offsets,
            "center_weight": target.center_weight,
            "offset_weight": target.offset_weight,
        }
        for name, tensor in found.items():
            parts.setdefault(name, []).append(tensor)
    stacked = {name: torch.stack(tensors) for name, tensors in parts.items()}
    if not labelled:
        stacked["labels"].fill_(255)
        stacked["center_weight"].zero_()
        stacked["offset_weight"].zero_()
    return stacked, losses


@pytest.mark.parametrize("case", ["usual", "no_weights", "all_pixels", "nothing_labelled"])
def test_losses_and_gradients_are_detectron2s(case: str, folder: Path) -> None:
    truth, arrays = both_targets(folder, labelled=case != "nothing_labelled")
    inputs = {n: torch.from_numpy(arrays[n]).double().requires_grad_() for n in ("logits", "center", "offset")}

    def upsampled(name: str) -> Tensor:
        return F.interpolate(inputs[name], scale_factor=4.0, mode="bilinear")

    weights = None if case == "no_weights" else truth["weights"].double()
    semantic = pixel_loss(upsampled("logits"), truth["labels"], weights, 1.0 if case == "all_pixels" else 0.2)
    center = 200 * center_loss(upsampled("center")[:, 0], truth["heat"], truth["center_weight"])
    offset = 0.01 * offset_loss(upsampled("offset") * 4, truth["offsets"], truth["offset_weight"])
    ours = torch.stack([semantic, center, offset])
    torch.testing.assert_close(
        ours.detach(), torch.from_numpy(arrays[f"{case}_losses_float64"]), rtol=1e-6, atol=1e-9
    )  # fmt: skip
    torch.autograd.backward(ours.sum())
    for name, tensor in inputs.items():
        if (expected := arrays.get(f"{case}_grad_{name}")) is not None and tensor.grad is not None:
            largest = float(np.abs(expected).max())
            assert np.abs(tensor.grad.numpy() - expected).max() <= 1e-6 * largest, name


def test_the_mean_over_labelled_pixels_is_plain_cross_entropy(folder: Path) -> None:
    truth, arrays = both_targets(folder)
    logits = F.interpolate(torch.from_numpy(arrays["logits"]), scale_factor=4.0, mode="bilinear")
    expected = float(arrays["plain_cross_entropy_ignore_255"])
    assert float(pixel_loss(logits, truth["labels"])) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("gpu_path", [False, True])
@pytest.mark.parametrize("case", GROUPINGS)
def test_grouping_is_detectron2s(case: str, gpu_path: bool, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if gpu_path:
        monkeypatch.setattr("clothseg.cpu_path.uses_cpu_path", lambda tensor: False)
    arrays = read_arrays(folder / "panoptic_grouping.npz")
    settings = settings_of(arrays, case)
    logits, heat, offsets = (torch.from_numpy(value(arrays, case, n)) for n in ("logits", "center", "offset"))
    things = torch.zeros(len(logits), dtype=torch.bool)
    things[arrays[f"{case}_thing_ids"]] = True
    rules = CenterSettings(
        threshold=float(arrays[f"{case}_threshold"]), nms_kernel=settings["nms_kernel"], top_k=settings["top_k"]
    )
    groups, centers = group_by_centers(logits, heat[0], offsets, things, rules)
    assert np.array_equal(valid_points(centers).numpy(), arrays[f"{case}_center_points"])
    ids = panoptic_ids(
        groups, logits.argmax(0), PanopticRules(things, settings["label_divisor"], settings["stuff_area"])
    )
    assert np.array_equal(ids.numpy(), arrays[f"{case}_panoptic"])
    ordered = by_panoptic_id(groups)
    for name, ours in (("classes", ordered.classes), ("areas", ordered.areas), ("boxes", ordered.boxes)):
        assert np.array_equal(ours.numpy(), arrays[f"{case}_instance_{name}"].reshape(ours.shape)), name
    assert np.abs(ordered.scores.numpy() - arrays[f"{case}_instance_scores"].clip(0, 1)).max(initial=0) <= 1e-6
