"""Writes exports as CVAT's server lays them out, from own drawings. Nothing here uses clothseg.

The layouts follow the exporters of CVAT and of the datumaro that it ships: names of files and folders, keys, how
numbers are rounded, and the folder of the photos. A project has a subset for each task, such as `Train`; a single task
has `default`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from label_files import CLASSES, Mask, cvat_file, cvat_mask, drawn, write_photo
from PIL import Image
from pycocotools import mask as pycoco

SIZE = (36, 48)
Points = list[float]
Objects = Mapping[str, Sequence[tuple[str, Points]]]
"""The polygons of each photo, `[x1, y1, ...]` in pixels, by the photo's stem: names of several scripts, in folders."""
OBJECTS: Objects = {
    "shop/coat": [("Dress", [4.5, 3.25, 30, 6.5, 26.75, 30, 8, 25.5]), ("Jeans", [35, 2, 46, 2, 46, 12, 35, 12])],
    "Mäntel 外套": [("Jeans", [10, 2, 40.5, 12, 20, 33])],
}
COLOURS = [(250, 50, 83), (52, 209, 183)]
"""CVAT's first colours of labels."""


def masks(subsets: Sequence[str] = ("default",)) -> dict[str, list[tuple[str, bytes]]]:
    """Class and pixels of the objects by the photo's stem, sorted, as `label_files.objects_of` gives them."""
    found: dict[str, list[tuple[str, bytes]]] = {}
    for stem, rows in OBJECTS.items():
        pixels = sorted((name, drawn([points], SIZE).tobytes()) for name, points in rows)
        found |= {_name(stem, subset, subsets).split("/")[-1]: pixels for subset in subsets}
    return found


def _name(stem: str, subset: str, subsets: Sequence[str]) -> str:
    return stem if len(subsets) == 1 else f"{stem} {subset}"


def _photos(folder: Callable[[str], Path], subsets: Sequence[str]) -> list[tuple[str, str, list[tuple[str, Points]]]]:
    """Writes the photos; subset, stem and objects of each."""
    rows = [(subset, _name(stem, subset, subsets), list(own)) for subset in subsets for stem, own in OBJECTS.items()]
    for seed, (subset, stem, _) in enumerate(rows):
        write_photo(folder(subset) / f"{stem}.jpg", SIZE, seed=seed)
    return rows


def write_coco(root: Path, subsets: Sequence[str] = ("default",)) -> None:
    """COCO 1.0."""
    rows = _photos(lambda subset: root / "images" / subset, subsets)
    (root / "annotations").mkdir()
    for subset in subsets:
        images: list[dict[str, object]] = []
        annotations: list[dict[str, object]] = []
        for number, (_, stem, own) in enumerate((row for row in rows if row[0] == subset), start=1):
            blank = {"license": 0, "flickr_url": "", "coco_url": "", "date_captured": 0}
            sides = {"width": SIZE[1], "height": SIZE[0]}
            images.append({"id": number, **sides, "file_name": f"{stem}.jpg", **blank})
            for name, points in own:
                mask = drawn([points], SIZE)
                left, top = min(points[::2]), min(points[1::2])
                box = [left, top, max(points[::2]) - left, max(points[1::2]) - top]
                annotations.append(
                    {
                        **{"id": len(annotations) + 1, "image_id": number, "category_id": CLASSES.index(name) + 1},
                        **{"segmentation": [points], "area": float(mask.sum()), "bbox": box, "iscrowd": 0},
                        "attributes": {"occluded": False},
                    }
                )
        tree = {
            "licenses": [{"name": "", "id": 0, "url": ""}],
            "info": dict.fromkeys(("contributor", "date_created", "description", "url", "version", "year"), ""),
            "categories": [{"id": n, "name": name, "supercategory": ""} for n, name in enumerate(CLASSES, 1)],
            "images": images,
            "annotations": annotations,
        }
        (root / "annotations" / f"instances_{subset}.json").write_text(json.dumps(tree))


def write_images(root: Path, subsets: Sequence[str] = ("default",)) -> None:
    """CVAT for images 1.1: masks of the brush and polygons in turn."""
    project = len(subsets) > 1
    rows = _photos(lambda subset: root / "images" / subset if project else root / "images", subsets)
    images = []
    for number, (subset, stem, own) in enumerate(rows):
        shapes = ""
        for place, (name, points) in enumerate(own):
            if place % 2:
                shapes += cvat_mask(name, drawn([points], SIZE), 'source="manual" occluded="0" z_order="0"') + "\n"
            else:
                pairs = ";".join(f"{x:.2f},{y:.2f}" for x, y in zip(points[::2], points[1::2], strict=True))
                shapes += f'<polygon label="{name}" occluded="0" points="{pairs}" z_order="0">\n</polygon>'
        more = f' subset="{subset}" task_id="1"' if project else ""
        sides = f'width="{SIZE[1]}" height="{SIZE[0]}"'
        images.append(f'<image id="{number}" name="{stem}.jpg"{more} {sides}>{shapes}</image>\n')
    (root / "annotations.xml").write_text(cvat_file(images), encoding="utf-8")


def write_yolo(root: Path, subsets: Sequence[str] = ("default",), prefix: str = "data/") -> None:
    """Ultralytics YOLO Segmentation 1.0 (YOLOv8 Segmentation 1.0): `default` is called train."""
    called = {subset: "train" if subset == "default" else subset for subset in subsets}
    rows = _photos(lambda subset: root / "images" / called[subset], subsets)
    for subset, folder in called.items():
        listed = [f"{prefix}images/{folder}/{stem}.jpg\n" for of, stem, _ in rows if of == subset]
        (root / f"{folder}.txt").write_text("".join(listed), encoding="utf-8")
    names = "".join(f"  {number}: {name}\n" for number, name in enumerate(CLASSES))
    lists = "".join(f"{folder}: {folder}.txt\n" for folder in called.values())
    (root / "data.yaml").write_text(f"{lists}names:\n{names}path: .\n")
    for subset, stem, own in rows:
        path = root / "labels" / called[subset] / f"{stem}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [
            f"{CLASSES.index(name)} " + " ".join(f"{p / SIZE[1 - n % 2]:.6f}" for n, p in enumerate(points)) + "\n"
            for name, points in own
        ]
        path.write_text("".join(lines))


def write_segmentation_mask(root: Path, subsets: Sequence[str] = ("default",)) -> None:
    """Segmentation mask 1.1: coloured label maps, and `labelmap.txt`."""
    rows = _photos(lambda _: root / "JPEGImages", subsets)
    lines = ["# label:color_rgb:parts:actions", "background:0,0,0::"]
    lines += [f"{name}:{','.join(map(str, colour))}::" for name, colour in zip(CLASSES, COLOURS, strict=True)]
    (root / "labelmap.txt").write_text("\n".join(lines) + "\n")
    for subset in subsets:
        listed = [stem for of, stem, _ in rows if of == subset]
        path = root / "ImageSets" / "Segmentation" / f"{subset}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{stem}\n" for stem in listed), encoding="utf-8")
    for _, stem, own in rows:
        classes, objects = (np.zeros((*SIZE, 3), dtype=np.uint8) for _ in range(2))
        for number, (name, points) in enumerate(own, start=1):
            mask = drawn([points], SIZE)
            classes[mask] = COLOURS[CLASSES.index(name)]
            objects[mask] = (128 * (number & 1), 128 * (number >> 1 & 1), 128 * (number >> 2 & 1))
        for folder, picture in (("SegmentationClass", classes), ("SegmentationObject", objects)):
            path = root / folder / f"{stem}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(path)


def write_labelme_3(root: Path, subsets: Sequence[str] = ("default",)) -> None:
    """LabelMe 3.0: an XML file for each photo, and pictures of the brush's masks in `Masks`."""
    rows = _photos(lambda subset: root / subset, subsets)
    for number, (subset, stem, own) in enumerate(rows):
        folder, _, name = f"{stem}.jpg".rpartition("/")
        shapes = "".join(_labelme_object(root / subset, stem, n, *row) for n, row in enumerate(own))
        (root / subset / f"item_{number:09d}.xml").write_text(
            f"<annotation><filename>{name}</filename><folder>{folder}</folder><source><sourceImage/>"
            f"<sourceAnnotation>Datumaro</sourceAnnotation></source><imagesize><nrows>{SIZE[0]}</nrows>"
            f"<ncols>{SIZE[1]}</ncols></imagesize>{shapes}</annotation>",
            encoding="utf-8",
        )


def _labelme_object(folder: Path, stem: str, number: int, name: str, points: Points) -> str:
    start = (
        f"<object><name>{name}</name><deleted>0</deleted><verified>0</verified><occluded>no</occluded><date/>"
        f"<id>{number}</id><parts><hasparts/><ispartof/></parts>"
    )
    if not number % 2:
        pairs = zip(points[::2], points[1::2], strict=True)
        corners = "".join(f"<pt><x>{x:.2f}</x><y>{y:.2f}</y></pt>" for x, y in pairs)
        return f"{start}<polygon>{corners}<username/></polygon><attributes/></object>"
    file = f"{stem.replace('/', '_')}_mask_{number}.png"
    (folder / "Masks").mkdir(exist_ok=True)
    Image.fromarray(_painted(drawn([points], SIZE))).save(folder / "Masks" / file)
    return f"{start}<segm><mask>{file}</mask><box/><username/></segm><attributes/></object>"


def _painted(mask: Mask) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.where(mask[..., None], np.array([0, 203, 255, 153], dtype=np.uint8), np.uint8(0))


def write_datumaro(root: Path, subsets: Sequence[str] = ("default",)) -> None:
    """Datumaro 1.0: polygons and masks in turn."""
    rows = _photos(lambda subset: root / "images" / subset, subsets)
    (root / "annotations").mkdir()
    for subset in subsets:
        items = [
            {
                **{"id": stem, "attr": {"frame": 0}, "image": {"path": f"{stem}.jpg", "size": list(SIZE)}},
                "annotations": [_datumaro_object(number, *row) for number, row in enumerate(own)],
            }
            for of, stem, own in rows
            if of == subset
        ]
        labels = [{"name": name, "parent": "", "attributes": []} for name in CLASSES]
        tree = {"info": {}, "categories": {"label": {"labels": labels, "attributes": ["occluded"]}}, "items": items}
        (root / "annotations" / f"{subset}.json").write_text(json.dumps(tree))


def _datumaro_object(number: int, name: str, points: Points) -> dict[str, object]:
    base = {"id": 0, "attributes": {"occluded": False}, "group": 0, "label_id": CLASSES.index(name), "z_order": 0}
    if not number % 2:
        return {**base, "type": "polygon", "points": points}
    rle = pycoco.encode(np.asfortranarray(drawn([points], SIZE)))
    return {**base, "type": "mask", "rle": {"counts": rle["counts"].decode(), "size": list(SIZE)}}
