"""The augmentation of photos that a teacher labelled."""

import numpy as np
import torch

from clothseg.config import AugmentSettings
from clothseg.dataset import Sampler
from clothseg.dataset.augment import cover_part, strong


def test_light_changes_at_least_as_far_and_geometry_as_before() -> None:
    own = AugmentSettings.model_validate(
        {"flip": 0.3, "brightness": 0.9, "saturation": 0.1, "rotate": 8, "erase": {"max": 0.4, "p": 1}}
    )
    changed = strong(own)
    assert changed.brightness.max == 0.9 and changed.saturation.max > 0.1 and changed.contrast.max > 0
    assert changed.blur.max > 0 and changed.erase == own.erase
    geometry = ("flip", "scale", "stretch", "shift", "rotate", "shear", "piecewise_affine", "large_scale_jitter")
    assert all(getattr(changed, name) == getattr(own, name) for name in geometry)
    assert strong(AugmentSettings()).erase.max > 0


def test_the_covered_part_is_a_rectangle_of_the_mean_colour_within_the_limit() -> None:
    settings = AugmentSettings.model_validate({"erase": 0.25})
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 60, 40), dtype=np.uint8))
    mean = image.float().mean((1, 2)).to(torch.uint8)
    generator = torch.Generator().manual_seed(0)
    for _ in range(200):
        covered = cover_part(image, settings, generator)
        changed = (covered != image).any(0)
        rows, columns = torch.where(changed.any(1))[0], torch.where(changed.any(0))[0]
        height, width = int(rows[-1] - rows[0] + 1), int(columns[-1] - columns[0] + 1)
        inside = covered[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert (inside == mean[:, None, None]).all()
        assert 0.03 * 60 * 40 <= height * width <= 0.27 * 60 * 40


def test_nothing_is_covered_by_default_and_no_number_drawn() -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.zeros(3, 9, 9, dtype=torch.uint8)
    before = generator.get_state()
    assert cover_part(image, AugmentSettings(), generator) is image
    assert torch.equal(before, generator.get_state())


def test_a_changed_sampler_draws_from_all_photos_and_resumes_exactly() -> None:
    sampler = Sampler(3, 2, 0, seed=1)
    sampler.peek(4)
    sampler.change(5, [1.0, 1.0, 1.0, 0.0, 2.0])
    drawn = [place for _ in range(25) for place, _ in sampler.next_batch()]
    assert [drawn.count(place) for place in range(5)] == [10, 10, 10, 0, 20]
    state = sampler.state_dict()
    other = Sampler(3, 2, 0, seed=9)
    other.change(5, [1.0, 1.0, 1.0, 0.0, 2.0])
    other.load_state_dict(state)
    assert [sampler.next_batch() for _ in range(9)] == [other.next_batch() for _ in range(9)]
