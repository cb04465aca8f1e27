"""The options of a build: which values are refused, and which are recorded."""

from typing import Any

import pytest

from clothseg.errors import DataError
from clothseg.openimages import BuildOptions


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"partitions": "x"}, "partitions 'x'"),
        ({"val_fraction": 0.0}, "validation fraction is 0.0"),
        ({"val_fraction": 1.0}, "validation fraction is 1.0"),
        ({"boxes_without_mask": "keep"}, "boxes_without_mask is 'keep'; use crowd, learn, ignore, drop"),
        ({"max_size": 0}, "max_size is 0"),
        ({"polygons": -0.5}, "polygon tolerance is -0.5"),
        ({"polygons": 101}, "polygon tolerance is 101"),
        ({"limit": 0}, "limit is 0"),
        ({"workers": 0}, "workers is 0"),
        ({"chunk_photos": 0}, "chunk_photos is 0"),
    ],
)
def test_a_value_out_of_range_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        BuildOptions(**options)


def test_only_options_that_change_the_content_are_recorded() -> None:
    assert BuildOptions(limit=3, workers=4, overwrite=True).as_dict() == {
        "include_children": False,
        "partitions": None,
        "val_fraction": None,
        "include_test": False,
        "seed": 0,
        "keep_empty": False,
        "boxes_without_mask": "crowd",
        "max_size": None,
        "upright": False,
        "polygons": None,
        "limit": 3,
    }
