"""The files of `predict_files`, read by other programs; batches and processes do not change them."""

import csv
import filecmp
import json
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as referee
from pycocotools.coco import COCO

from clothseg.distributed import DistributedContext
from clothseg.errors import ClothsegError
from clothseg.instances import Instances, Selection
from clothseg.prediction import OutputFormat, Predicted, PredictOptions, predict_files

from .conftest import NAMES, Picture, find

EVERYTHING = PredictOptions(frozenset(OutputFormat))


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_label_maps_have_class_and_instance_and_the_higher_score_wins(photos: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    predict_files(find, NAMES, photos, out, EVERYTHING)
    listed = json.loads((out / "images.json").read_text())["images"]
    assert [image["id"] for image in listed] == [1, 2, 4, 5, 6], "numbers among the inputs"
    for image in listed:
        with Image.open(out / image["class_map"]) as classes, Image.open(out / image["instance_map"]) as instances:
            assert classes.size == instances.size == (image["width"], image["height"])
            # By hand: the left half is the dress (0.9), the rest of the upper half the suit (0.6); 0.2 is not shown.
            expected = np.zeros((image["height"], image["width"]), int)
            expected[: image["height"] // 2] = 1
            expected[:, : image["width"] // 2] = 2
            assert np.array_equal(np.asarray(classes), expected)
            assert np.array_equal(np.asarray(instances), np.array([0, 2, 1])[expected])
            colours = np.asarray(classes.convert("RGB"))
            assert colours[-1, 0].tolist() == [214, 50, 20], "a dress is vermilion everywhere"
            assert colours[-1, -1].tolist() == [0, 0, 0]
            assert np.array_equal(np.asarray(instances.convert("RGB"))[-1, 0], colours[-1, 0])


def test_results_and_table_hold_every_detection(photos: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = predict_files(find, NAMES, photos, out, EVERYTHING)
    assert done == Predicted(5, 0, 10, [f"{photos[2]}: not a picture in a known format"])
    truth = json.loads((out / "images.json").read_text())
    (tmp_path / "truth.json").write_text(json.dumps(truth | {"annotations": []}))
    theirs = COCO(str(tmp_path / "truth.json")).loadRes(str(out / "predictions.json"))
    rows = theirs.loadAnns(theirs.getAnnIds())
    with (out / "detections.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert len(rows) == len(table) == 15
    for row, line in zip(rows, table, strict=True):
        image = theirs.loadImgs(row["image_id"])[0]
        assert (line["photo"], line["class"]) == (image["file_name"], NAMES[row["category_id"]])
        assert float(line["score"]) == row["score"]
        assert [float(line[side]) for side in ("x", "y", "width", "height")] == row["bbox"]
        size = [int(line["photo_height"]), int(line["photo_width"])]
        drawn = referee.decode({"size": size, "counts": line["rle"].encode()})
        assert np.array_equal(drawn, theirs.annToMask(row))
        assert int(line["area"]) == drawn.sum()
    assert [line["number"] for line in table] == ["1", "2", "3"] * 5


def test_only_the_chosen_formats_are_written_and_old_results_are_deleted(photos: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    predict_files(find, NAMES, photos, out, EVERYTHING)
    (out / "mine.txt").write_text("mine")
    (out / "class-maps" / "mine.png").write_text("mine")
    with pytest.raises(ClothsegError, match="--overwrite"):
        predict_files(find, NAMES, photos, out)
    predict_files(find, NAMES, photos[:1], out, PredictOptions(frozenset({OutputFormat.CSV})), overwrite=True)
    assert sorted(files_in(out)) == ["class-maps/mine.png", "detections.csv", "images.json", "mine.txt"]


def test_if_nothing_can_be_read_nothing_is_written_or_deleted(photos: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    predict_files(find, NAMES, photos[:1], out)
    before = files_in(out)
    done = predict_files(find, NAMES, [photos[2], tmp_path / "absent.jpg"], out, overwrite=True)
    assert done is not None
    assert (done.photos, len(done.failed)) == (0, 2)
    assert files_in(out) == before


def test_class_thresholds_select_what_is_shown(photos: list[Path], tmp_path: Path) -> None:
    options = PredictOptions(shown=Selection(0.5, {2: 0.95, 1: 0.1}))
    done = predict_files(find, NAMES, photos[:1], tmp_path / "out", options)
    assert done is not None
    assert done.instances == 2, "both suits, not the dress"


@pytest.mark.parametrize("batch", [2, 3, 100])
def test_batches_change_nothing(photos: list[Path], tmp_path: Path, batch: int) -> None:
    sizes: list[int] = []

    def counted(group: Sequence[Picture]) -> list[Instances]:
        sizes.append(len(group))
        return find(group)

    predict_files(find, NAMES, photos, tmp_path / "one", EVERYTHING)
    predict_files(counted, NAMES, photos, tmp_path / "many", PredictOptions(frozenset(OutputFormat), batch=batch))
    assert files_in(tmp_path / "one") == files_in(tmp_path / "many")
    assert max(sizes) == min(batch, 5)


@pytest.mark.parametrize("world_size", [2, 3, 8])
def test_several_processes_write_the_same_as_one(photos: list[Path], tmp_path: Path, world_size: int) -> None:
    """Threads take the part of processes here; 8 are more than there are photos."""
    predict_files(find, NAMES, photos, tmp_path / "one", EVERYTHING)
    meeting = threading.Barrier(world_size, timeout=30)
    answers: dict[int, Predicted | None] = {}

    class ThreadContext(DistributedContext):
        def barrier(self) -> None:
            meeting.wait()

    def work(rank: int) -> None:
        context = ThreadContext(rank, world_size)
        answers[rank] = predict_files(find, NAMES, photos, tmp_path / "shared", EVERYTHING, distributed=context)

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(world_size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert files_in(tmp_path / "one") == files_in(tmp_path / "shared")
    assert filecmp.cmp(tmp_path / "one/predictions.json", tmp_path / "shared/predictions.json", shallow=False)
    assert [rank for rank, done in answers.items() if done is not None] == [0]
    assert answers[0] == Predicted(5, 0, 10, [f"{photos[2]}: not a picture in a known format"])


def test_more_than_255_instances_take_16_bits(tmp_path: Path) -> None:
    from clothseg.pictures.maps import instance_map, instance_palette, save_map

    many = find([np.zeros((20, 20, 3), np.uint8)])[0]
    numbers = [1, 300, 299]
    save_map(instance_map(many, numbers), instance_palette([1] * 300), tmp_path / "many.png")
    with Image.open(tmp_path / "many.png") as picture:
        assert picture.mode in {"I;16", "I"}
        assert np.asarray(picture)[0, 0] == 1
        assert np.asarray(picture)[0, -1] == 300
        assert np.asarray(picture)[-1, -1] == 299


def test_calibrated_results_say_which_masks_need_a_look(photos: list[Path], tmp_path: Path) -> None:
    """The scores are 0.9, 0.6 and 0.2: the first is confident."""
    for calibrated in (True, False):
        options = PredictOptions(frozenset({OutputFormat.COCO}), calibrated=calibrated)
        predict_files(find, NAMES, photos[:1], tmp_path / str(calibrated), options)
    rows = json.loads((tmp_path / "True" / "predictions.json").read_text())
    assert sorted((round(row["score"], 2), row["review"]) for row in rows) == [(0.2, True), (0.6, True), (0.9, False)]
    assert all("review" not in row for row in json.loads((tmp_path / "False" / "predictions.json").read_text()))
