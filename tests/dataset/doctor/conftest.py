"""A part of the sample as a COCO dataset, and a copy of it that each test may damage."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clothseg import sample
from clothseg.dataset.doctor import Diagnosis, examine
from clothseg.openimages import build_dataset


class DataSet:
    """A dataset whose JSON files can be changed in place."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.trees = {p.stem: json.loads(p.read_text()) for p in sorted((folder / "annotations").glob("*.json"))}

    @property
    def train(self) -> Any:
        return self.trees["train"]

    @property
    def val(self) -> Any:
        return self.trees["val"]

    def photo(self, image: dict[str, Any]) -> Path:
        return self.folder / "images" / str(image["file_name"])

    def save(self) -> None:
        for name, tree in self.trees.items():
            (self.folder / "annotations" / f"{name}.json").write_text(json.dumps(tree))

    def examine(self) -> Diagnosis:
        self.save()
        return examine([self.folder], min_instances=0)


@pytest.fixture(scope="session")
def sample_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole sample as a dataset."""
    folder = tmp_path_factory.mktemp("sample") / "clothes"
    build_dataset(sample.folder(), folder, ["Suit", "Dress", "Jeans"])
    return folder


@pytest.fixture(scope="session")
def part(sample_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve photos of train and six of val, without crowds."""
    folder = tmp_path_factory.mktemp("part") / "clothes"
    (folder / "images").mkdir(parents=True)
    (folder / "annotations").mkdir()
    for name, count in (("train", 12), ("val", 6)):
        tree = json.loads((sample_set / "annotations" / f"{name}.json").read_text())
        of_image = {a["image_id"] for a in tree["annotations"]}
        tree["images"] = [i for i in tree["images"] if i["id"] in of_image][:count]
        ids = {i["id"] for i in tree["images"]}
        tree["annotations"] = [a for a in tree["annotations"] if a["image_id"] in ids and not a["iscrowd"]]
        (folder / "annotations" / f"{name}.json").write_text(json.dumps(tree))
        for image in tree["images"]:
            shutil.copyfile(sample_set / "images" / image["file_name"], folder / "images" / image["file_name"])
    return folder


@pytest.fixture
def data(part: Path, tmp_path: Path) -> Iterator[DataSet]:
    """A copy that the test may damage."""
    shutil.copytree(part, tmp_path / "clothes")
    yield DataSet(tmp_path / "clothes")


@pytest.fixture
def open_set() -> Callable[[Path], DataSet]:
    """Opens another dataset, to change it in place."""
    return DataSet
