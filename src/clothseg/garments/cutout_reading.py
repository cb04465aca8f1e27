"""Reads cut-outs: any picture with transparency; those of `cutout_files.py` know their class and light."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from clothseg.colour_profiles import as_srgb
from clothseg.errors import PhotoError
from clothseg.garments.cutout import Cutout
from clothseg.garments.light import Light
from clothseg.photos import open_picture, orientation_of, turn_upright

TEXT_KEY = "clothseg"
"""Of the text in a PNG that has class, score, place and light as JSON."""


def has_transparency(path: Path) -> bool:
    """Whether a file is a picture with transparency. False if it cannot be read."""
    try:
        with open_picture(path) as picture:
            return picture.has_transparency_data
    except PhotoError:
        return False


def read_cutout(path: Path) -> Cutout:
    """Reads a cut-out from any picture with transparency, trimmed to the visible part.

    As with `read_photo`, it is turned upright by its EXIF orientation, and its colours become those of sRGB. Class and
    light are known only for files of `save_cutout`.

    Raises:
        PhotoError: the file does not exist, is not a picture, has no transparency, or is completely transparent.
    """
    with open_picture(path) as picture:
        return decode_cutout(picture, str(path))


def decode_cutout(picture: Image.Image, what: str) -> Cutout:
    """The cut-out in an open picture; see `read_cutout`. `what` names it in errors."""
    picture.load()
    if not picture.has_transparency_data:
        raise PhotoError(f"{what}: the picture has no transparency; make a cut-out with `clothseg cutout`")
    pixels = turn_upright(np.array(as_srgb(picture.convert("RGBA"))), orientation_of(picture))
    facts = parse_object(picture.info.get(TEXT_KEY))
    ys, xs = np.flatnonzero(pixels[..., 3].any(axis=1)), np.flatnonzero(pixels[..., 3].any(axis=0))
    if not len(ys):
        raise PhotoError(f"{what}: the picture is completely transparent")
    trimmed = pixels[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]
    name = facts.get("class")
    return Cutout(trimmed, class_name=name if isinstance(name, str) else "", light=_light(facts.get("light")))


def parse_object(text: object) -> dict[str, Any]:
    """Parses a JSON object; empty if the text is anything else."""
    try:
        facts = json.loads(text) if isinstance(text, str) else {}
    except (ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _light(value: object) -> Light | None:
    if not isinstance(value, list) or len(value) != 3 or not all(isinstance(v, float) and 0 < v <= 1 for v in value):
        return None
    return float(value[0]), float(value[1]), float(value[2])
