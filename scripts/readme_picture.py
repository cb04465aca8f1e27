"""Draws the README's picture: the detections of a run on some of its validation photos.

    python scripts/readme_picture.py RUN DATA OUT

The photos are spread evenly over the better half, ranked by the agreement of detections and ground truth.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from clothseg.evaluation.stored import stored_results
from clothseg.evaluation.truth import read_truth
from clothseg.photos import read_photo
from clothseg.pictures import contact_sheet, draw_instances
from clothseg.report.choice import ranked_photos, spread
from clothseg.report.reading import results_by_photo, to_instances

PHOTOS, WIDTH, THRESHOLD = 6, 1500, 0.5


def main() -> None:
    """Chooses the photos, draws them, and writes the sheet as WebP."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("run", "data", "out"):
        parser.add_argument(name, type=Path)
    given = parser.parse_args()
    annotations = given.data / "annotations" / "val.json"
    truth = read_truth(annotations)
    rows = stored_results(given.run, annotations)
    found = results_by_photo(truth.images, [row for row in rows if row["score"] >= THRESHOLD])
    ranked = [image for _, image in ranked_photos(truth, rows, THRESHOLD) if found[image["id"]]]
    better = ranked[: len(ranked) // 2]
    drawn = []
    for position in spread(len(better), PHOTOS):
        image = better[position]
        photo = read_photo(given.data / "images" / image["file_name"])
        drawn.append(draw_instances(photo, to_instances(found[image["id"]], image), truth.names))
    sheet = contact_sheet([np.asarray(picture) for picture in drawn], columns=PHOTOS, width=WIDTH)
    Image.fromarray(sheet).save(given.out, format="WEBP", quality=80)


if __name__ == "__main__":
    main()
