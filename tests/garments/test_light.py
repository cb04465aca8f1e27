"""The light of a real photo before and after a known tint."""

import numpy as np
import pytest

from clothseg import sample
from clothseg.garments import light_of
from clothseg.garments.light import from_linear, gains, relit, to_linear
from clothseg.photos import read_photo


def test_light_of_a_tinted_photo() -> None:
    photo = read_photo(min((sample.folder() / "validation").glob("*.jpg")))
    tint = np.array([0.9, 0.7, 0.5])
    tinted = from_linear(to_linear(photo) * tint)
    ratio = np.array(light_of(tinted)) / light_of(photo)
    assert ratio == pytest.approx(tint, abs=0.02)
    back = relit(tinted, gains(light_of(tinted), light_of(photo)))
    dark = photo.max(axis=-1) < 250
    assert np.abs(back.astype(int) - photo)[dark].mean() < 2.5
    assert np.abs(tinted.astype(int) - photo)[dark].mean() > 10
    assert gains((0.01, 1, 1), (1, 0.01, 1)).tolist() == [2, 0.5, 1]
