"""Measures the gallery: what it costs for each photo, its size, and how smoothly ten thousand photos scroll.

    python benchmarks/gallery.py PHOTOS [--count 10000]

`PHOTOS` is a folder of JPEG photos; they are repeated to `--count` entries. The page scrolls at a steady pace in the
system's Chromium (playwright), once with thumbnails, once with the photos themselves. Printed are the processor time of
the page's main thread, which a busy machine does not change much, and the time between frames, which it does.
"""

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from bench_tools import add_record_options, record
from clothseg.gallery import (
    Entry,
    GalleryClass,
    GalleryInfo,
    GalleryObject,
    thumbnail_name,
    write_gallery,
    write_thumbnail,
)
from clothseg.gallery.data import Row, entry_row
from clothseg.gallery.entries import address
from clothseg.gallery.outlines import mask_outlines
from clothseg.instances import encode
from clothseg.photos import read_photo

SCROLL = """async ([pixels, seconds]) => {
  const times = [];
  const start = performance.now();
  await new Promise((done) => {
    const step = (now) => {
      times.push(now);
      scrollTo(0, ((now - start) / 1000) * pixels);
      if (now - start < 1000 * seconds) requestAnimationFrame(step);
      else done();
    };
    requestAnimationFrame(step);
  });
  return times.slice(1).map((time, i) => time - times[i]);
}"""


def mask_of(height: int, width: int) -> np.ndarray:
    """A mask about as long-winded as that of a dress."""
    y, x = np.mgrid[:height, :width]
    angle = np.arctan2(y - height / 2, x - width / 2)
    far = np.hypot((y - height / 2) / height, (x - width / 2) / width)
    return np.asarray(far < 0.28 + 0.03 * np.sin(9 * angle) + 0.008 * np.sin(41 * angle))


def make(folder: Path, photos: list[Path], count: int, *, thumbnails: bool) -> float:
    """Writes a gallery; returns the processor seconds for each photo's thumbnail and outlines."""
    rows: list[Row] = []
    seconds = 0.0
    for number, path in enumerate(photos):
        photo = read_photo(path)
        height, width = photo.shape[:2]
        rle = encode(mask_of(height, width))
        start = time.process_time()
        name = thumbnail_name(f"{number:04d}-{path.stem}")
        if thumbnails:
            write_thumbnail(photo, folder / name)
        one = GalleryObject(1, 0.9, 0.2, (0, 0, width, height), mask_outlines(rle))
        row = entry_row(
            Entry(path.name, width, height, [one] * 2, name if thumbnails else "", address(path, folder), text="x")
        )
        seconds += time.process_time() - start
        rows.append(row)
    info = GalleryInfo("clothseg predict", "benchmark", [GalleryClass("Dress", "#d63214")])
    write_gallery(folder, info, (rows[number % len(rows)] for number in range(count)))
    return seconds / len(photos)


def busy() -> float:
    """Processor seconds of the main threads of all renderers of Chromium, of which one has a page (Linux)."""
    ticks = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"--type=renderer" in (process / "cmdline").read_bytes():
                stat = (process / "task" / process.name / "stat").read_text().rpartition(")")[2].split()
                ticks += int(stat[11]) + int(stat[12])
        except OSError:
            continue
    return ticks / os.sysconf("SC_CLK_TCK")


def scroll(browser: Browser, address_of_page: str) -> dict[str, float]:
    """Scrolls for 8 seconds, 3,000 pixels each; milliseconds and counts by name."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    start = busy()
    page.goto(address_of_page)
    page.wait_for_selector("#cards .card img[src]")
    before = busy()
    frames = np.array(page.evaluate(SCROLL, [3000, 8]))
    found = {
        "to the first picture, main thread": 1000 * (before - start),
        "a frame, main thread": 1000 * (busy() - before) / len(frames),
        "from frame to frame": float(np.median(frames)),
        "nodes": page.evaluate("document.querySelectorAll('*').length"),
    }
    page.close()
    return found


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--count", type=int, default=10_000)
    add_record_options(parser)
    arguments = parser.parse_args()
    photos = sorted(arguments.photos.glob("*.jpg"))
    with Image.open(photos[0]) as first:
        print(f"{len(photos)} photos such as {first.size[0]} x {first.size[1]}, {arguments.count} entries")
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for thumbnails in (True, False):
            folder = Path(place) / str(thumbnails)
            cost = make(folder, photos, arguments.count, thumbnails=thumbnails)
            small = [path.stat().st_size for path in (folder / "gallery").glob("*.jpg")]
            data = (folder / "gallery" / "data.js").stat().st_size
            disk = f", {sum(small) / len(small) / 1000:.1f} kB a thumbnail" if small else ""
            what = "thumbnails" if thumbnails else "photos"
            print(f"{what}: {1000 * cost:.1f} ms a photo (processor){disk}, data {data / 1e6:.1f} MB")
            record(arguments, f"{what}: a photo", 1000 * cost, "ms")
            record(arguments, f"{what}: data", data / 1e6, "MB")
            for name, value in scroll(browser, (folder / "index.html").as_uri()).items():
                print(f"  {name}: {value:.1f}")
                record(arguments, f"{what}: {name}", value, "" if name == "nodes" else "ms")
        browser.close()


if __name__ == "__main__":
    main()
