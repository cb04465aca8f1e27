"""`garments`, the network that comes with the package."""

import json
import shutil
import struct
from pathlib import Path

import pytest

from clothseg import sample
from clothseg.cli.inputs import least_scores
from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset
from clothseg.errors import WeightsError
from clothseg.models import MaskRCNN
from clothseg.openimages import BuildOptions, build_dataset
from clothseg.weights import weights_file
from clothseg.weights.catalogue import find_weights_file, installed_network

FILE = weights_file(Path("garments"))


def test_it_is_small_and_in_16_bits() -> None:
    assert FILE.stat().st_size < 20e6
    with FILE.open("rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    types = {entry["dtype"] for name, entry in header.items() if name != "__metadata__"}
    assert types <= {"F16", "I64"}


def test_it_finds_garments_on_photos_that_it_has_not_seen(tmp_path: Path) -> None:
    """The sample's validation photos are among its own validation photos, in half the size."""
    model = MaskRCNN.load("garments")
    build_dataset(sample.folder(), tmp_path / "data", ["Suit", "Dress", "Jeans"], BuildOptions())
    photos = CocoLikeDataset().load_data(tmp_path / "data", "val").prepare()
    metrics = model.evaluate(photos, [row for rows in model.predict_dataset(photos) for row in rows]).overall
    assert (metrics["mask_AP50"] or 0) > 0.55


@pytest.mark.parametrize("preset", ["garments", "small"])
def test_a_training_starts_from_all_its_layers_and_the_rows_of_the_classes_that_it_knows(preset: str) -> None:
    model = MaskRCNN(Config.load(preset)).build(["Coat", "Dress"]).load_weights()
    assert model.config.weights == "garments"
    assert model.loaded is not None
    assert model.loaded.transferred == ["Dress"]
    assert model.loaded.shape_mismatch == model.loaded.missing == []


def test_weights_of_that_name_come_first_and_a_folder_with_metrics_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("garments").mkdir()
    Path("garments", "metrics.json").write_text("{}")  # as `evaluate garments` leaves it
    assert weights_file(Path("garments")) == installed_network("garments")
    assert find_weights_file("garments", "timm/tf_efficientnet_lite2", None) == installed_network("garments")
    Path("garments", "weights.safetensors").write_bytes(b"own")
    assert weights_file(Path("garments")) == Path("garments/weights.safetensors")
    shutil.rmtree("garments")
    Path("garments").write_bytes(b"own")
    with pytest.raises(WeightsError, match="garments"):
        MaskRCNN(Config.load("small", ["weights=garments"])).build(["Dress"]).load_weights()


def test_its_best_thresholds_are_installed() -> None:
    least = least_scores(Path("garments"), ["Boot=0.3"], "best")
    assert least.keys() == set(MaskRCNN.load("garments").classes)
    assert least["Boot"] == 0.3
    assert 0.2 < least["Dress"] < 0.7
