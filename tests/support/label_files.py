"""Writes label files as labelling tools do, and reads datasets back, for tests. Nothing here uses clothseg."""

import base64
import io
import json
import zlib
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as pycoco

Mask = NDArray[np.bool_]
Truth = Mapping[str, Sequence[tuple[str, Mask]]]
"""The objects of each photo, by its stem: class and mask `[H, W]`."""
CLASSES = ["Dress", "Jeans"]


def write_photo(path: Path, size: tuple[int, int], *, seed: int = 0, orientation: int = 1) -> None:
    """A photo of noise in coarse blocks, so that different seeds are no near-duplicates."""
    path.parent.mkdir(parents=True, exist_ok=True)
    blocks = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    exif = Image.Exif()
    if orientation != 1:
        exif[0x0112] = orientation
    Image.fromarray(blocks).resize(size[::-1], Image.Resampling.NEAREST).save(path, quality=95, exif=exif)


def png(values: NDArray[np.generic], palette: Sequence[int] = ()) -> bytes:
    """A PNG of an array `[H, W]`."""
    picture = Image.fromarray(values)
    if palette:
        picture.putpalette(list(palette))
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def crop(mask: Mask) -> tuple[int, int, Mask]:
    """Left, top and content of the box around a mask; of an empty one, its first pixel."""
    y, x = np.nonzero(mask) if mask.any() else (np.array([0]), np.array([0]))
    return int(x.min()), int(y.min()), mask[y.min() : y.max() + 1, x.min() : x.max() + 1]


def write_labelme(root: Path, truth: Truth) -> None:
    """A JSON file beside each photo, with a shape `mask` for each object."""
    for seed, (stem, objects) in enumerate(truth.items()):
        size = objects[0][1].shape
        write_photo(root / f"{stem}.jpg", size, seed=seed)
        shapes = []
        for name, mask in objects:
            left, top, part = crop(mask)
            corner = [left + part.shape[1] - 1, top + part.shape[0] - 1]
            content = base64.b64encode(png(part.astype(np.uint8))).decode()
            shapes.append({"label": name, "points": [[left, top], corner], "shape_type": "mask", "mask": content})
        write_labelme_file(root / f"{stem}.json", size, shapes)


def write_labelme_file(path: Path, size: tuple[int, ...], shapes: Sequence[Mapping[str, Any]], **more: Any) -> None:
    """One JSON file of labelme."""
    tree: dict[str, Any] = {
        "version": "5.5.0", "flags": {}, "shapes": list(shapes), "imagePath": f"{path.stem}.jpg", "imageData": None,
        "imageHeight": size[0], "imageWidth": size[1],
    }  # fmt: skip
    path.write_text(json.dumps(tree | more))


def write_supervisely(root: Path, truth: Truth) -> None:
    """A project with one dataset, and a bitmap for each object."""
    (root / "ds" / "ann").mkdir(parents=True)
    (root / "meta.json").write_text(json.dumps({"classes": [{"title": name, "shape": "any"} for name in CLASSES]}))
    for seed, (stem, objects) in enumerate(truth.items()):
        size = objects[0][1].shape
        write_photo(root / "ds" / "img" / f"{stem}.jpg", size, seed=seed)
        rows = []
        for name, mask in objects:
            left, top, part = crop(mask)
            data = base64.b64encode(zlib.compress(png(part.astype(np.uint8) * 255))).decode()
            bitmap = {"data": data, "origin": [left, top]}
            rows.append({"classTitle": name, "geometryType": "bitmap", "bitmap": bitmap})
        tree = {"size": {"height": size[0], "width": size[1]}, "objects": rows, "tags": []}
        (root / "ds" / "ann" / f"{stem}.jpg.json").write_text(json.dumps(tree))


def cvat_mask(name: str, mask: Mask, more: str = "") -> str:
    """A `<mask>` of CVAT."""
    left, top, part = crop(mask)
    runs = [len(list(run)) for _, run in groupby(part.ravel().tolist())]
    runs = [0, *runs] if part.ravel()[0] else runs
    sides = f'left="{left}" top="{top}" width="{part.shape[1]}" height="{part.shape[0]}"'
    return f'<mask label="{name}" rle="{", ".join(map(str, runs))}" {sides} {more}/>'


def cvat_file(images: Sequence[str]) -> str:
    """An XML file with these `<image>` elements."""
    labels = "".join(f"<label><name>{name}</name></label>" for name in CLASSES)
    meta = f"<meta><task><labels>{labels}</labels></task></meta>"
    head = '<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>'
    return f"{head}{meta}\n{''.join(images)}</annotations>"


def write_cvat(root: Path, truth: Truth) -> None:
    """`annotations.xml` with a mask for each object."""
    images = []
    for seed, (stem, objects) in enumerate(truth.items()):
        height, width = objects[0][1].shape
        write_photo(root / "images" / f"{stem}.jpg", (height, width), seed=seed)
        shapes = "".join(cvat_mask(name, mask) for name, mask in objects)
        images.append(f'<image id="{seed}" name="{stem}.jpg" width="{width}" height="{height}">{shapes}</image>\n')
    (root / "annotations.xml").write_text(cvat_file(images))


def write_masks(root: Path, truth: Truth) -> None:
    """A PNG file for each object, called by photo, class and number."""
    (root / "masks").mkdir(parents=True)
    for seed, (stem, objects) in enumerate(truth.items()):
        write_photo(root / "images" / f"{stem}.jpg", objects[0][1].shape, seed=seed)
        for number, (name, mask) in enumerate(objects):
            (root / "masks" / f"{stem}_{name}_{number}.png").write_bytes(png(mask.astype(np.uint8) * 255))


def write_voc(root: Path, truth: Truth) -> None:
    """Two label maps for each photo, with a palette. Masks must not overlap."""
    palette = [(37 * n * (channel + 1)) % 251 for n in range(256) for channel in range(3)]
    for folder in ("SegmentationClass", "SegmentationObject"):
        (root / folder).mkdir(parents=True)
    (root / "class_names.txt").write_text("\n".join(["_background_", *CLASSES]))
    for seed, (stem, objects) in enumerate(truth.items()):
        write_photo(root / "JPEGImages" / f"{stem}.jpg", objects[0][1].shape, seed=seed)
        classes, numbers = np.zeros((2, *objects[0][1].shape), dtype=np.uint8)
        for number, (name, mask) in enumerate(objects, start=1):
            classes[mask], numbers[mask] = CLASSES.index(name) + 1, number
        (root / "SegmentationClass" / f"{stem}.png").write_bytes(png(classes, palette))
        (root / "SegmentationObject" / f"{stem}.png").write_bytes(png(numbers, palette))


def drawn(polygons: Sequence[Sequence[float]], size: tuple[int, int]) -> Mask:
    """Polygons `[x1, y1, ...]` as pycocotools draws them."""
    mask: Mask = pycoco.decode(pycoco.merge(pycoco.frPyObjects([list(p) for p in polygons], *size))).astype(bool)
    return mask


def objects_of(folder: Path) -> dict[str, list[tuple[str, bytes]]]:
    """By the stem of the photo, class and pixels of the objects with masks in all splits of a dataset, sorted."""
    found: dict[str, list[tuple[str, bytes]]] = {}
    for path in sorted((folder / "annotations").glob("*.json")):
        tree = json.loads(path.read_text(encoding="utf-8"))
        names = {row["id"]: row["name"] for row in tree["categories"]}
        stems = {row["id"]: Path(row["file_name"]).stem for row in tree["images"]}
        found |= {stem: [] for stem in stems.values()}
        for row in tree["annotations"]:
            if not row["segmentation"]:
                continue
            pixels = pycoco.decode(row["segmentation"]).astype(bool)
            assert row["area"] == pixels.sum()
            found[stems[row["image_id"]]].append((names[row["category_id"]], pixels.tobytes()))
    return {stem: sorted(rows) for stem, rows in found.items()}


def expected(truth: Truth) -> dict[str, list[tuple[str, bytes]]]:
    """The same for what was written."""
    return {
        stem: sorted((name, mask.tobytes()) for name, mask in objects if mask.any()) for stem, objects in truth.items()
    }
