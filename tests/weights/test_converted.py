"""The bookkeeping of converted weights, and the rows of class layers for other classes."""

from pathlib import Path

import torch

from clothseg.config import Config
from clothseg.networks import build_network
from clothseg.weights import ConvertedWeights, load_initial_weights, write_network
from clothseg.weights.converted import (
    normalize_name,
    prepend_background,
    same_classes,
    shared_classes,
    transfer_class_rows,
)

Trained = tuple[Config, dict[str, torch.Tensor], str]


def test_two_keys_can_make_one_tensor() -> None:
    converted = ConvertedWeights("test", "")
    converted.add("norm/mean", "norm.running_mean", torch.tensor([3.0]))
    converted.update("norm.running_mean", "conv/bias", "subtracted", lambda mean: mean - 1)
    assert converted.tensors["norm.running_mean"].tolist() == [2]
    assert converted.renamed == {"norm/mean": "norm.running_mean", "conv/bias": "norm.running_mean"}
    assert converted.changed == {"conv/bias": "subtracted"}


def test_background_gets_rows_of_zeros_in_the_first_place() -> None:
    rows = torch.arange(1.0, 9.0).reshape(4, 2)  # 2 classes with 2 rows
    assert prepend_background(rows, 2).tolist() == [[0, 0], [0, 0], [1, 2], [3, 4], [5, 6], [7, 8]]


def test_rows_of_shared_classes_are_transferred(trained: Trained) -> None:
    config, old, path = trained
    new = ["Suit", "Tie", "Hair_Drier", "Jeans"]
    initial = build_network(config, len(new)).state_dict()
    network = build_network(config, len(new))
    report = load_initial_weights(network, path, classes=new)
    state = network.state_dict()
    for layer, rows in (("box_head.score", 1), ("box_head.delta", 4), ("mask_head.logits", 1)):
        for kind in ("weight", "bias"):
            found, before, start = (s[f"{layer}.{kind}"].unflatten(0, (-1, rows)) for s in (state, old, initial))
            assert torch.equal(found[0], before[0])  # background
            assert torch.equal(found[2], before[2])  # Tie
            assert torch.equal(found[3], before[3])  # Hair_Drier
            assert torch.equal(found[[1, 4]], start[[1, 4]])  # Suit, Jeans
    assert torch.equal(state["box_head.dense.0.weight"], old["box_head.dense.0.weight"])
    assert report.transferred == ["Tie", "Hair_Drier"]
    assert "with the rows of background and of Tie, Hair_Drier" in report.summary()
    assert report.missing == []


def with_room(config: Config, count: int) -> Config:
    return Config.from_tree(config.model_dump(mode="json"), [f"network.box_head.background_classes={count}"], "test")


def test_classes_that_the_dataset_lacks_become_background(trained: Trained) -> None:
    """Before it learns, the new network takes for background what the old one took for these classes."""
    config, old, path = trained
    classes, room = ["Suit", "Tie"], with_room(config, 3)
    start = build_network(room, 2).state_dict()
    network = build_network(room, 2)
    report = load_initial_weights(network, path, classes=classes)
    state = network.state_dict()
    for kind in ("weight", "bias"):
        rows, before = state[f"box_head.background.{kind}"], old[f"box_head.score.{kind}"]
        assert torch.equal(rows[:2], before[[1, 3]])  # person, hair drier
        assert torch.equal(rows[2], start[f"box_head.background.{kind}"][2])
    assert report.background == ["person", "hair drier"]
    assert "further background classes begin as person, hair drier" in report.summary()
    assert report.missing == []


def test_more_other_classes_than_there_is_room_for(trained: Trained) -> None:
    config, old, path = trained
    network = build_network(with_room(config, 1), 1)
    report = load_initial_weights(network, path, classes=["Suit"])
    assert torch.equal(network.state_dict()["box_head.background.bias"], old["box_head.score.bias"][1:2])
    assert report.background == ["person"]
    kept = load_initial_weights(build_network(config, 1), path, classes=["Suit"])
    assert kept.background == []
    assert "background classes" not in kept.summary()


def test_background_classes_are_kept_in_a_further_training(trained: Trained, tmp_path: Path) -> None:
    """For the same classes as they are, for other ones behind the rows of the classes that fall away."""
    room = with_room(trained[0], 2)
    first = build_network(room, 2)
    state = {name: torch.rand_like(tensor) for name, tensor in first.state_dict().items()}
    write_network(tmp_path / "first.safetensors", state, room, ["Suit", "Dress"])
    again, other = build_network(room, 2), build_network(with_room(trained[0], 3), 2)
    load_initial_weights(again, str(tmp_path / "first.safetensors"), classes=["Suit", "Dress"])
    assert torch.equal(again.state_dict()["box_head.background.bias"], state["box_head.background.bias"])
    load_initial_weights(other, str(tmp_path / "first.safetensors"), classes=["Jeans", "Suit"])
    expected = torch.cat([state["box_head.score.bias"][2:], state["box_head.background.bias"]])  # Dress, then these
    assert torch.equal(other.state_dict()["box_head.background.bias"], expected)


def test_everything_loads_if_the_classes_are_the_same(trained: Trained, old_classes: list[str]) -> None:
    config, old, path = trained
    network = build_network(config, len(old_classes))
    report = load_initial_weights(network, path, classes=["Person", "Tie", "Hair drier"])
    assert report.transferred is None
    assert all(torch.equal(tensor, old[name]) for name, tensor in network.state_dict().items())


def test_other_names_are_other_classes_even_if_their_number_is_the_same(trained: Trained) -> None:
    config, old, path = trained
    network = build_network(config, 3)
    load_initial_weights(network, path, classes=["Suit", "Dress", "Tie"])
    score = network.state_dict()["box_head.score.weight"]
    assert torch.equal(score[3], old["box_head.score.weight"][2])
    assert not torch.equal(score[1], old["box_head.score.weight"][1])


def test_a_layer_of_another_width_stays_as_it_is() -> None:
    tensors = {"head.weight": torch.ones(3, 8), "backbone.weight": torch.ones(3, 4)}
    initial = {"head.weight": torch.zeros(4, 16), "backbone.weight": torch.zeros(4, 4)}
    result = transfer_class_rows(tensors, initial, ["a", "b"], ["a", "b", "c"], ["head"])
    assert result["head.weight"] is tensors["head.weight"]
    assert result["backbone.weight"] is tensors["backbone.weight"]


def test_spelling_does_not_matter() -> None:
    assert normalize_name("Hair_Drier") == normalize_name("hair drier") == normalize_name("HAIR-drier")
    assert shared_classes(["person", "tie", "hair drier"], ["Suit", "Hair_Drier", "Tie"]) == {0: 0, 2: 3, 3: 2}
    assert same_classes(["hair drier", "tie"], ["Hair-Drier", "Tie"])
    assert not same_classes(["hair drier", "tie"], ["tie", "hair drier"])
    assert not same_classes(["tie"], ["tie", "tie"])
