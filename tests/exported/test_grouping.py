"""Pixels are grouped to instances as the network of PyTorch groups them."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from clothseg.config import CenterSettings, InferenceSettings
from clothseg.config.deeplab import ComponentSettings
from clothseg.exported.forms import FORMS
from clothseg.exported.metadata import ExportMetadata
from clothseg.instances import ArrayInstances, Instances, LabelMasks
from clothseg.networks.deeplab.postprocess import PhotoMaps, detect_by_centers, detect_by_connection
from clothseg.networks.detections import Detections, LabelGrid
from clothseg.networks.placement import InputConventions, InputPlacement, network_to_image

PHOTO, SIZE, PADDED = (90, 64), (45, 32), (48, 40)
PLACEMENT = InputPlacement(0, 0, *SIZE, PADDED, PHOTO)


def smooth(draw: np.random.Generator, channels: int, scale: float) -> torch.Tensor:
    coarse = torch.from_numpy(draw.normal(0, scale, (1, channels, 6, 5)).astype(np.float32))
    return torch.nn.functional.interpolate(coarse, size=PADDED, mode="bicubic")[0]


def metadata(form: str, **options: object) -> ExportMetadata:
    both = {"mask_threshold": 0.5, "max_detections": 20, "whole_boxes": "no"}
    return ExportMetadata(["a", "b"], form, both | options, 0.3, {}, None, "")


def of_photo(maps: torch.Tensor) -> NDArray[Any]:
    return maps[..., : SIZE[0], : SIZE[1]].numpy()


def assert_same(found: ArrayInstances, expected: Detections) -> None:
    assert isinstance(expected.masks, LabelGrid)
    boxes = network_to_image(expected.boxes, PLACEMENT, InputConventions())
    grid, numbers = expected.masks, torch.arange(1, len(boxes) + 1)
    masks = LabelMasks(grid.labels, grid.probabilities, numbers, PHOTO, PLACEMENT.region)
    truth = Instances(PHOTO, boxes, expected.classes, masks, expected.scores)
    assert found.classes.tolist() == truth.classes.tolist()
    np.testing.assert_allclose(found.scores, truth.scores.numpy(), atol=1e-5)
    np.testing.assert_allclose(found.boxes, truth.boxes.numpy(), atol=1e-4)
    assert (found.mask_arrays() != truth.mask_arrays()).sum() <= found.mask_arrays().size * 1e-4


@pytest.mark.parametrize("connectivity", [4, 8])
@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_connected_parts(connectivity: int, seed: int) -> None:
    logits = smooth(np.random.default_rng(seed), 3, 4.0)
    parts = ComponentSettings.model_validate({"min_area": 12, "connectivity": connectivity})
    inference = InferenceSettings(score_threshold=0.3, max_detections=20)
    (expected,) = detect_by_connection([PhotoMaps(logits, PLACEMENT)], parts, inference)
    best = logits.log_softmax(0).max(0)
    outputs = {"labels": of_photo(best.indices), "probabilities": of_photo(best.values.exp())}
    outputs["placement"] = np.array([0, 0, *SIZE, *PADDED])
    options = metadata("components", min_area=12, connectivity=connectivity)
    assert_same(FORMS["components"](outputs, PHOTO, options), expected)


@pytest.mark.parametrize("top_k", [200, 3])
@given(seed=st.integers(0, 10_000), empty=st.booleans())
@settings(max_examples=25, deadline=None)
def test_centers(top_k: int, seed: int, empty: bool) -> None:
    draw = np.random.default_rng(seed)
    logits, offsets = smooth(draw, 3, 4.0), smooth(draw, 2, 6.0)
    heat = smooth(draw, 1, 0.0 if empty else 0.6)[0].sigmoid() - (0.5 if empty else 0.0)
    settings_ = CenterSettings(threshold=0.2, nms_kernel=5, top_k=top_k, min_area=5)
    inference = InferenceSettings(score_threshold=0.3, max_detections=20)
    (expected,) = detect_by_centers([PhotoMaps(logits, PLACEMENT, heat, offsets)], settings_, inference)
    inside = heat[: SIZE[0], : SIZE[1]]
    kept = torch.where(inside > 0.2, inside, -1.0)
    highest = torch.nn.functional.max_pool2d(kept[None], 5, 1, 2)[0]
    outputs = {
        "log_probabilities": of_photo(logits.log_softmax(0)),
        "heat": inside.numpy(),
        "peaks": torch.where(kept == highest, kept, -1.0).numpy(),
        "offsets": of_photo(offsets),
        "placement": np.array([0, 0, *SIZE, *PADDED]),
    }
    assert_same(FORMS["centers"](outputs, PHOTO, metadata("centers", min_area=5, top_k=top_k)), expected)
