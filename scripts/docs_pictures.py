"""Makes the pictures of the docs, except for that of the demo (`readme_picture.py`), with the network `garments`.

    python scripts/docs_pictures.py SOURCE docs/pictures

SOURCE is ccp-openimages: the photos are validation photos, from which the network has not learned. The two pictures of
pages need playwright (`pip install playwright`) and a Chromium on the PATH; without them, only the others are made.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from clothseg import Instances, MaskRCNN
from clothseg.garments.compose_files import replace_files
from clothseg.garments.cutout import CutoutSettings, cut_out
from clothseg.photos import RgbImage, read_photo

NETWORK = "garments"
STRIPES, TARGET = "2a4ba117", "4a6aee3b"
COMPARED = ("00de79f1", "6b86dc5d")
SEVERAL = "03e7b44a"
PORT = 8975


class Photos:
    """The validation photos, by the beginning of their names, with what the network finds on them."""

    def __init__(self, source: Path) -> None:
        self.folder = source / "validation"
        self.model = MaskRCNN.load(NETWORK)

    def path(self, name: str) -> Path:
        """The file of a photo."""
        return next(self.folder.glob(f"{name}*.jpg"))

    def find(self, photo: RgbImage) -> Instances:
        """What the network finds on a photo with a score of 0.5 or more."""
        found = self.model.predict(photo)
        return found[found.scores >= 0.5]

    def best(self, name: str) -> tuple[RgbImage, Instances]:
        """A photo and the largest garment on it, of those with a score of 0.5 or more."""
        photo = read_photo(self.path(name))
        sure = self.find(photo)
        sides = sure.boxes[:, 2:] - sure.boxes[:, :2]
        return photo, sure[[int(sides.prod(dim=1).argmax())]]


def on_checks(picture: np.ndarray) -> RgbImage:
    """A picture `[H, W, 4]` on a grey chessboard, whose fields have 16 pixels."""
    height, width = picture.shape[:2]
    y, x = np.ogrid[:height, :width]
    board = np.where((y // 16 + x // 16) % 2, 170, 205)[..., None]
    alpha = picture[..., 3:] / 255
    return np.rint(picture[..., :3] * alpha + board * (1 - alpha)).astype(np.uint8)


def on_white(picture: np.ndarray) -> RgbImage:
    """A picture `[H, W, 4]` on white."""
    alpha = picture[..., 3:] / 255
    return np.rint(picture[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)


def around(boxes: Sequence[Sequence[float]], size: tuple[int, int], margin: float) -> tuple[slice, slice]:
    """The rows and columns of boxes x1 y1 x2 y2 with a margin, a part of their height."""
    x1, y1, x2, y2 = (
        choose(sides) for choose, sides in zip((min, min, max, max), zip(*boxes, strict=True), strict=True)
    )
    more = margin * (y2 - y1)
    rows = slice(max(int(y1 - more), 0), min(int(y2 + more), size[0]))
    return rows, slice(max(int(x1 - more), 0), min(int(x2 + more), size[1]))


def edges(photos: Photos) -> RgbImage:
    """A photo, the network's mask, and the cut-out, side by side."""
    photo, one = photos.best(STRIPES)
    cut = cut_out(photo, one, 0)
    assert cut is not None
    mask = one.mask_arrays()[0].astype(np.uint8)[..., None] * 255
    part = around([cut.box, one.boxes[0].tolist()], one.size, 0.15)
    as_found = np.dstack([photo, mask])
    return np.hstack([photo[part], on_checks(as_found[part]), on_checks(cut.full_frame()[part])])


def before_and_after(photos: Photos, names: Sequence[str] = COMPARED) -> RgbImage:
    """Photo, the cut-out of GrabCut, and that of regions, of some garments, all as high as the lowest."""
    rows = []
    for name in names:
        photo, one = photos.best(name)
        grabcut = cut_out(photo, one, 0, settings=CutoutSettings(edges="grabcut", min_part=0, min_hole=0))
        regions = cut_out(photo, one, 0)
        assert grabcut is not None
        assert regions is not None
        part = around([grabcut.box, regions.box], one.size, 0.08)
        rows.append([photo[part], on_white(grabcut.full_frame()[part]), on_white(regions.full_frame()[part])])
    height = min(row[0].shape[0] for row in rows)
    scaled = [_scaled(picture, height) for row in rows for picture in row]
    return np.hstack(scaled)


def replaced(photos: Photos, folder: Path) -> RgbImage:
    """A photo, and the same with the dress of `edges` in place of its own."""
    target = photos.path(TARGET)
    worn = folder / "worn.png"
    replace_files(photos.path(STRIPES), target, worn, photos.find, photos.model.classes, class_name="Dress")
    return np.hstack([read_photo(target), read_photo(worn)])


def _scaled(picture: RgbImage, height: int) -> RgbImage:
    size = round(picture.shape[1] * height / picture.shape[0]), height
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def pages(photos: Photos, folder: Path, out: Path) -> None:
    """The gallery of a prediction, and the web page with some photos."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - not everybody has it

    program = next(p for name in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(name)))
    command = [sys.executable, "-m", "clothseg"]
    subprocess.run([*command, "predict", NETWORK, photos.folder, "--out", folder / "found", "--quiet"], check=True)
    served = [*command, "serve", NETWORK, "--no-browser", "--port", str(PORT)]
    server = subprocess.Popen(served, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert server.stdout is not None
        server.stdout.readline()  # its address: it is ready
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1280, "height": 820})
            page.goto((folder / "found" / "index.html").as_uri())
            _save_page(page, out / "gallery.webp")
            page.goto(f"http://127.0.0.1:{PORT}/")
            page.set_input_files("#choose", [photos.path(name) for name in (SEVERAL, STRIPES, TARGET, *COMPARED)])
            page.wait_for_selector("#progress", state="hidden", timeout=120_000)
            page.locator(".card").first.click()
            page.mouse.move(5, 5)
            _save_page(page, out / "serve.webp")
    finally:
        server.terminate()
        server.wait()


def _save_page(page: Any, out: Path) -> None:
    page.wait_for_timeout(1500)
    shot = out.with_suffix(".png")
    page.screenshot(path=shot)
    with Image.open(shot) as picture:
        picture.convert("RGB").save(out, quality=82, method=6)
    shot.unlink()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="folder of ccp-openimages")
    parser.add_argument("out", type=Path, help="folder for the pictures")
    options = parser.parse_args()
    photos = Photos(options.source)
    with tempfile.TemporaryDirectory() as temporary:
        for name, picture in (
            ("cutout-edges", edges(photos)),
            ("cutout-before-after", before_and_after(photos)),
            ("replaced", replaced(photos, Path(temporary))),
        ):
            Image.fromarray(picture).save(options.out / f"{name}.jpg", quality=90)
        try:
            pages(photos, Path(temporary), options.out)
        except ImportError as error:
            print(f"without pictures of pages: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
