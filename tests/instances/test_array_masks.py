"""Masks as NumPy arrays are those of torch, pixel for pixel."""

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clothseg.instances import (
    ArrayInstances,
    ArrayMasks,
    BoxArrayMasks,
    BoxMasks,
    Instances,
    LabelArrayMasks,
    LabelMasks,
    MapArrayMasks,
    MapMasks,
    Masks,
    class_agnostic_nms,
    coco_results,
    mask_iou,
    one_mask,
    one_pixels,
)

SIZE = (57, 83)
REGION = (0.1, 0.0, 0.75, 0.9)


def boxes(generator: np.random.Generator, count: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    corners = np.sort(generator.uniform(-4, 90, (count, 2, 2)), axis=1).reshape(count, 4)
    return corners.clip(0, [SIZE[1], SIZE[0]] * 2).astype(np.float32)


def assert_same(arrays: ArrayMasks, tensors: Masks) -> None:
    """The pixels may differ where a value lies at the threshold, up to rounding."""
    soft = tensors.soft(slice(0, SIZE[0]), slice(0, SIZE[1])).numpy()
    np.testing.assert_allclose(arrays.soft(), soft, atol=2e-5)
    part = (slice(5, 40), slice(7, 50))
    np.testing.assert_allclose(arrays.soft(*part), tensors.soft(*part).numpy(), atol=2e-5)
    assert (arrays.pixels() != tensors.pixels().numpy()).mean() < 1e-3
    assert len(arrays) == len(tensors) and arrays.size == tensors.size
    overlap = mask_iou(arrays.rle(), tensors.rle())
    filled = tensors.pixels().flatten(1).any(1).numpy()
    assert (np.diag(overlap)[filled] > 0.98).all()


@pytest.mark.parametrize("rule", ["torchvision", "detectron2", "matterport"])
@pytest.mark.parametrize("threshold", [0.5, 0.3])
@given(seed=st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_maps_in_boxes(rule: Literal["torchvision", "detectron2", "matterport"], threshold: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    maps, places = generator.random((4, 14, 14), dtype=np.float32), boxes(generator, 4)
    arrays = BoxArrayMasks(places, SIZE, maps, threshold, rule)
    tensors = BoxMasks(torch.from_numpy(maps), torch.from_numpy(places), SIZE, threshold, rule)
    np.testing.assert_allclose(arrays.soft(), tensors.soft().numpy(), atol=2e-5)
    assert (arrays.pixels() != tensors.pixels().numpy()).mean() < 1e-3


@pytest.mark.parametrize("threshold", [0.5, 0.3])
def test_maps_over_the_photo(threshold: float) -> None:
    generator = np.random.default_rng(1)
    maps = generator.random((3, 20, 30), dtype=np.float32)
    maps[0, :, :15] = 0
    maps[2] = 0
    places = boxes(generator, 3)
    arrays = MapArrayMasks(places, SIZE, maps, threshold, REGION)
    assert_same(arrays, MapMasks(torch.from_numpy(maps), torch.from_numpy(places), SIZE, threshold, REGION))


def test_a_grid_of_labels() -> None:
    generator = np.random.default_rng(2)
    labels = generator.integers(0, 3, (5, 6)).repeat(5, 0).repeat(5, 1)
    probabilities = generator.uniform(0.3, 1, labels.shape).astype(np.float32)
    numbers = np.array([2, 1, 7])
    arrays = LabelArrayMasks(boxes(generator, 3), SIZE, labels, probabilities, numbers, REGION)
    tensors = [torch.from_numpy(array) for array in (labels, probabilities, numbers)]
    assert_same(arrays, LabelMasks(tensors[0], tensors[1], tensors[2], SIZE, REGION))


def both() -> tuple[ArrayInstances, Instances]:
    generator = np.random.default_rng(3)
    maps, places = generator.uniform(0.4, 1, (5, 14, 14)).astype(np.float32), boxes(generator, 5)
    classes, scores = np.array([1, 2, 1, 3, 2]), np.array([0.9, 0.8, 0.8, 0.5, 0.1], np.float32)
    arrays = ArrayInstances(SIZE, places, classes, scores, BoxArrayMasks(places, SIZE, maps), ("a", "b", "c"))
    t = [torch.from_numpy(a) for a in (places, classes, maps, scores)]
    return arrays, Instances(SIZE, t[0], t[1], BoxMasks(t[2], t[0], SIZE), t[3], names=("a", "b", "c"))


def test_instances_are_selected_as_with_torch() -> None:
    arrays, tensors = both()
    for index in (0, -1, slice(1, 3), [3, 0], []):
        some, expected = arrays[index], tensors[index]
        assert some.classes.tolist() == expected.classes.tolist()
        assert some.class_names == expected.class_names
        assert [len(r["counts"]) for r in some.masks.rle()] == [len(r["counts"]) for r in expected.masks.rle()]
    assert arrays[arrays.scores > 0.5].classes.tolist() == [1, 2, 1]
    assert [one.scores.tolist() for one in arrays] == [one.scores.tolist() for one in tensors]


def test_results_and_class_agnostic_nms_are_those_of_torch() -> None:
    arrays, tensors = both()
    rows, expected = coco_results(7, arrays, lambda label: label), coco_results(7, tensors, lambda label: label)
    assert [{**row, "segmentation": 0} for row in rows] == [{**row, "segmentation": 0} for row in expected]
    for iou in (0.01, 0.2, 0.9):
        assert class_agnostic_nms(arrays, iou).scores.tolist() == class_agnostic_nms(tensors, iou).scores.tolist()


def test_arrays_become_instances() -> None:
    arrays, tensors = both()
    found = arrays.to_instances()
    assert found.masks.pixels().shape == (5, *SIZE)
    for name in ("boxes", "scores", "classes"):
        torch.testing.assert_close(getattr(found, name), getattr(tensors, name))
    assert found.size == tensors.size
    for number in range(5):
        assert np.array_equal(one_pixels(found.masks, number), one_pixels(arrays.masks, number))
    assert len(one_mask(arrays.masks, 1)) == 1


def test_no_detections() -> None:
    arrays, _ = both()
    none = arrays[[]]
    assert none.mask_arrays().shape == (0, *SIZE) and none.masks.rle() == [] and len(none.to_instances()) == 0
    assert none.masks.soft(slice(0, 5), slice(0, 6)).shape == (0, 5, 6)
    assert len(replace(none, names=())) == 0
