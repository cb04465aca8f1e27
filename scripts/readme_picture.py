"""Draw the README's picture: what a run found on some of its validation photos.

    python scripts/readme_picture.py RUN DATA OUT

The photos are spread evenly over the better half, ranked by how well the network and the truth agree.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image

from clothseg.photos import read_photo
from clothseg.pictures import contact_sheet, draw_instances
from clothseg.report.choice import ranked_photos, spread
from clothseg.report.reading import Truth, by_photo, to_instances
from clothseg.runs import RunFolder

PHOTOS, WIDTH, THRESHOLD = 6, 1500, 0.5


def main() -> None:
    """Choose the photos, draw them, write the sheet as WebP."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("run", "data", "out"):
        parser.add_argument(name, type=Path)
    given = parser.parse_args()
    tree = json.loads((given.data / "annotations" / "val.json").read_text(encoding="utf-8"))
    truth = Truth(tree["images"], tree["annotations"], {c["id"]: c["name"] for c in tree["categories"]})
    rows = json.loads(RunFolder(given.run).predictions.read_text(encoding="utf-8"))
    sure = [row for row in rows if row["score"] >= THRESHOLD]
    found = by_photo(truth.images, sure)
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
