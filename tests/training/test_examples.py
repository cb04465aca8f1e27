"""Losses of examples, with and without the feature cache."""

import torch

from clothseg.config import Config
from clothseg.networks import build_network
from clothseg.training import Examples

from .conftest import SMALL, Photos


def test_cached_features_give_the_same_losses(photos: Photos) -> None:
    config = Config.load("demo", SMALL)
    network = build_network(config, 3)
    batch = [(0, 0), (2, 1)]
    answers = []
    for caches in (True, False):
        examples = Examples(network, photos[0], config, augmented=True)
        assert examples.caches
        examples.caches = caches
        network.generator.manual_seed(3)
        answers.append(examples.losses(batch))
        assert len(examples.cached) == (2 if caches else 0)
    assert answers[0].keys() == {"total", *network.loss_names}
    for name, cached in answers[0].items():
        torch.testing.assert_close(cached, answers[1][name], atol=1e-6, rtol=1e-5)
