"""Broken masks: polygons and run lengths of other people's files."""

import random
from typing import Any

from fuzzing import Fuzz, spoil_tree
from hotcoco import mask as coco_mask

from clothseg.errors import DataError
from clothseg.instances import decode, from_segmentation, mask_area, tight_box
from clothseg.instances.rle_validation import broken_mask

HEIGHT, WIDTH = 40, 30
POLYGON = [[2.5, 3, 20, 3, 20, 30.25, 2, 30], [1, 1, 5, 1, 5, 5]]
RUNS = {"size": [HEIGHT, WIDTH], "counts": [100, 50, 250, 300, 500]}
COMPRESSED = {"size": [HEIGHT, WIDTH], "counts": coco_mask.fr_py_objects(RUNS, HEIGHT, WIDTH)["counts"].decode()}


def segmentation(rng: random.Random) -> Any:
    kind = rng.randrange(4)
    if kind == 0:
        return {**COMPRESSED, "counts": text(rng)}
    return spoil_tree({"segmentation": (POLYGON, RUNS, COMPRESSED)[kind - 1]}, rng)


def text(rng: random.Random) -> str:
    return "".join(chr(rng.choice([*range(48, 112), 47, 112, 0, 255, 0x3042])) for _ in range(rng.randint(0, 30)))


def read(given: Any) -> None:
    value = given.get("segmentation") if isinstance(given, dict) and "size" not in given else given
    rle = from_segmentation(value, HEIGHT, WIDTH)
    assert broken_mask([rle]) is None
    pixels = decode(rle)
    assert pixels.shape == (HEIGHT, WIDTH)
    assert mask_area(rle) == pixels.sum()
    x, y, width, height = tight_box(rle)
    assert 0 <= x <= x + width <= WIDTH
    assert 0 <= y <= y + height <= HEIGHT


def test_segmentations(fuzz: Fuzz) -> None:
    fuzz(segmentation, read)


def test_both_checks_of_run_lengths_agree(fuzz: Fuzz) -> None:
    """`decode` reads one string slowly, `broken_mask` many fast."""

    def read_both(counts: str) -> None:
        rle = {"size": [HEIGHT, WIDTH], "counts": counts}
        broken = broken_mask([rle])  # type: ignore[list-item]
        try:
            decode(rle)  # type: ignore[arg-type]
        except DataError:
            assert broken is not None
            raise
        assert broken is None

    fuzz(text, read_both)
