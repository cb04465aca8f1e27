"""Learning curves: the metric of each part against the evaluation, the page, and sizes of parts."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset
from clothseg.dataset.nested_subsets import PARTS
from clothseg.errors import DataError
from clothseg.evaluation import evaluate_coco, truth_of
from clothseg.report.learning_curve import learning_curve, make_curve, same_steps
from clothseg.report.learning_curve_page import write_learning_curve_page

from .conftest import NAMES


def test_the_curve_of_three_parts(data: Path, tmp_path: Path) -> None:
    """The detector finds the first 4, 8 and 12 objects: the metric is that of the evaluation, and it rises."""
    val = CocoLikeDataset().load_data(data, "val").prepare()
    train = CocoLikeDataset().load_data(data, "train").prepare()
    truth = truth_of(val)
    rng = np.random.default_rng(0)
    found = [dict(a) | {"score": float(rng.uniform(0.5, 0.9))} for a in truth.annotations if not a["iscrowd"]]
    rows = [found[:count] for count in (4, 8, 12)]
    subsets = [train.only(range(count)) for count in (2, 4, 8)]
    curve = make_curve(truth, rows, subsets, 40)  # type: ignore[arg-type]
    assert curve.metric == "mask_AP"
    for point, part, count in zip(curve.points, rows, (2, 4, 8), strict=True):
        assert point.photos == count
        assert point.value == pytest.approx(evaluate_coco(truth, part, resamples=0).overall["mask_AP"])
        assert point.interval is not None
        assert point.interval.low <= point.value <= point.interval.high
    assert curve.points[2].objects == {NAMES[0]: 2, NAMES[1]: 3, NAMES[2]: 2}  # photo 6 has a crowd of the first class
    assert curve.extrapolation.photos == 16
    assert curve.extrapolation.value is not None
    assert curve.extrapolation.value > curve.points[2].value
    assert "with 16, expect about" in curve.sentence()

    write_learning_curve_page(curve.metric, asdict(curve), curve.sentence(), tmp_path)
    page = (tmp_path / "learning-curve.html").read_text(encoding="utf-8")
    assert "16, extrapolated" in page
    assert "&lt;b&gt;Jeans &amp; more&lt;/b&gt;" in page
    assert "http" not in page.replace("http-equiv", "")
    assert (tmp_path / "learning-curve.png").read_bytes().startswith(b"\x89PNG")
    json.dumps(asdict(curve), allow_nan=False)


def test_a_curve_that_does_not_rise_says_so(data: Path, tmp_path: Path) -> None:
    val = CocoLikeDataset().load_data(data, "val").prepare()
    truth = truth_of(val)
    rows = [[dict(a) | {"score": 0.9} for a in truth.annotations[: 9 - n]] for n in (0, 3, 6)]
    curve = make_curve(truth, rows, [val.only(range(n)) for n in (2, 4, 8)], 1)  # type: ignore[arg-type]
    assert curve.extrapolation.value is None
    assert "no extrapolation: the metric does not rise" in curve.sentence()
    write_learning_curve_page(curve.metric, asdict(curve), curve.sentence(), tmp_path)
    assert (
        "extrapolated" not in (tmp_path / "learning-curve.html").read_text(encoding="utf-8").split("</main>")[0][-900:]
    )


def test_default_parts_smaller_than_a_batch_are_left_out(data: Path, tmp_path: Path) -> None:
    """Eight photos and batches of 9: only all photos are left, and they are too few too; a typed part is never left."""
    train, val = (CocoLikeDataset().load_data(data, split).prepare() for split in ("train", "val"))
    config = Config.from_tree({}, [f"train.batch_size={len(train) + 1}"], "a test")
    for parts in (PARTS, ("1/2",)):
        with pytest.raises(
            DataError, match=f"the smallest part has {len(train) if parts == PARTS else len(train) // 2} "
        ):
            learning_curve(train, val, config, tmp_path / "curve", parts=parts)


def test_every_part_has_the_steps_of_all_photos() -> None:
    config = Config.load(
        "demo", ["train.batch_size=4", "train.grad_accumulation_steps=2", "train.steps_per_epoch=null"]
    )
    assert same_steps(config, 33).train.steps_per_epoch == 5
    kept = config.changed("train", steps_per_epoch=7)
    assert same_steps(kept, 33) == kept
