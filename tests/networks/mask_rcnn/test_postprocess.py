"""Scores that count how sure a mask is, by hand and in a whole network."""

import pytest
import torch

from clothseg.config import Config
from clothseg.dataset import to_tensor
from clothseg.networks import build_network
from clothseg.networks.mask_rcnn.postprocess import Found, with_mask_scores
from clothseg.photos import read_photo
from clothseg.sample import folder


def test_by_hand() -> None:
    """Own pixels with 0.5 and 0.7 make 0.6, with 1 make 1; a mask without own pixels makes 0, what is low goes."""
    masks = torch.tensor([[[0.5, 0.7], [0.4, 0.1]], [[1.0, 1.0], [1.0, 0.0]], [[0.4, 0.4], [0.4, 0.4]]])
    found = Found(torch.arange(12.0).reshape(3, 4), torch.tensor([1, 2, 3]), torch.tensor([0.9, 0.6, 0.5]))
    settings = Config.load("demo", ["detect.min_confidence=0.1"]).detect
    again, ordered = with_mask_scores(found, masks, settings)
    assert again.scores.tolist() == pytest.approx([0.6, 0.54])
    assert again.classes.tolist() == [2, 1]
    assert torch.equal(again.boxes, found.boxes[[1, 0]])
    assert torch.equal(ordered, masks[[1, 0]])


def test_a_network_finds_the_same_in_another_order() -> None:
    detect = ["detect.min_confidence=0", "detect.max_detections=8", "detect.mask_score=false"]
    config = Config.load("demo", ["weights=random", *detect])
    network = build_network(config, 3).eval()
    photo = to_tensor(read_photo(min((folder() / "train").glob("*.jpg"))))
    plain = network.detect([photo])[0]
    config.detect.mask_score = True
    other = network.detect([photo])[0]
    assert len(other) == len(plain) > 3
    assert torch.all(other.scores[:-1] >= other.scores[1:])
    places = [int((plain.boxes == box).all(1).nonzero()[0]) for box in other.boxes]
    assert sorted(places) == list(range(len(plain)))
    assert torch.all(other.scores < plain.scores[places])
    assert torch.equal(other.masks.pixels(), plain.masks.pixels()[places])
