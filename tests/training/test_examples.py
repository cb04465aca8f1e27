"""Losses of examples, with and without the feature cache, and with examples loaded ahead in threads or processes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from clothseg.config import Config
from clothseg.errors import PhotoError
from clothseg.loading import WorkerPool
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


KINDS = pytest.mark.parametrize(("workers", "kind"), [(0, "auto"), (2, "thread"), (2, "process")])


@contextmanager
def with_workers(photos: Photos, workers: int, kind: str = "thread") -> Iterator[Examples]:
    """Examples that change with every version, so that nothing is cached."""
    more = [f"train.workers={workers}", f"train.worker_type={kind}", "augment.fixed_views=0", "augment.rotate=20"]
    config = Config.load("demo", [*SMALL, *more, "augment.copy_paste=0.5"])
    pool = WorkerPool.for_training(config.train, torch.device("cpu"), 1)
    assert (pool.workers, pool.processes) == (workers, kind == "process")
    torch.manual_seed(0)
    try:
        yield Examples(build_network(config, 3), photos[0], config, augmented=True, pool=pool)
    finally:
        pool.close()


@KINDS
def test_workers_load_the_same_examples(workers: int, kind: str, small_photos: Photos) -> None:
    with with_workers(small_photos, workers, kind) as examples:
        places = [(0, 1), (2, 2), (1, 3), (2, 2)]
        examples.prefetch(places)
        assert set(examples.queue.pending) == (set(places) if workers else set())
        for place in dict.fromkeys(places):
            (image, truth), (expected, same) = examples.queue.take(*place), examples.queue.source.load(*place)
            assert torch.equal(image, expected)
            assert image.stride() == expected.stride()  # else sums may be in another order
            assert image.dtype == torch.uint8
            assert truth.size == same.size
            for field in ("boxes", "classes", "crowd"):
                assert torch.equal(getattr(truth, field), getattr(same, field))
            assert torch.equal(truth.masks.pixels(), same.masks.pixels())
        assert not examples.queue.pending


@KINDS
def test_losses_take_prefetched_examples(workers: int, kind: str, small_photos: Photos) -> None:
    with with_workers(small_photos, workers, kind) as examples:
        batch, next_batch = [(0, 1), (2, 2), (2, 2)], [(1, 3)]
        answers = []
        for ahead in (False, True):
            if ahead:
                examples.prefetch([*batch, *next_batch])
            examples.network.generator.manual_seed(3)
            answers.append(examples.losses(batch))
        assert set(examples.queue.pending) == (set(next_batch) if workers else set())
        assert answers[0].keys() == answers[1].keys()
        for name, loss in answers[0].items():
            assert torch.equal(loss, answers[1][name])


@KINDS
def test_a_photo_that_cannot_be_read_fails_in_its_own_step(workers: int, kind: str, small_photos: Photos) -> None:
    with with_workers(small_photos, workers, kind) as examples:
        object.__setattr__(small_photos[0].images[1], "path", Path("gone.jpg"))
        examples.queue.source = replace(examples.queue.source, augment=None)
        examples.queue.pool.sources[0] = examples.queue.source  # without copy-paste, which could need the same photo
        examples.prefetch([(0, 1), (1, 2)])
        assert examples.losses([(0, 1)])["total"].isfinite()
        with pytest.raises(PhotoError, match=r"^gone\.jpg: no such photo"):
            examples.losses([(1, 2)])
        examples.prefetch([(2, 1)])  # the workers continue
        assert examples.losses([(2, 1)])["total"].isfinite()
