"""Labels photos of which only the classes are known: a network says where, the list says what. See make_garments.py."""

import csv
import json
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torchvision.ops import box_iou

from clothseg.instances import CocoResult, Instances, mask_area, tight_box
from clothseg.models import Model

CLASS_OF_WORD = {
    "suit": "Suit", "dress": "Dress", "jeans": "Jeans", "pants": "Trousers", "skirt": "Skirt", "blouse": "Shirt",
    "shirt": "Shirt", "t-shirt": "Shirt", "shorts": "Shorts", "hat": "Hat", "scarf": "Scarf", "boots": "Boot",
    "bag": "Bag", "purse": "Bag",
}  # fmt: skip
"""The class for each word of Clothing Co-Parsing, as in ccp-openimages/provenance-boxes.csv."""
SCORE_THRESHOLD = 0.05
"""Score of the best detection of a listed class; without one, the photo is left out."""
SECOND_SCORE_THRESHOLD = 0.3
"""Score of a second one, if the list has two things of the class."""
MASK_SCORE_THRESHOLD = 0.4
"""Score from which a mask is a label; below, only the box is."""
SAME_OBJECT_IOU = 0.7
"""Box IoU from which two detections are one object with two classes."""
DETECT_ALL = ("inference.score_threshold=0.01", "inference.max_detections=100")


def add_listed_photos(work: Path, photos: Path) -> None:
    """Writes `WORK/listed`: the dataset `WORK/data` with the listed photos of `photos` among its training photos."""
    model = Model.load(work / "first", overrides=DETECT_ALL)
    data = work / "listed"
    shutil.copytree(work / "data", data)
    file = data / "annotations" / "train.json"
    content = json.loads(file.read_text())
    numbers = {category["name"]: category["id"] for category in content["categories"]}
    next_image = 1 + max(image["id"] for image in content["images"])
    next_id = 1 + max(annotation["id"] for annotation in content["annotations"])
    with (photos / "image-labels.csv").open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    used = 0
    for row in rows:
        words = row["labels"].split("|")
        listed = Counter(numbers[CLASS_OF_WORD[word]] for word in words if word in CLASS_OF_WORD)
        photo = photos / "photos" / row["photo"]
        found = model.predict(photo)
        labels = labels_of_photo(found, listed)
        if labels is None:
            continue
        name = f"listed-{row['photo']}"
        shutil.copyfile(photo, data / "images" / name)
        height, width = found.size
        image = {"id": next_image + used, "file_name": name, "width": width, "height": height}
        content["images"].append(image)
        content["annotations"] += [
            label | {"id": next_id + number, "image_id": image["id"]} for number, label in enumerate(labels)
        ]
        next_id += len(labels)
        used += 1
    file.write_text(json.dumps(content))
    print(f"{used} of {len(rows)} photos")


def labels_of_photo(found: Instances, listed: Mapping[int, int]) -> list[dict[str, Any]] | None:
    """COCO annotations of a photo, or None if a listed class was not found.

    Args:
        found: detections, the highest score first; one object may have several classes.
        listed: how many things of each class the list has, by class number.
    """
    overlap = box_iou(found.boxes, found.boxes)
    rows = found.to_coco()
    labels: list[dict[str, Any]] = []
    for number, count in listed.items():
        of_class = [n for n in range(len(found)) if int(found.classes[n]) == number][:count]
        sure = [
            n
            for k, n in enumerate(of_class)
            if float(found.scores[n]) >= (SECOND_SCORE_THRESHOLD if k else SCORE_THRESHOLD)
        ]
        if not sure:
            return None
        for n in sure:
            best = next(k for k in range(len(found)) if overlap[n, k] >= SAME_OBJECT_IOU)  # of any class
            labels.append({"category_id": number, "iscrowd": 0} | mask_and_box(rows[best]))
    return labels


def mask_and_box(result: CocoResult) -> dict[str, Any]:
    """Mask, box and area of a COCO annotation from a detection; no mask if its score is low."""
    mask = result["segmentation"]
    if result["score"] >= MASK_SCORE_THRESHOLD and (pixels := mask_area(mask)):
        return {"segmentation": mask, "bbox": tight_box(mask), "area": pixels}
    box = result["bbox"]
    return {"segmentation": [], "bbox": box, "area": box[2] * box[3]}
