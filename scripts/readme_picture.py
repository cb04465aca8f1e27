"""Draws the picture of the README: what a run detects on some of its validation photos.

    python scripts/readme_picture.py RUN DATA OUT

Ranks the validation photos by how well detections and ground truth agree, and shows photos from the better half, evenly
spread over it.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from clothseg.dataset import CocoLikeDataset
from clothseg.instances import CocoResult, Instances, RleMasks, from_segmentation, from_xywh, mask_iou
from clothseg.pictures import contact_sheet, draw_instances
from clothseg.runs import RunFolder

PHOTOS, WIDTH, SCORE_THRESHOLD = 6, 1500, 0.5


def read_detections(run: Path, val: CocoLikeDataset) -> list[Instances]:
    """Reads the detections of a run on each validation photo, from `SCORE_THRESHOLD` on, highest score first."""
    rows: defaultdict[int | str, list[CocoResult]] = defaultdict(list)
    for row in json.loads(RunFolder(run).predictions.read_text(encoding="utf-8")):
        if row["score"] >= SCORE_THRESHOLD:
            rows[row["image_id"]].append(row)
    class_ids = {val.source_class_id(number): number for number in range(1, len(val.classes) + 1)}
    return [
        to_instances(sorted(rows[entry.id], key=lambda row: -row["score"]), (entry.height, entry.width), class_ids)
        for entry in val.images
    ]


def to_instances(rows: list[CocoResult], size: tuple[int, int], class_ids: dict[int, int]) -> Instances:
    """Converts the results on one photo of `size`; `class_ids` maps ids of the file to classes 1..K."""
    return Instances(
        size=size,
        boxes=from_xywh(torch.tensor([row["bbox"] for row in rows], dtype=torch.float32).reshape(-1, 4)),
        classes=torch.tensor([class_ids[row["category_id"]] for row in rows], dtype=torch.int64),
        masks=RleMasks([from_segmentation(row["segmentation"], *size) for row in rows], size),
        scores=torch.tensor([row["score"] for row in rows]),
    )


def agreement(found: Instances, truth: Instances) -> float:
    """How well detections and ground truth of one photo agree, in 0..1.

    Each detection, in its order, takes the free object of its class that it overlaps most. The sum of the IoUs is
    divided by the number of pairs, missed objects and detections without an object. Crowds do not count.
    """
    iou = mask_iou(found.masks.rle(), truth.masks.rle(), truth.crowd.tolist())
    crowd = truth.crowd.numpy()
    free = ~crowd
    matched: list[float] = []
    unmatched = 0
    for number, label in enumerate(found.classes.tolist()):
        candidates = np.where((truth.classes.numpy() == label) & free, iou[number], 0.0)
        if candidates.size and candidates.max() > 0:
            matched.append(float(candidates.max()))
            free[candidates.argmax()] = False
        elif not (iou[number][crowd] >= 0.5).any():
            unmatched += 1
    counted = len(matched) + unmatched + int(free.sum())
    return sum(matched) / counted if counted else 1.0


def main() -> None:
    """Chooses the photos, draws them and writes the picture as WebP."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of an evaluated run")
    parser.add_argument("data", type=Path, help="folder of its dataset")
    parser.add_argument("out", type=Path, help="WebP file to write")
    options = parser.parse_args()
    val = CocoLikeDataset().load_data(options.data, "val").prepare()
    found = read_detections(options.run, val)
    scores = [agreement(found[i], val.load_instances(i)) for i in range(len(val))]
    ranked = [i for i in sorted(range(len(val)), key=lambda i: -scores[i]) if len(found[i])]
    better = ranked[: len(ranked) // 2]
    if not better:
        parser.error(f"{options.run}: fewer than 2 photos with detections from a score of {SCORE_THRESHOLD} on")
    names = dict(enumerate(val.classes, start=1))
    positions = np.linspace(0, len(better) - 1, min(PHOTOS, len(better))).round().astype(int)
    drawn = [draw_instances(val.load_image(better[p]), found[better[p]], names) for p in positions]
    sheet = contact_sheet([np.asarray(picture) for picture in drawn], columns=PHOTOS, width=WIDTH)
    Image.fromarray(sheet).save(options.out, format="WEBP", quality=80)


if __name__ == "__main__":
    main()
