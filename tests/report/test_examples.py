"""The part of a photo that shows an error."""

import numpy as np
import pytest

from clothseg.report.examples import window


@pytest.mark.parametrize(
    "boxes", [[[0.0, 0, 3, 3]], [[180, 90, 200, 100], [0, 0, 4, 4]], [[99.5, 20, 100.5, 99]], [[198, 97, 200, 100]]]
)
def test_the_window_contains_all_boxes_and_is_inside_the_photo(boxes: list[list[float]]) -> None:
    x1, y1, x2, y2 = window(np.array(boxes), (100, 200))
    assert 0 <= x1 < x2 <= 200
    assert 0 <= y1 < y2 <= 100
    for box in boxes:
        assert x1 <= box[0]
        assert y1 <= box[1]
        assert box[2] <= x2
        assert box[3] <= y2
    assert min(x2 - x1, y2 - y1) >= 30  # larger than a small object
