"""Losses of examples, with and without the feature cache, and with examples loaded ahead in threads."""

from pathlib import Path

import pytest
import torch

from clothseg.config import Config
from clothseg.errors import PhotoError
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


def with_workers(photos: Photos, workers: int) -> Examples:
    """Examples that change with every version, so that nothing is cached."""
    config = Config.load("demo", [*SMALL, f"train.workers={workers}", "augment.fixed_views=0", "augment.rotate=20"])
    torch.manual_seed(0)
    return Examples(build_network(config, 3), photos[0], config, augmented=True)


@pytest.mark.parametrize("workers", [1, 3])
def test_threads_load_the_same_examples(workers: int, small_photos: Photos) -> None:
    examples = with_workers(small_photos, workers)
    places = [(0, 1), (2, 2), (1, 3), (2, 2)]
    examples.prefetch(places)
    assert set(examples.pending) == set(places)
    for place, started in examples.pending.items():
        (image, truth), (expected, same) = started.result(), examples.load(*place)
        assert torch.equal(image, expected)
        assert torch.equal(truth.boxes, same.boxes)


@pytest.mark.parametrize("workers", [0, 2])
def test_losses_take_prefetched_examples(workers: int, small_photos: Photos) -> None:
    examples = with_workers(small_photos, workers)
    batch, next_batch = [(0, 1), (2, 2), (2, 2)], [(1, 3)]
    answers = []
    for ahead in (False, True):
        if ahead:
            examples.prefetch([*batch, *next_batch])
        examples.network.generator.manual_seed(3)
        answers.append(examples.losses(batch))
    assert set(examples.pending) == (set(next_batch) if workers else set())
    assert answers[0].keys() == answers[1].keys()
    for name, loss in answers[0].items():
        assert torch.equal(loss, answers[1][name])


def test_a_photo_that_cannot_be_read_fails_in_its_own_step(small_photos: Photos) -> None:
    examples = with_workers(small_photos, 1)
    object.__setattr__(small_photos[0].images[1], "path", Path("gone.jpg"))
    examples.prefetch([(0, 1), (1, 2)])
    assert examples.losses([(0, 1)])["total"].isfinite()
    with pytest.raises(PhotoError, match=r"gone\.jpg"):
        examples.losses([(1, 2)])
