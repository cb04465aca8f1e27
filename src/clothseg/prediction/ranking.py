"""Orders unlabelled photos by how much labelling them would teach: uncertain ones, different from each other.

Uncertain is a photo on which many detections are as likely right as wrong. Different is one whose features are far from
those of all photos before it (greedy k-centre), so that near-duplicates are never both near the top.
Source: Gonzalez, "Clustering to Minimize the Maximum Intercluster Distance", 1985 (greedy k-centre); Sener and
Savarese, "Active Learning for Convolutional Neural Networks: A Core-Set Approach", ICLR 2018.
"""

import csv
import io
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from clothseg.dataset.prelabels import short_names
from clothseg.errors import PhotoError, RunError
from clothseg.files import atomic_folder, atomic_write
from clothseg.instances import Instances
from clothseg.models import Model
from clothseg.networks import to_tensor
from clothseg.photos import read_photo
from clothseg.progress import ProgressBar, no_progress

COLUMNS = ("rank", "file", "score", "uncertainty", "distance", "why")
_CONFIDENT = 1e-6  # the uncertainty of a photo without any doubt, so that these are ordered too
_ALIKE = 0.5  # distance of features in 0..1 below which a photo is called similar


@dataclass(frozen=True)
class RankedPhoto:
    """A photo in the order of labelling.

    Attributes:
        path: of the photo.
        score: uncertainty times distance, never higher than that of the photo before.
        uncertainty: how many decisions on its detections are wrong, as far as the scores know.
        distance: of its features from the nearest photo before it, 0..1.
        why: both in words.
    """

    path: Path
    score: float
    uncertainty: float
    distance: float
    why: str


def rank_for_labelling(
    model: Model, paths: Sequence[Path], *, progress: ProgressBar = no_progress
) -> tuple[list[RankedPhoto], list[str]]:
    """The photos in the order in which they should be labelled, the most useful first.

    Args:
        model: trained; with calibrated scores the uncertainty is worth more.
        paths: photos.
        progress: wraps the photos, for a progress bar.

    Returns:
        The photos, and a message for each one that cannot be read.

    Raises:
        RunError: the model has no network yet.
    """
    if model.network is None:
        raise RunError("the model has no network yet; call build() first")
    read: list[Path] = []
    doubts: list[str] = []
    uncertainties: list[float] = []
    features: list[torch.Tensor] = []
    unread: list[str] = []
    for path in progress(paths, len(paths), "ranking"):
        try:
            image = to_tensor(read_photo(path))
        except PhotoError as error:
            unread.append(str(error))
            continue
        found = model.detect([image])[0]
        read.append(path)
        uncertainties.append(uncertainty(found.scores.double().cpu().numpy()))
        doubts.append(_doubts(found, model.classes))
        features.append(model.network.embed(image))
    if not read:
        return [], unread
    order = spread_order(np.array(uncertainties), unit_features(torch.stack(features).numpy()))
    ranked: list[RankedPhoto] = []
    for place, distance, nearest in order:
        like = f"similar to {read[nearest].name}" if nearest >= 0 and distance < _ALIKE else "unlike the photos before"
        why = f"{doubts[place]}; {like}" if ranked else doubts[place]
        score = uncertainties[place] * distance
        ranked.append(RankedPhoto(read[place], score, uncertainties[place], distance, why))
    return ranked, unread


def uncertainty(scores: NDArray[np.float64]) -> float:
    """The expected number of wrong decisions, if detections with a score of 0.5 or more are taken and others are not.

    Args:
        scores: `[N]` in 0..1, how likely each detection is right.
    """
    return float(np.minimum(scores, 1 - scores).sum())


def unit_features(features: NDArray[np.float32]) -> NDArray[np.float64]:
    """`[N, C]` features without what all photos have in common, each of length 1."""
    centred = features.astype(np.float64) - features.mean(axis=0)
    lengths: NDArray[np.float64] = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.asarray(centred / np.maximum(lengths, 1e-9))


def spread_order(uncertainties: NDArray[np.float64], features: NDArray[np.float64]) -> list[tuple[int, float, int]]:
    """The greedy order: the next photo has the highest product of uncertainty and distance from all before it.

    Args:
        uncertainties: `[N]`, 0 or more.
        features: `[N, C]`, of length 1 or less.

    Returns:
        The position of each photo, its distance (0..1) from the nearest one before it, and the position of that one;
        1 and -1 for the first photo.
    """
    weights = np.maximum(uncertainties, _CONFIDENT)
    distances, nearest = np.ones(len(weights)), np.full(len(weights), -1)
    left = np.ones(len(weights), dtype=bool)
    order: list[tuple[int, float, int]] = []
    for _ in range(len(weights)):
        place = int(np.where(left, weights * distances, -1.0).argmax())
        left[place] = False
        order.append((place, float(distances[place]), int(nearest[place])))
        to_place = np.linalg.norm(features - features[place], axis=1) / 2
        closer = to_place < distances
        distances, nearest = np.where(closer, to_place, distances), np.where(closer, place, nearest)
    return order


def _doubts(found: Instances, classes: Sequence[str]) -> str:
    """The most uncertain detections, in a few words."""
    if not len(found):
        return "nothing found"
    ranked = sorted(zip(found.scores.tolist(), found.classes.tolist(), strict=True), key=lambda one: abs(one[0] - 0.5))
    uncertain = [f"{classes[class_id - 1]} {score:.2f}" for score, class_id in ranked[:3] if 0.1 <= score <= 0.9]
    return f"uncertain of {', '.join(uncertain)}" if uncertain else "confident of all detections"


def write_ranking(ranked: Sequence[RankedPhoto], path: Path) -> None:
    """Writes a CSV with the columns `COLUMNS`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for rank, one in enumerate(ranked, start=1):
        numbers = (f"{value:.4f}" for value in (one.score, one.uncertainty, one.distance))
        writer.writerow([rank, one.path.as_posix(), *numbers, one.why])
    atomic_write(path, text.getvalue())


def copy_photos(paths: Sequence[Path], folder: Path) -> None:
    """Copies photos into a folder, under the names that files for labelling tools give them; replaces the folder."""
    with atomic_folder(folder, overwrite=True) as temporary:
        for path, name in zip(paths, short_names([path.as_posix() for path in paths]), strict=True):
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, temporary / name)
