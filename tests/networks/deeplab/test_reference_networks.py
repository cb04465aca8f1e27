"""The networks, stage by stage, against outputs of the originals; see `reference/deeplab/README.md`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from deeplab_reference import (
    STAGES,
    PanopticRules,
    by_panoptic_id,
    load_network,
    panoptic_ids,
    photo_tensor,
    read_arrays,
    read_json,
    recorded,
    valid_points,
)

from clothseg.networks.deeplab.instances import group_by_centers

PORTRAIT, LANDSCAPE = "ccp0254_portrait", "ccp0256_landscape"
OS8 = ("network.output_stride=8",)
CASES = [
    ("deeplabv3plus_resnet50", f"outputs_resnet50_os16_{PORTRAIT}", ()),
    ("deeplabv3plus_resnet50", f"outputs_resnet50_os16_{LANDSCAPE}", ()),
    ("deeplabv3plus_resnet50", f"outputs_resnet50_os8_{PORTRAIT}", OS8),
    ("deeplabv3plus_resnet50", f"outputs_resnet50_os8_{LANDSCAPE}", OS8),
    ("deeplabv3_resnet50", f"outputs_v3_resnet50_os16_{LANDSCAPE}", ()),
    ("deeplabv3_resnet50", f"outputs_v3_resnet50_os8_{PORTRAIT}", OS8),
    ("deeplabv3plus_mobilenet", f"outputs_mobilenet_os16_{PORTRAIT}", ()),
    ("deeplabv3plus_mobilenet", f"outputs_mobilenet_os8_{LANDSCAPE}", OS8),
    ("detectron2_deeplabv3plus_r52", f"detectron2_v3plus_r52_{PORTRAIT}", ()),
    ("panoptic_deeplab_r52", f"panoptic_r52_{PORTRAIT}", ()),
    ("panoptic_deeplab_r52", f"panoptic_r52_{LANDSCAPE}", ()),
    ("panoptic_deeplab_r52_separable", f"panoptic_r52_separable_{PORTRAIT}", ()),
    (
        "panoptic_deeplab_r52_separable",
        f"panoptic_r52_separable_window_{PORTRAIT}",
        ("network.aspp.pool_window=[160, 128]",),
    ),
]
QUICK = {1, 4, 6, 8, 9, 12}
"""One case of each file runs always; the others are slow."""
Make = Callable[[str], Path]


def cases(prefix: str = "") -> list[Any]:
    """The cases whose file's name starts with `prefix`, as parameters."""
    return [
        pytest.param(*case, id=case[1], marks=() if number in QUICK else pytest.mark.slow)
        for number, case in enumerate(CASES)
        if case[1].startswith(prefix)
    ]


@pytest.fixture
def folder(reference: Path) -> Path:
    if not (reference / "deeplab").is_dir():
        pytest.skip("no reference/deeplab")
    return reference / "deeplab"


@pytest.mark.parametrize(("model", "name", "overrides"), cases())
def test_every_stage_is_the_originals(
    model: str, name: str, overrides: tuple[str, ...], folder: Path, reference_weights: Make
) -> None:
    expected = read_arrays(folder / f"{name}.npz")
    strides = read_json(folder / "config.json")["strides"].get(name, {})
    tolerances = read_json(folder / "tolerances.json")["files"][name]["stages"]
    network = load_network(reference_weights(model), *overrides)
    image = photo_tensor(folder, PORTRAIT if name.endswith(PORTRAIT) else LANDSCAPE)
    with torch.no_grad(), recorded(network, STAGES[model]) as outputs:
        pixels, placements = network.transform.batch([image], torch.device("cpu"))
        logits = network.upsample(network.forward_dense(pixels)[0], placements[0].padded)
    outputs |= {"logits": logits, "input": pixels}
    compared = 0
    for stage, values in outputs.items():
        full = values[0]
        mean = expected.get(f"{stage}_channel_mean")
        tolerance = tolerances.get(stage, {"suggested": 1e-5})["suggested"]
        if mean is not None:
            assert np.abs(full.mean((1, 2)).numpy() - mean).max() <= tolerance, stage
            compared += 1
        if stage in expected and not stage.endswith("_pool"):
            stored = expected[stage]
            channels, step = strides.get(stage, [1, 8 if stage == "input" else 1])
            part = full[::channels, ::step, ::step].numpy()
            assert np.abs(part.reshape(stored.shape) - stored).max() <= tolerance, stage
            compared += 1
        elif stage in expected and expected[stage].ndim == 1:
            assert np.abs(full.flatten().numpy() - expected[stage]).max() <= tolerance, stage
            compared += 1
    assert compared >= 4
    if "argmax" in expected:
        assert (logits[0].argmax(0).numpy() != expected["argmax"]).sum() <= 6


@pytest.mark.parametrize(("model", "name", "overrides"), cases("panoptic"))
def test_instances_of_the_panoptic_networks_are_the_originals(
    model: str, name: str, overrides: tuple[str, ...], folder: Path, reference_weights: Make
) -> None:
    expected = read_arrays(folder / f"{name}.npz")
    network = load_network(reference_weights(model), *overrides)
    image = photo_tensor(folder, PORTRAIT if name.endswith(PORTRAIT) else LANDSCAPE)
    with torch.no_grad():
        pixels, placements = network.transform.batch([image], torch.device("cpu"))
        low = network.forward_dense(pixels)
        size = placements[0].padded
        logits, heat = network.upsample(low[0], size)[0], network.upsample(low[1], size)[0, 0]
        offsets = network.upsample_offsets(low[2], size)[0]
        things = torch.tensor([False, True, True, True])
        groups, centers = group_by_centers(logits, heat, offsets, things, network.settings.centers)
    assert np.array_equal(valid_points(centers).numpy(), expected["center_points"])
    ids = panoptic_ids(groups, logits.argmax(0), PanopticRules(things))
    assert (ids.numpy() != expected["panoptic"]).sum() <= 6
    ordered = by_panoptic_id(groups)
    assert ordered.classes.tolist() == expected["instance_classes"].tolist()
    assert np.abs(ordered.scores.numpy() - expected["instance_scores"].clip(0, 1)).max() <= 0.01
    assert np.abs(ordered.areas.numpy() - expected["instance_areas"]).max() <= 6
    close = np.abs(ordered.boxes.numpy() - expected["instance_boxes"]).max(1) <= 1
    assert close.sum() >= len(close) - 2  # a pixel that moves can be the outermost of a ragged mask
    found = network.detect([image])[0]
    assert len(found) == (ordered.areas > 0).sum()
    assert np.allclose(found.scores.numpy(), ordered.scores.sort(descending=True).values.numpy(), atol=1e-5)
    assert sorted(found.masks.pixels().sum((1, 2)).tolist()) == sorted(ordered.areas.tolist())


def test_predicted_components_are_those_of_the_originals_classes(folder: Path, reference_weights: Make) -> None:
    """The parts of `argmax` as OpenCV-free flood fill finds them, against the detections of the whole network."""
    expected = read_arrays(folder / f"outputs_resnet50_os16_{PORTRAIT}.npz")["argmax"].astype(np.int64)
    network = load_network(reference_weights("deeplabv3plus_resnet50"), "inference.score_threshold=0")
    found = network.detect([photo_tensor(folder, PORTRAIT)])[0]
    areas = sorted(flood_fill_areas(expected, 64), reverse=True)[: network.config.inference.max_detections]
    ours = sorted(found.masks.pixels().sum((1, 2)).tolist(), reverse=True)
    assert len(ours) == len(areas)
    assert np.abs(np.array(ours) - np.array(areas)).max() <= 6


def flood_fill_areas(labels: np.ndarray, least: int) -> list[int]:
    """Areas of the 8-connected parts of each class but 0, at least `least`."""
    seen, areas = labels == 0, []
    height, width = labels.shape
    for start in np.argwhere(~seen).tolist():
        if seen[tuple(start)]:
            continue
        stack, area, label = [start], 0, labels[tuple(start)]
        seen[tuple(start)] = True
        while stack:
            y, x = stack.pop()
            area += 1
            for v in range(max(0, y - 1), min(height, y + 2)):
                for u in range(max(0, x - 1), min(width, x + 2)):
                    if not seen[v, u] and labels[v, u] == label:
                        seen[v, u] = True
                        stack.append([v, u])
        if area >= least:
            areas.append(area)
    return areas
