"""`top_by_nms`, which starts with the best boxes, gives the result of NMS of all boxes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import batched_nms

from clothseg.networks.layers import nms as nms_module
from clothseg.networks.layers.nms import padded_nms, top_by_nms


def check(number: int, classes: int, spread: float, iou: float, count: int, *, seed: int, tied: bool) -> None:
    """Compares with `batched_nms` on random boxes.

    The boxes lie in a square of about `spread` times their side. Many scores are equal if `tied`, otherwise none.
    """
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand((number, 2), generator=generator) * 40 * spread
    boxes = torch.cat([corner, corner + 20 + torch.rand((number, 2), generator=generator) * 40], dim=1)
    scores = torch.randperm(number, generator=generator).double() / max(number, 1)
    scores = scores.mul(20).floor() / 20 if tied else scores
    labels = torch.randint(0, classes, (number,), generator=generator)
    boxes = boxes.double()  # batched_nms adds offsets to separate classes, which must not round the boxes
    found = top_by_nms(boxes, scores, labels, iou, count)
    expected = batched_nms(boxes, scores, labels, iou)[:count]
    if tied:  # the order of equal scores is not defined
        assert torch.equal(scores[found], scores[expected])
    else:
        assert torch.equal(found, expected)


@given(
    number=st.integers(0, 300),
    classes=st.integers(1, 6),
    spread=st.floats(0.1, 10),
    iou=st.floats(0, 1),
    count=st.integers(1, 400),
    seed=st.integers(0, 2**31),
    tied=st.booleans(),
)
@settings(deadline=None, max_examples=150)
def test_few_candidates_match_batched_nms(
    number: int, classes: int, spread: float, iou: float, count: int, seed: int, *, tied: bool
) -> None:
    check(number, classes, spread, iou, count, seed=seed, tied=tied)


@pytest.mark.parametrize("number", [2000, 2001, 5000])
@pytest.mark.parametrize("count", [1, 100, 1900, 5000])
@pytest.mark.parametrize("spread", [1.0, 5.0, 50.0])
@pytest.mark.parametrize("tied", [False, True])
def test_many_candidates_match_batched_nms(number: int, count: int, spread: float, *, tied: bool) -> None:
    """The best 2000 give enough boxes in some of these cases and not in others."""
    check(number, 3, spread, 0.5, count, seed=number + count, tied=tied)


def test_nms_matches_hand_computed_values() -> None:
    """The second box overlaps the first by 0.8 and has its class. The third is as close, but has another class."""
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 8], [0, 0, 10, 9], [50, 50, 60, 60]])
    scores, classes = torch.tensor([0.9, 0.8, 0.7, 0.95]), torch.tensor([1, 1, 2, 1])
    assert top_by_nms(boxes, scores, classes, 0.5, 10).tolist() == [3, 0, 2]
    assert top_by_nms(boxes, scores, classes, 0.5, 2).tolist() == [3, 0]
    assert top_by_nms(boxes, scores, classes, 0.85, 10).tolist() == [3, 0, 1, 2]


@pytest.mark.parametrize("without_float64", [set(), {"cpu"}])
def test_nms_of_several_photos_in_one_call_matches_nms_of_each(
    without_float64: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nms_module, "WITHOUT_FLOAT64", without_float64)
    generator = torch.Generator().manual_seed(0)
    corner = torch.rand((3, 200, 2), generator=generator) * 150
    boxes = torch.cat([corner, corner + torch.rand((3, 200, 2), generator=generator) * 90], dim=2)
    scores = torch.randn((3, 200), generator=generator)  # logits, also negative ones
    groups = torch.randint(0, 7, (3, 200), generator=generator)
    valid = torch.rand((3, 200), generator=generator) > 0.3
    valid[2] = False
    found = padded_nms(boxes, scores, groups, valid, 0.3)
    for photo in range(3):
        here = torch.where(valid[photo])[0]
        kept = here[batched_nms(boxes[photo, here], scores[photo, here], groups[photo, here], 0.3)]
        assert torch.where(found[photo])[0].tolist() == sorted(kept.tolist())
    assert 0 < int(found[0].sum()) < int(valid[0].sum())
