"""A tiny folder of Open Images files that a test can change."""

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

MASK_HEADER = "MaskPath,ImageID,LabelName,BoxID,BoxXMin,BoxXMax,BoxYMin,BoxYMax,PredictedIoU,Clicks"
BOX_HEADER = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"
)
LIST_HEADER = (
    "ImageID,Subset,OriginalURL,OriginalLandingURL,License,AuthorProfileURL,Author,Title,OriginalSize,OriginalMD5,"
    "Thumbnail300KURL,Rotation"
)
PHOTO_LABEL_HEADER = "ImageID,Source,LabelName,Confidence"
CLASSES = (
    "/m/01xyhv,Suit\r\n/m/01s55n,Suitcase\r\n/m/01d40f,Dress\r\n/m/0fly7,Jeans\r\n/m/01gkx_,Swimwear\r\n"
    "/m/07mhn,Trousers\r\n/m/081qc,Wine\r\n/m/09tvcd,Wine glass\r\n/m/01,Horn\r\n/m/02,Horn"
)


@dataclass
class Tiny:
    """Open Images files in memory; `write` writes them in the published layout."""

    root: Path
    photos: dict[str, dict[str, bytes]] = field(default_factory=lambda: {"train": {}, "validation": {}, "test": {}})
    masks: dict[str, dict[str, bytes]] = field(default_factory=lambda: {"train": {}, "validation": {}, "test": {}})
    rows: dict[str, list[str]] = field(default_factory=lambda: {"train": [], "validation": [], "test": []})
    boxes: dict[str, list[str]] = field(default_factory=lambda: {"train": [], "validation": [], "test": []})
    lists: dict[str, list[str]] = field(default_factory=lambda: {"train": [], "validation": [], "test": []})
    photo_labels: dict[str, list[str]] = field(default_factory=dict)
    member_folder: str = ""

    def photo(self, split: str, image_id: str, size: tuple[int, int] = (30, 20)) -> None:
        """A JPEG of `size` (height, width) and its line in the image list, with a difficult title."""
        stream = io.BytesIO()
        Image.new("RGB", (size[1], size[0]), "grey").save(stream, "JPEG")
        self.photos[split][image_id] = stream.getvalue()
        self.lists[split].append(
            f"{image_id},{split},http://x/o.jpg,http://x/{image_id},https://creativecommons.org/licenses/by/2.0/,"
            f'http://x/a,"Ann, ""A"" B","two\nlines, one title",1,abc==,,0.0'
        )

    def mask(self, split: str, image_id: str, mid: str, box_id: str, pixels: NDArray[np.generic] | None = None) -> None:
        """A mask row with its box, and its PNG: of 1 bit for a bool array, of 8 bits for uint8."""
        name = f"{image_id}_{mid.strip('/').replace('/', '')}_{box_id}.png"
        if pixels is None:
            pixels = np.zeros((30, 20), dtype=bool)
            pixels[5:15, 4:9] = True
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "PNG")
        self.masks[split][name] = stream.getvalue()
        left = 0.1 + int(box_id[-1], 16) / 100
        self.rows[split].append(f"{name},{image_id},{mid},{box_id},{left},0.5,0.25,0.75,0.00000,")
        self.box(split, image_id, mid, left)

    def box(self, split: str, image_id: str, mid: str, left: float, group: int = 0) -> None:
        """A row of the box list; its left edge has other digits than in the mask list."""
        self.boxes[split].append(f"{image_id},xclick,{mid},1,{left:.6f},0.500000,0.250000,0.750000,0,0,{group},0,0")

    def photo_label(self, split: str, image_id: str, mid: str, confidence: str) -> None:
        """A row of the list of classes that people looked for on whole photos: 1 they saw it, 0 they did not."""
        self.photo_labels.setdefault(split, []).append(f"{image_id},verification,{mid},{confidence}")

    def write(self) -> Path:
        """Writes all files; those of `test` only if it has photos, lists of photo labels only if they have rows."""
        self.root.mkdir(exist_ok=True)
        (self.root / "class-descriptions-boxable.csv").write_bytes(CLASSES.encode())
        for split in ("train", "validation", *(["test"] if self.photos["test"] else [])):
            (self.root / split).mkdir()
            for image_id, data in self.photos[split].items():
                (self.root / split / f"{image_id}.jpg").write_bytes(data)
            list_name = "train-images-boxable" if split == "train" else f"{split}-images"
            for name, header, rows in (
                (f"{split}-annotations-object-segmentation", MASK_HEADER, self.rows),
                (f"{split}-annotations-bbox", BOX_HEADER, self.boxes),
                (f"{list_name}-with-rotation", LIST_HEADER, self.lists),
            ):
                (self.root / f"{name}.csv").write_text("\n".join([header, *rows[split], ""]), encoding="utf-8")
            if split in self.photo_labels:
                lines = [PHOTO_LABEL_HEADER, *self.photo_labels[split], ""]
                (self.root / f"{split}-annotations-human-imagelabels-boxable.csv").write_text("\n".join(lines))
            (self.root / f"{split}-masks").mkdir()
            for name, data in self.masks[split].items():
                archive = self.root / f"{split}-masks" / f"{split}-masks-{name[0]}.zip"
                with zipfile.ZipFile(archive, "a") as opened:
                    opened.writestr(self.member_folder + name, data)
        return self.root


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    """A source without files."""
    return Tiny(tmp_path / "source")


A, B, C = "1" * 16, "12345678e9012345", "f00000000000000f"
SUIT, DRESS, SUITCASE = "/m/01xyhv", "/m/01d40f", "/m/01s55n"


@pytest.fixture
def good(tiny: Tiny) -> Tiny:
    """Train: A (Suit, Suit, Suitcase) and B (Dress); validation: C (Suit). The ids look like numbers."""
    for split, image_id in (("train", B), ("train", A), ("validation", C)):
        tiny.photo(split, image_id)
    tiny.mask("train", B, DRESS, "1234e567")
    tiny.mask("train", A, SUIT, "00000123")
    tiny.mask("train", A, SUIT, "00000045")
    tiny.mask("train", A, SUITCASE, "00000006")
    tiny.mask("validation", C, SUIT, "11111111")
    return tiny


@pytest.fixture(scope="session")
def write_table() -> Callable[..., Path]:
    """Writes the lines of a table, each with the line end `end`."""

    def write(path: Path, *lines: str, end: str = "\n") -> Path:
        path.write_bytes(end.join([*lines, ""]).encode())
        return path

    return write
