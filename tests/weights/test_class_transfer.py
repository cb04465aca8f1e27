"""Heads for other classes: rows of classes that both have are transferred, the others start new."""

import torch

from clothseg.config import Config
from clothseg.networks import build_network
from clothseg.weights import load_initial_weights
from clothseg.weights.class_transfer import plain_name, shared_classes

Trained = tuple[Config, dict[str, torch.Tensor], str]


def test_rows_of_shared_classes_are_transferred(trained: Trained) -> None:
    config, old, path = trained
    new = ["Suit", "Tie", "Hair_Drier", "Jeans"]
    fresh = build_network(config, len(new)).state_dict()
    network = build_network(config, len(new))
    report = load_initial_weights(network, path, classes=new)
    state = network.state_dict()
    for layer, rows in (("box_head.score", 1), ("box_head.delta", 4), ("mask_head.logits", 1)):
        for kind in ("weight", "bias"):
            mine, before, start = (s[f"{layer}.{kind}"].unflatten(0, (-1, rows)) for s in (state, old, fresh))
            assert torch.equal(mine[0], before[0])  # background
            assert torch.equal(mine[2], before[2])  # Tie
            assert torch.equal(mine[3], before[3])  # Hair_Drier
            assert torch.equal(mine[[1, 4]], start[[1, 4]])  # Suit, Jeans
    assert torch.equal(state["box_head.dense.0.weight"], old["box_head.dense.0.weight"])
    assert report.transferred == ["Tie", "Hair_Drier"]
    assert "Tie, Hair_Drier" in report.summary()
    assert report.missing == []


def test_a_file_of_the_same_classes_loads_whole(trained: Trained, old_classes: list[str]) -> None:
    config, old, path = trained
    network = build_network(config, len(old_classes))
    report = load_initial_weights(network, path, classes=["Person", "Tie", "Hair drier"])
    assert report.transferred is None
    assert all(torch.equal(tensor, old[name]) for name, tensor in network.state_dict().items())


def test_as_many_classes_of_other_names_are_not_taken_for_the_same(trained: Trained) -> None:
    config, old, path = trained
    network = build_network(config, 3)
    load_initial_weights(network, path, classes=["Suit", "Dress", "Tie"])
    score = network.state_dict()["box_head.score.weight"]
    assert torch.equal(score[3], old["box_head.score.weight"][2])
    assert not torch.equal(score[1], old["box_head.score.weight"][1])


def test_names_are_the_same_whatever_their_spelling() -> None:
    assert plain_name("Hair_Drier") == plain_name("hair drier") == plain_name("HAIR-drier")
    assert shared_classes(["person", "tie", "hair drier"], ["Suit", "Hair_Drier", "Tie"]) == {0: 0, 2: 3, 3: 2}
