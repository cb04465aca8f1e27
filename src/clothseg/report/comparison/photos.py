"""The same photos side by side: the ground truth, and what each network found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clothseg.errors import PhotoError
from clothseg.evaluation.truth import GroundTruth
from clothseg.instances import CocoImage, CocoResult
from clothseg.report.choice import ranked_photos
from clothseg.report.figures import EmbeddedPhoto, drawn_photo, read_sized_photo
from clothseg.report.reading import results_by_photo, to_instances


@dataclass(frozen=True)
class ShownSide:
    """What of one side is drawn: its title, its results, and the score from which on they count."""

    title: str
    rows: Sequence[CocoResult]
    score_threshold: float


@dataclass(frozen=True)
class PhotoRow:
    """One photo.

    Attributes:
        name: of its file.
        reasons: why it is shown, for example `best of YOLACT`.
        truth: the photo with its objects.
        found: title, drawing and agreement in 0..1 of each side.
    """

    name: str
    reasons: tuple[str, ...]
    truth: EmbeddedPhoto
    found: tuple[tuple[str, EmbeddedPhoto, float], ...]


def photo_rows(
    truth: GroundTruth, sides: Sequence[ShownSide], images: Path, *, ends: int = 2, disagreements: int = 4
) -> tuple[list[PhotoRow], list[str]]:
    """The photos where the sides disagree most, and the best and the worst ones of each side.

    Args:
        truth: the ground truth, with masks.
        sides: what each found, with masks.
        images: folder of the photos, where nothing else is known.
        ends: how many of the best and of the worst photos of each side.
        disagreements: how many where the best and the worst side differ most.

    Returns:
        The rows, and the names of photos that cannot be read.
    """
    scores = {
        side.title: {image["id"]: score for score, image in ranked_photos(truth, side.rows, side.score_threshold)}
        for side in sides
    }
    shown = {
        side.title: results_by_photo(truth.images, [row for row in side.rows if row["score"] >= side.score_threshold])
        for side in sides
    }
    chosen = _choose(truth, scores, ends, disagreements)
    rows, unread = [], []
    for image in truth.images:
        if image["id"] not in chosen:
            continue
        name = str(image.get("file_name", image["id"]))
        try:
            photo = read_sized_photo(truth.photo_path(image, images), (image["height"], image["width"]))
        except PhotoError:
            unread.append(name)
            continue
        objects = to_instances(truth.by_photo[image["id"]], image)
        drawings = []
        for side in sides:
            found = to_instances(shown[side.title][image["id"]], image)
            drawn = drawn_photo(photo, found, truth.names, scores=True)
            drawings.append((side.title, drawn, scores[side.title][image["id"]]))
        drawn = drawn_photo(photo, objects, truth.names, scores=False)
        rows.append((list(chosen).index(image["id"]), PhotoRow(name, chosen[image["id"]], drawn, tuple(drawings))))
    return [row for _, row in sorted(rows, key=lambda pair: pair[0])], unread


def _choose(
    truth: GroundTruth, scores: Mapping[str, Mapping[int, float]], ends: int, disagreements: int
) -> dict[int, tuple[str, ...]]:
    """The reasons for each chosen photo by its id: disagreements first, then the best and the worst of each side."""
    reasons: dict[int, list[str]] = {}
    spreads = {
        photo: max(of[photo] for of in scores.values()) - min(of[photo] for of in scores.values())
        for photo in truth.photos
    }
    order = sorted(truth.photos, key=lambda photo: -spreads[photo])
    for photo in order[:disagreements]:
        if spreads[photo] > 0:
            reasons.setdefault(photo, []).append("they disagree most")
    for word, sign, never in (("best", -1, 0.0), ("worst", 1, 1.0)):
        for title, of in scores.items():
            for photo in sorted(_with_objects(truth), key=lambda photo: sign * of[photo])[:ends]:
                if of[photo] != never:  # where nothing is found anywhere, no photo is the best
                    reasons.setdefault(photo, []).append(f"{word} of {title}")
    return {photo: tuple(why) for photo, why in reasons.items()}


def _with_objects(truth: GroundTruth) -> list[int]:
    """Ids of the photos with objects; all of them if there is none, because an empty photo shows little."""

    def has_object(image: CocoImage) -> bool:
        return any(not row["iscrowd"] for row in truth.by_photo[image["id"]])

    return [image["id"] for image in truth.images if has_object(image)] or list(truth.photos)
