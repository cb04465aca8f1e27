"""What `scripts/make_garments.py listed` takes as labels, on photos by hand."""

import torch

from clothseg.instances import Instances, PixelMasks
from listed_photos import labels_of_photo

DRESS, JEANS, TROUSERS = 1, 2, 3


def found(*objects: tuple[int, float, int]) -> Instances:
    """Detections (class, score, left side), the highest score first, each a box of 20 x 20 half filled by its mask."""
    boxes = torch.tensor([[x, 10.0, x + 20.0, 30.0] for _, _, x in objects])
    pixels = torch.zeros(len(objects), 40, 100, dtype=torch.bool)
    for mask, (_, _, x) in zip(pixels, objects, strict=True):
        mask[10:20, x : x + 20] = True
    scores = torch.tensor([score for _, score, _ in objects])
    return Instances((40, 100), boxes, torch.tensor([c for c, _, _ in objects]), PixelMasks(pixels), scores)


def test_the_list_decides_which_class_an_object_has() -> None:
    labels = labels_of_photo(found((TROUSERS, 0.9, 10), (DRESS, 0.8, 50), (JEANS, 0.2, 11)), {JEANS: 1})
    assert labels is not None
    (jeans,) = labels
    assert jeans["category_id"] == JEANS
    assert jeans["bbox"] == (10.0, 10.0, 20.0, 10.0)  # the mask of the trousers, its best detection
    assert jeans["area"] == 200


def test_an_unsure_mask_is_no_label_and_its_box_is() -> None:
    labels = labels_of_photo(found((DRESS, 0.3, 50)), {DRESS: 1})
    assert labels is not None
    assert labels[0]["segmentation"] == []
    assert list(labels[0]["bbox"]) == [50.0, 10.0, 20.0, 20.0]


def test_of_two_listed_things_the_second_must_be_surer() -> None:
    sure, unsure = (found((DRESS, 0.9, 10), (DRESS, score, 50)) for score in (0.35, 0.25))
    assert len(labels_of_photo(sure, {DRESS: 2}) or ()) == 2
    assert len(labels_of_photo(unsure, {DRESS: 2}) or ()) == 1
    assert len(labels_of_photo(sure, {DRESS: 1}) or ()) == 1


def test_a_photo_with_a_listed_class_that_was_not_found_is_left_out() -> None:
    assert labels_of_photo(found((DRESS, 0.9, 10), (JEANS, 0.04, 50)), {DRESS: 1, JEANS: 1}) is None
    assert labels_of_photo(found((DRESS, 0.9, 10)), {}) == []
