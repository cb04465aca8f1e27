"""The mean of the weights of several trainings."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from clothseg.config import Config
from clothseg.errors import RunError, WeightsError
from clothseg.instances import Calibration
from clothseg.weights import read_network, write_network
from clothseg.weights.average import average_weights

CONFIG = Config.load("demo", ["weights=garments"])


def network(path: Path, values: list[float], config: Config = CONFIG, classes: tuple[str, ...] = ("Dress",)) -> Path:
    tensors = {"layer.weight": torch.tensor(values), "count": torch.tensor([len(values), round(values[0])])}
    write_network(path, tensors, config, classes)
    return path


def test_the_mean_of_three_by_hand(tmp_path: Path) -> None:
    files = [network(tmp_path / f"{n}.safetensors", [n, 3.0 * n, 1.0]) for n in (1, 2, 6)]
    summary = average_weights(files, tmp_path / "mean.safetensors")
    found = read_network(tmp_path / "mean.safetensors")
    assert found.tensors["layer.weight"].tolist() == [3.0, 9.0, 1.0]
    assert found.tensors["layer.weight"].dtype == torch.float32
    assert found.tensors["count"].tolist() == [3, 1], "integers have no mean: those of the first"
    assert (found.classes, found.config, found.calibration) == (["Dress"], CONFIG, None)
    assert summary == "mean of the weights of 3 trainings"


def test_runs_are_averaged_in_16_bits(tmp_path: Path) -> None:
    for name, value in (("a", 1.0), ("b", 2.0)):
        (tmp_path / name).mkdir()
        network(tmp_path / name / "weights.safetensors", [value])
    average_weights([tmp_path / "a", tmp_path / "b"], tmp_path / "mean.safetensors", half=True)
    tensor = load_file(tmp_path / "mean.safetensors")["layer.weight"]
    assert tensor.dtype == torch.float16 and tensor.tolist() == [1.5]


def test_what_speaks_against_a_mean_is_said(tmp_path: Path) -> None:
    first = network(tmp_path / "a.safetensors", [1.0])
    other = Config.load("demo", ["weights=random", "inference.max_detections=7"])
    write_network(
        tmp_path / "b.safetensors", read_network(first).tensors, other, ["Dress"],
        Calibration((1.0,), (0.5,), (3,), 2, "abc"),
    )  # fmt: skip
    summary = average_weights([first, tmp_path / "b.safetensors"], tmp_path / "mean.safetensors")
    assert "did not start from the same weights (garments, random)" in summary
    assert "settings of inference differ" in summary and "not calibrated any more" in summary


@pytest.mark.parametrize(
    ("values", "config", "classes", "error"),
    [
        ([1.0], CONFIG, ("Dress", "Suit"), r"b\.safetensors: its classes are not the same \(Dress, Suit\) as .*a\.saf"),
        ([1.0], Config.load("demo", ["network.fpn.channels=32"]), ("Dress",), "settings are not the same in network"),
        ([1.0, 2.0], CONFIG, ("Dress",), "tensors do not have the same shapes"),
    ],
)
def test_different_networks_have_no_mean(
    values: list[float], config: Config, classes: tuple[str, ...], error: str, tmp_path: Path
) -> None:
    files = [network(tmp_path / "a.safetensors", [1.0]), network(tmp_path / "b.safetensors", values, config, classes)]
    with pytest.raises(WeightsError, match=error):
        average_weights(files, tmp_path / "mean.safetensors")
    assert not (tmp_path / "mean.safetensors").exists()


def test_one_network_or_the_same_twice_is_an_error(tmp_path: Path) -> None:
    file = network(tmp_path / "weights.safetensors", [1.0])
    with pytest.raises(WeightsError, match="at least two"):
        average_weights([file], tmp_path / "mean.safetensors")
    with pytest.raises(WeightsError, match=r"weights\.safetensors: named twice"):
        average_weights([file, tmp_path], tmp_path / "mean.safetensors")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match="empty"):
        average_weights([file, tmp_path / "empty"], tmp_path / "mean.safetensors")
