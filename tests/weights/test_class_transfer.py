"""Heads for other classes: rows of classes that both have are carried over, the others start new."""

from pathlib import Path

import pytest
import torch

from clothseg.config import Config
from clothseg.errors import WeightsError
from clothseg.models import MaskRCNN
from clothseg.networks import build_network
from clothseg.runs import RunFolder
from clothseg.weights import load_start, open_network, write_network

SMALL = ["backbone.name=resnet18", "pyramid.channels=32", "boxes.hidden=16", "mask.channels=8", "weights=random"]
OLD = ["person", "tie", "hair drier"]


def trained(folder: Path) -> tuple[Config, dict[str, torch.Tensor], str]:
    """A file whose rows all differ from what a new network has."""
    config = Config.load("demo", SMALL)
    state = build_network(config, len(OLD)).state_dict()
    generator = torch.Generator().manual_seed(5)
    state = {name: torch.rand(tensor.shape, generator=generator) + 1 for name, tensor in state.items()}
    path = folder / "old.safetensors"
    write_network(path, state, config, OLD)
    return config, state, str(path)


def test_rows_of_shared_classes_are_carried_over(tmp_path: Path) -> None:
    config, old, path = trained(tmp_path)
    new = ["Suit", "Tie", "Hair_Drier", "Jeans"]
    fresh = build_network(config, len(new)).state_dict()
    network = build_network(config, len(new))
    report = load_start(network, path, classes=new)
    state = network.state_dict()
    for layer, rows in (("box_head.score", 1), ("box_head.delta", 4), ("mask_head.logits", 1)):
        for kind in ("weight", "bias"):
            mine, before, start = (s[f"{layer}.{kind}"].unflatten(0, (-1, rows)) for s in (state, old, fresh))
            assert torch.equal(mine[0], before[0])  # background
            assert torch.equal(mine[2], before[2])  # Tie
            assert torch.equal(mine[3], before[3])  # Hair_Drier
            assert torch.equal(mine[[1, 4]], start[[1, 4]])  # Suit, Jeans
    assert torch.equal(state["box_head.dense.0.weight"], old["box_head.dense.0.weight"])
    assert report.carried == ["Tie", "Hair_Drier"]
    assert "Tie, Hair_Drier" in report.sentence()
    assert report.missing == []


def test_a_file_of_the_same_classes_loads_whole(tmp_path: Path) -> None:
    config, old, path = trained(tmp_path)
    network = build_network(config, len(OLD))
    report = load_start(network, path, classes=["Person", "Tie", "Hair drier"])
    assert report.carried is None
    assert all(torch.equal(tensor, old[name]) for name, tensor in network.state_dict().items())


def test_as_many_classes_of_other_names_are_not_taken_for_the_same(tmp_path: Path) -> None:
    config, old, path = trained(tmp_path)
    network = build_network(config, 3)
    load_start(network, path, classes=["Suit", "Dress", "Tie"])
    score = network.state_dict()["box_head.score.weight"]
    assert torch.equal(score[3], old["box_head.score.weight"][2])
    assert not torch.equal(score[1], old["box_head.score.weight"][1])


def test_what_is_excluded_starts_new(tmp_path: Path) -> None:
    config, old, path = trained(tmp_path)
    for exclude, kept in ((["heads"], "pyramid.lateral.0.0.weight"), (["mask_head.", "rpn."], "box_head.score.weight")):
        network = build_network(config, 3)
        fresh = network.state_dict()["mask_head.logits.weight"].clone()
        report = load_start(network, path, exclude, OLD)
        state = network.state_dict()
        assert torch.equal(state["mask_head.logits.weight"], fresh)
        assert torch.equal(state[kept], old[kept])
        assert report.reasons["rpn.score.weight"] == "excluded by wish"


def test_an_exclusion_that_fits_nothing_is_told(tmp_path: Path) -> None:
    config, _, path = trained(tmp_path)
    network = build_network(config, 3)
    with pytest.raises(WeightsError, match=r"exclude 'mask_hed': nothing .* parts are backbone, pyramid, rpn"):
        load_start(network, path, ["heads", "mask_hed"], OLD)


def test_a_layer_is_taken_whole_or_not_at_all(tmp_path: Path) -> None:
    """Of a wider pyramid the layers start new, their biases too, whose own shape would fit."""
    _, old, path = trained(tmp_path)
    wide = Config.load("demo", [*SMALL, "pyramid.channels=64"])
    network = build_network(wide, 3)
    fresh = network.state_dict()["rpn.score.bias"].clone()
    report = load_start(network, path, classes=OLD)
    state = network.state_dict()
    assert torch.equal(state["rpn.score.bias"], fresh)
    assert torch.equal(state["box_head.score.bias"], old["box_head.score.bias"])  # of a layer that fits
    assert report.reasons["rpn.score.bias"] == "another tensor of its layer has another shape"
    assert f"{len(report.missing)} start new, {len(report.wrong_shape)} of them because" in report.sentence()
    with pytest.warns(UserWarning, match="start new"):
        MaskRCNN(wide).build(OLD).load_weights(path)


def test_classes_need_names_of_their_own(tmp_path: Path) -> None:
    _, _, path = trained(tmp_path)
    with pytest.raises(WeightsError, match="'tie' is there twice"):
        open_network(Path(path), classes=["hat", "tie", "Tie"])


def test_a_folder_is_a_run_or_told(tmp_path: Path) -> None:
    config, old, _ = trained(tmp_path)
    run = RunFolder(tmp_path / "run")
    write_network(run.weights, old, config, OLD)
    assert open_network(run.path).classes == OLD
    network = build_network(config, 3)
    load_start(network, str(run.path))
    with pytest.raises(WeightsError, match="a folder, but not one of a finished run"):
        load_start(network, str(tmp_path))


def test_our_own_file_keeps_its_conventions(tmp_path: Path) -> None:
    config = Config.load("demo", [*SMALL, "conventions=detectron2", "picture.std=[57,57,58]", "backbone.norm_eps=0.01"])
    network = build_network(config, 2)
    write_network(tmp_path / "own.safetensors", network.state_dict(), config, ["Suit", "Dress"])
    opened = open_network(tmp_path / "own.safetensors")
    assert opened.network.conventions == network.conventions
    assert opened.network.conventions.norm_eps == 0.01
    assert opened.classes == ["Suit", "Dress"]
