"""Photos with the labels that a teacher made, as pictures for a page."""

from collections.abc import Callable, Sequence
from pathlib import Path

from clothseg.errors import PhotoError
from clothseg.evaluation.truth import GroundTruth
from clothseg.instances import CocoImage, Instances, resize_instances
from clothseg.pictures import draw_instances
from clothseg.pictures.embed import shrink
from clothseg.report.figures import EmbeddedPhoto, photo_uri, read_sized_photo
from clothseg.report.reading import to_instances

EXAMPLES = 12
"""Photos on a page."""
_AREA = 130_000  # pixels of a picture


def draw_examples(
    truth: GroundTruth, images: Sequence[CocoImage], describe: Callable[[Instances], str], *, scores: bool
) -> tuple[list[EmbeddedPhoto], list[str]]:
    """Draws the objects on some photos, without ignored regions.

    Args:
        truth: the labels.
        images: the photos, whose `file_name` is a path.
        describe: the text of a photo, from all its labels.
        scores: whether labels show scores.

    Returns:
        the pictures, and the names of photos that cannot be read.
    """
    examples, unread = [], []
    for image in images:
        instances = to_instances(truth.by_photo[image["id"]], image)
        try:
            small = shrink(read_sized_photo(Path(image.get("file_name", "")), instances.size), _AREA)
        except PhotoError:
            unread.append(str(image.get("file_name", image["id"])))
            continue
        scaled = resize_instances(instances[~instances.crowd], (small.shape[0], small.shape[1]))
        drawn = draw_instances(small, scaled, truth.names, scores=scores)
        examples.append(EmbeddedPhoto(photo_uri(drawn), small.shape[1], small.shape[0], describe(instances)))
    return examples, unread
