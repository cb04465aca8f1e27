"""A catalogue in shards: kills, memory, processes, the time beside the network, and bytes on disk.

    python benchmarks/catalogue.py [--only kills memory processes overhead sizes] [--photos 1000 100000] [--record]

`kills`, `memory` and `overhead` use a network that finds the same two objects on every photo and takes no time, so that
what is left is the work of the catalogue. `processes` uses an untrained network of the preset `demo` on photos of the
sample. `sizes` stores the true masks of the sample as detections. Ten minutes on one free core; wall times need a quiet
machine.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench_tools import add_record_options, peak_memory, record
from clothseg import sample
from clothseg.catalogue import (
    CatalogueOptions,
    InProcesses,
    ModelSource,
    OpenNetwork,
    Predict,
    TableFormat,
    in_this_process,
    open_catalogue,
    run_catalogue,
)
from clothseg.catalogue.tables import DETECTIONS, encode_table
from clothseg.instances import ArrayInstances, BoxArrayMasks, Rle, mask_area

PARTS = ("kills", "memory", "processes", "overhead", "sizes")
KILLS = 50


@dataclass(frozen=True)
class Constant:
    """Opens a network that finds the same two objects on every photo."""

    def open(self, worker: int, workers: int) -> OpenNetwork:
        """See `NetworkSource`."""
        return OpenNetwork(lambda photos: [_found(photo) for photo in photos], ("Suit", "Dress"))


def _found(photo: NDArray[np.uint8]) -> ArrayInstances:
    height, width = photo.shape[:2]
    boxes = np.array([[1, 1, width // 2, height - 1], [2, 2, width - 2, height // 2]], np.float32)
    masks = BoxArrayMasks(boxes, (height, width), np.ones((2, 4, 4), np.float32))
    return ArrayInstances((height, width), boxes, np.array([2, 1]), np.array([0.9, 0.8], np.float32), masks)


def make_list(folder: Path, photos: int, files: int = 50) -> Path:
    """A list of so many photos: `files` small files, repeated."""
    for number in range(files):
        pixels = np.full((32, 24, 3), number * 5, np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.jpg")
    path = folder / f"list-{photos}.txt"
    path.write_text("".join(f"{number % files}.jpg\n" for number in range(photos)))
    return path


def child(source: str, out: str, shard_size: str) -> None:
    """Does a catalogue with the constant network, and prints its peak memory and processor time."""
    begun = time.process_time()
    run_catalogue(open_catalogue([source]), Predict(), Constant(), out, CatalogueOptions(shard_size=int(shard_size)))
    print(json.dumps({"memory": peak_memory(), "seconds": time.process_time() - begun}))


def start(source: Path, out: Path, shard_size: int) -> "subprocess.Popen[str]":
    """Starts a process that does a catalogue."""
    words = [sys.executable, __file__, "--child", str(source), str(out), str(shard_size)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def finish(process: "subprocess.Popen[str]") -> dict[str, float]:
    """What the process printed."""
    output, _ = process.communicate()
    assert process.returncode == 0
    answer: dict[str, float] = json.loads(output)
    return answer


def files_in(folder: Path) -> dict[str, bytes]:
    """The bytes of all files in a folder, by name."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def kills(options: argparse.Namespace, folder: Path) -> None:
    """Kills a catalogue at random moments until it is done; compares with one that was not killed."""
    source, generator, killed = make_list(folder, 12000), random.Random(0), 0
    finish(start(source, folder / "whole", 100))
    out = folder / "killed"
    while True:
        before = len(list(out.rglob("*.*")))
        process = start(source, out, 100)
        while process.poll() is None and len(list(out.rglob("*.*"))) <= before:
            time.sleep(0.001)
        time.sleep(generator.random() * 0.1)
        if killed < KILLS:
            process.kill()
        process.communicate()
        if process.returncode == 0:
            break
        killed += 1
    same = files_in(out) == files_in(folder / "whole")
    print(f"{killed} kills: {'the same bytes' if same else 'OTHER BYTES'}")
    record(options, "kills", killed, "", "12,000 photos, 120 shards, SIGKILL at random moments")
    record(options, "files with the same bytes after the kills", str(same))


def memory(options: argparse.Namespace, folder: Path) -> None:
    """Peak memory of catalogues of different lengths, and processor time per photo."""
    seconds = []
    for photos in options.photos:
        done = finish(start(make_list(folder, photos), folder / f"out-{photos}", 1000))
        seconds.append((photos, done["seconds"]))
        print(f"{photos:9,} photos: {done['memory'] / 1e6:6.1f} MB, {done['seconds']:6.1f} s of processor time")
        record(
            options, f"peak memory, {photos} photos", done["memory"] / 1e6, "MB", "constant network, shards of 1,000"
        )
    if len(seconds) > 1:
        (few, short), (many, long) = seconds[0], seconds[-1]
        each = (long - short) / (many - few) * 1000
        print(f"beside the network: {each:.2f} ms of processor time per photo of 32 x 24 pixels")
        record(options, "processor time beside the network", each, "ms/photo", "photos of 32 x 24 pixels, two objects")


def overhead(options: argparse.Namespace, folder: Path) -> None:
    """Processor time beside the network for photos of the sample: decoding, run lengths, tables."""
    photos = sorted((sample.folder() / "validation").glob("*.jpg"))
    (folder / "sample.txt").write_text("".join(f"{path}\n" for path in photos * options.repeat))
    count = len(photos) * options.repeat
    done = finish(start(folder / "sample.txt", folder / "sample", 1000))
    each = done["seconds"] / count * 1000
    print(f"beside the network: {each:.1f} ms of processor time per photo of the sample")
    record(options, "processor time beside the network, sample", each, "ms/photo", f"{count} photos, two objects each")


def processes(options: argparse.Namespace, folder: Path) -> None:
    """Photos per second with one and two processes, from the first finished shard to the last."""
    from clothseg.config import Config  # noqa: PLC0415 - PyTorch
    from clothseg.models import MaskRCNN  # noqa: PLC0415 - PyTorch

    weights = folder / "net.safetensors"
    MaskRCNN(Config.load("demo", ["weights=random"])).build(["Suit", "Dress"]).save(weights)
    photos = sorted((sample.folder() / "validation").glob("*.jpg"))[: options.network_photos // 4]
    (folder / "network.txt").write_text("".join(f"{path}\n" for path in photos * 4))
    speed: dict[int, float] = {}
    for count in (1, 2):
        ended: list[tuple[float, int]] = []
        run_catalogue(
            open_catalogue([str(folder / "network.txt")]),
            Predict(),
            ModelSource(weights, device="cpu", score_threshold=0.5),
            str(folder / f"processes-{count}"),
            CatalogueOptions(shard_size=4),
            engine=InProcesses(count) if count > 1 else in_this_process,
            progress=lambda number, ended=ended: ended.append((time.monotonic(), number)),  # type: ignore[misc]
        )
        speed[count] = sum(n for _, n in ended[count:]) / (ended[-1][0] - ended[count - 1][0])
        print(f"{count} processes: {speed[count]:.2f} photos/s (load {os.getloadavg()[0]:.1f})")
        record(options, f"photos per second, {count} processes", speed[count], "1/s",
               f"demo's network, untrained, one thread each; load {os.getloadavg()[0]:.1f}")  # fmt: skip
    same = files_in(folder / "processes-1") == files_in(folder / "processes-2")
    print(f"two processes over one: {speed[2] / speed[1]:.2f} times; {'the same bytes' if same else 'OTHER BYTES'}")
    record(options, "two processes over one", speed[2] / speed[1], "times", f"same bytes: {same}")


def sizes(options: argparse.Namespace, folder: Path) -> None:
    """Bytes of a stored detection: the true masks of the sample."""
    from clothseg.openimages import BuildOptions, build_dataset  # noqa: PLC0415 - for this part alone

    build_dataset(sample.folder(), folder / "data", ["Suit", "Dress", "Jeans"], BuildOptions())
    rows: list[dict[str, Any]] = []
    for split in ("train", "val"):
        data = json.loads((folder / "data/annotations" / f"{split}.json").read_text())
        images = {image["id"]: image for image in data["images"]}
        for one in data["annotations"]:
            if isinstance(one["segmentation"], dict) and isinstance(one["segmentation"]["counts"], str):
                image = images[one["image_id"]]
                box = dict(zip(("x", "y", "width", "height"), one["bbox"], strict=True))
                found = {"class_id": one["category_id"], "class": "Dress", "score": 0.5 + len(rows) / 1000}
                place = {"photo_id": one["image_id"], "photo": f"s3://shop/photos/{image['file_name']}"}
                size = {"photo_width": image["width"], "photo_height": image["height"]}
                mask = {"rle": one["segmentation"]["counts"], "area": mask_area(cast(Rle, one["segmentation"]))}
                rows.append(place | size | found | box | mask | {"number": 1})
    for form in TableFormat:
        each = len(encode_table(DETECTIONS, rows, form)) / len(rows)
        print(f"{form}: {each:.0f} bytes per detection, {len(rows)} masks")
        record(options, f"bytes per detection, {form}", each, "B", f"{len(rows)} true masks of the sample")


def main(arguments: Sequence[str]) -> None:
    """Measures and prints."""
    if arguments[:1] == ["--child"]:
        child(*arguments[1:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--photos", nargs="+", type=int, default=[1000, 10000, 100000], help="lengths for `memory`")
    parser.add_argument("--repeat", type=int, default=10, help="how often `overhead` takes each photo of the sample")
    parser.add_argument("--network-photos", type=int, default=40, help="number of photos for `processes`")
    add_record_options(parser)
    options = parser.parse_args(arguments)
    for part in options.only:
        with tempfile.TemporaryDirectory() as folder:
            {"kills": kills, "memory": memory, "processes": processes, "overhead": overhead, "sizes": sizes}[part](
                options, Path(folder)
            )


if __name__ == "__main__":
    main(sys.argv[1:])
