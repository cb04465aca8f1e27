"""Class colours: distance between them, stability, contrast of the text."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from clothseg.pictures import Colour, class_colour, text_colour
from clothseg.pictures.colours import luminance

# Machado, Oliveira and Fernandes 2009, full deuteranopia and protanopia, on linear RGB.
DEUTERANOPIA = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
PROTANOPIA = [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]


def lab(colour: Colour, seen_by: list[list[float]]) -> NDArray[np.float64]:
    values = np.asarray(colour) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.asarray(seen_by) @ linear, 0, 1)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = np.asarray(to_xyz) @ linear / [0.9505, 1.0, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.asarray([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("seen_by", [np.eye(3).tolist(), DEUTERANOPIA, PROTANOPIA], ids=["all", "deutan", "protan"])
@pytest.mark.parametrize(("classes", "apart"), [(3, 35.0), (5, 30.0)])
def test_first_colours_are_far_apart_also_for_colour_blind_people(
    classes: int, apart: float, seen_by: list[list[float]]
) -> None:
    colours = [lab(class_colour(i), seen_by) for i in range(1, classes + 1)]
    assert min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(colours, 2)) > apart


def test_colours_are_stable_and_all_different() -> None:
    colours = [class_colour(i) for i in range(1, 61)]
    assert colours == [class_colour(i) for i in range(1, 61)]
    assert len(set(colours)) == 60
    assert all(0 <= v <= 255 for colour in [*colours, class_colour(0), class_colour(-4)] for v in colour)


@pytest.mark.parametrize("class_id", range(1, 40))
def test_text_is_readable_on_every_colour(class_id: int) -> None:
    colour = class_colour(class_id)
    lighter, darker = sorted([luminance(colour), luminance(text_colour(colour))], reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= 4.2
