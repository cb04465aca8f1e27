"""Trains the weights `garments` that come with the package, and measures them.

    python scripts/make_garments.py data SOURCE WORK
    clothseg fit WORK/data --config scripts/garments.yaml --out WORK/first
    clothseg evaluate WORK/first WORK/data --calibrate
    python scripts/make_garments.py listed WORK PHOTOS
    again="--config scripts/garments-again.yaml --weights WORK/first"
    clothseg fit WORK/data $again --set train.seed=1 --out WORK/again-1
    clothseg fit WORK/listed $again --set train.seed=2 --out WORK/again-2
    python scripts/make_garments.py average WORK
    python scripts/make_garments.py file WORK src/clothseg/weights/garments

SOURCE is a folder of Open Images files with the splits train, validation and test; the published file was made of
ccp-openimages (Clothing Co-Parsing, Apache-2.0). `data` takes every class with at least 25 masks in train, and joins
handbags and other bags, which even people mix up. Boxes without a mask teach class and box.

PHOTOS is a folder with `photos/` and `image-labels.csv`, which lists the classes on each photo, but not where they are.
`listed` adds these photos to the training photos: the first network says where, the list says what.

`average` takes the mean of the weights of both trainings (Wortsman et al., "Model soups", ICML 2022). `file` calibrates
the scores on the validation photos, writes the weights in 16 bits, and prints the table of docs/garments.md.
"""

import argparse
import json
from pathlib import Path

from clothseg.dataset import CocoLikeDataset
from clothseg.evaluation import Metrics
from clothseg.models import Model
from clothseg.openimages import BuildOptions, build_dataset
from clothseg.report import evaluate_run
from clothseg.runs import RunFolder
from clothseg.weights.average import average_weights
from listed_photos import add_listed_photos

JOINED = {"Handbag": "Bag", "Luggage and bags": "Bag"}
CLASSES = ("Suit", "Dress", "Jeans", "Trousers", "Skirt", "Shirt", "Shorts", "Hat", "Scarf", "Boot", *JOINED)
OPTIONS = BuildOptions(boxes_without_mask="learn", include_test=True, overwrite=True)


def make_data(source: Path, work: Path) -> None:
    """Writes `WORK/data` with the splits train, val and test."""
    build_dataset(source, work / "data", CLASSES, OPTIONS)
    for name in ("train", "val", "test"):
        join_classes(work / "data" / "annotations" / f"{name}.json")


def join_classes(file: Path) -> None:
    """Gives the classes of `JOINED` one name and one id, and all of them ids 1..N."""
    content = json.loads(file.read_text())
    names = [*dict.fromkeys(JOINED.get(name, name) for name in CLASSES)]
    old = {c["id"]: JOINED.get(c["name"], c["name"]) for c in content["categories"]}
    for annotation in content["annotations"]:
        annotation["category_id"] = names.index(old[annotation["category_id"]]) + 1
    content["categories"] = [{"id": number, "name": name} for number, name in enumerate(names, start=1)]
    file.write_text(json.dumps(content))


def average(work: Path) -> None:
    """Writes `WORK/run`: the mean of the weights of `WORK/again-1` and `WORK/again-2`."""
    (work / "run").mkdir(exist_ok=True)
    average_weights([work / "again-1", work / "again-2"], RunFolder(work / "run").weights)


def make_file(work: Path, out: Path) -> None:
    """Writes `weights.safetensors` of `WORK/run` in 16 bits, with calibrated scores, and `metrics.json` beside it.

    Prints what the written weights reach.
    """
    evaluate_run(work / "run", work / "data", calibrate=True)
    out.mkdir(parents=True, exist_ok=True)
    folder = RunFolder(out)
    Model.load(work / "run").save(folder.weights, half=True)
    model = Model.load(folder.weights)
    for split in ("val", "test"):
        photos = CocoLikeDataset().load_data(work / "data", split).prepare()
        metrics = model.evaluate(photos)
        print_metrics(split, len(photos), metrics)
        if split == "val":
            folder.metrics.write_text(metrics.to_json(), encoding="utf-8")


def print_metrics(split: str, photos: int, metrics: Metrics) -> None:
    """A table of each class, in percent."""
    print(f"{split}, {photos} photos\n\n{metrics.table()}\n")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(required=True)
    data = steps.add_parser("data")
    data.add_argument("source", type=Path)
    data.add_argument("work", type=Path)
    data.set_defaults(run=lambda a: make_data(a.source, a.work))
    listed = steps.add_parser("listed")
    listed.add_argument("work", type=Path)
    listed.add_argument("photos", type=Path)
    listed.set_defaults(run=lambda a: add_listed_photos(a.work, a.photos))
    mean = steps.add_parser("average")
    mean.add_argument("work", type=Path)
    mean.set_defaults(run=lambda a: average(a.work))
    file = steps.add_parser("file")
    file.add_argument("work", type=Path)
    file.add_argument("out", type=Path)
    file.set_defaults(run=lambda a: make_file(a.work, a.out))
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
