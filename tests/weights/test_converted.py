"""The bookkeeping of converted weights, and the rows of class layers for other classes."""

import torch

from clothseg.config import Config
from clothseg.networks import build_network
from clothseg.weights import ConvertedWeights, load_initial_weights
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
