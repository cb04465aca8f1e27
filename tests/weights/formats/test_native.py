"""Weights files of clothseg."""

import errno
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from clothseg.config import Config
from clothseg.errors import WeightsError
from clothseg.instances import Calibration
from clothseg.networks import Network
from clothseg.networks.mask_rcnn.network import MaskRCNNNetwork
from clothseg.weights import check_model, convert_weights, load_model, read_network, write_network


def test_a_file_keeps_settings_conventions_and_classes(
    small_overrides: list[str],
    build_mask_rcnn: Callable[[Config, int], MaskRCNNNetwork],
    as_mask_rcnn: Callable[[Network], MaskRCNNNetwork],
    tmp_path: Path,
) -> None:
    overrides = ["network.conventions=detectron2", "input.std=[57,57,58]", "backbone.norm_eps=0.01"]
    config = Config.load("demo", [*small_overrides, *overrides])
    network = build_mask_rcnn(config, 2)
    write_network(tmp_path / "native.safetensors", network.state_dict(), config, ["Suit", "Dress"])
    model = load_model(tmp_path / "native.safetensors")
    conventions = as_mask_rcnn(model.network).conventions
    assert conventions == network.conventions
    assert conventions.backbone.norm_eps == 0.01
    assert model.classes == ["Suit", "Dress"]
    assert model.config == config


def test_settings_of_earlier_versions_are_read(tmp_path: Path) -> None:
    config = Config.load("demo", ["unlabelled.ignore_threshold=0.3"])
    old = config.to_yaml().replace("ignore_threshold: 0.3", "unsure_score: 0.3")
    assert old != config.to_yaml()
    path = tmp_path / "old.safetensors"
    save_file({"a": torch.zeros(1)}, path, {"format": "clothseg-1", "config": old, "classes": '["Suit"]'})
    assert read_network(path).config == config


def test_files_of_other_programs_and_broken_metadata_are_refused(
    torchvision_state: dict[str, torch.Tensor], save: Callable[[object, str], Path], tmp_path: Path
) -> None:
    with pytest.raises(WeightsError, match="a torch file that clothseg did not write"):
        read_network(save(torchvision_state, "theirs.pth"))
    path = tmp_path / "broken.safetensors"
    save_file({"a": torch.zeros(1)}, path, {"format": "clothseg-1", "config": "{}", "classes": "not JSON"})
    with pytest.raises(WeightsError, match=r"broken\.safetensors: its metadata cannot be read"):
        read_network(path)


def test_a_calibration_is_kept_and_files_without_one_are_as_before(
    small_overrides: list[str], build_mask_rcnn: Callable[[Config, int], MaskRCNNNetwork], tmp_path: Path
) -> None:
    config = Config.load("demo", small_overrides)
    network = build_mask_rcnn(config, 2)
    calibration = Calibration((1.5, 0.75), (-0.5, 0.25), (10, 2), 30, "abc")
    for name, given in (("with", calibration), ("without", None)):
        path = tmp_path / f"{name}.safetensors"
        write_network(path, network.state_dict(), config, ["Suit", "Dress"], given)
        assert read_network(path).calibration == load_model(path).calibration == given
        convert_weights(path, tmp_path / "copy.safetensors")
        assert read_network(tmp_path / "copy.safetensors").calibration == given
        with safe_open(path, "np") as file:
            assert ("calibration" in file.metadata()) is (given is not None)


INFINITE = '{"temperatures": [1], "offsets": [0], "detections": [Infinity], "photos": 1, "truth": ""}'


@pytest.mark.parametrize(
    "text", ["no JSON", "{}", '{"temperatures": [1], "offsets": [0], "detections": [1]}', "[1]", INFINITE]
)
def test_a_broken_calibration_is_one_message(text: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.safetensors"
    metadata = {"format": "clothseg-1", "config": Config().to_yaml(), "classes": '["Suit"]', "calibration": text}
    save_file({"a": torch.zeros(1)}, path, metadata)
    for read in (read_network, check_model):
        with pytest.raises(WeightsError, match=r"broken\.safetensors: the calibration in its metadata cannot be read"):
            read(path)


def test_a_full_disk_is_an_error_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """safetensors has it only as words; these are those of a full disk on Linux."""

    def fail(*_: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("clothseg.weights.formats.native.save_file", fail)
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_network(tmp_path / "net.safetensors", {"a": torch.zeros(1)}, Config(), ["Suit"])
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(tmp_path / "net.safetensors")
