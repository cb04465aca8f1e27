"""Compares two ways to download some masks of a zip: byte ranges, with several gaps, and the whole zip.

    python benchmarks/download_ranges.py [--members 40000] [--one-in 28 280] [--record]

Generates a zip like those of Open Images (1-bit PNGs of some kilobytes, in random order), serves it on this machine,
and fetches the masks of a class that has one in N members. Two ranges become one request if the gap between them is
small enough. If `remotezip` is installed, it is measured too; it fetches member by member. `--delay` adds a round trip
to each request, and `--speed` limits the connection. Two minutes by default. The times depend on the load of the
machine, the requests and bytes do not.
"""

import argparse
import importlib
import importlib.util
import io
import random
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from PIL import Image, ImageDraw

from bench_tools import add_record_options, record
from clothseg.http import HttpClient, RetryPolicy, fetch_file
from clothseg.openimages.download.remote_zip import Block, blocks, read_directory, unpack


class Connection:
    """The bandwidth that all requests share, in bytes per second."""

    speed = 1e7
    free_at = 0.0
    lock = threading.Lock()

    @classmethod
    def transfer(cls, count: int) -> None:
        """Waits until `count` bytes are transferred."""
        with cls.lock:
            cls.free_at = max(cls.free_at, time.monotonic()) + count / cls.speed
            until = cls.free_at
        time.sleep(max(until - time.monotonic(), 0.0))


class Handler(BaseHTTPRequestHandler):
    """Serves one file, whole or in ranges, and counts requests and bytes."""

    protocol_version = "HTTP/1.1"
    path_on_disk = Path()
    delay = 0.0
    requests = 0
    sent = 0

    def log_message(self, format: str, *args: object) -> None:
        """Logs nothing."""

    def do_GET(self) -> None:
        """Sends the requested range, or the whole file."""
        time.sleep(self.delay)
        size = self.path_on_disk.stat().st_size
        start, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        begin = int(start) if start else size - int(last)
        end = min(int(last), size - 1) if start and last else size - 1
        self.send_response(206 if "Range" in self.headers else 200)
        self.send_header("Content-Length", str(end - begin + 1))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", '"1"')
        if "Range" in self.headers:
            self.send_header("Content-Range", f"bytes {begin}-{end}/{size}")
        self.end_headers()
        Handler.requests += 1
        with self.path_on_disk.open("rb") as stream:
            stream.seek(begin)
            remaining = end - begin + 1
            while remaining > 0:
                piece = stream.read(min(remaining, 1 << 16))
                Connection.transfer(len(piece))
                self.wfile.write(piece)
                remaining -= len(piece)
                Handler.sent += len(piece)


def make_archive(path: Path, members: int, generator: random.Random) -> list[str]:
    """Writes a zip of mask PNGs and returns the names of its members."""
    images = []
    for _ in range(200):
        image = Image.new("1", (1024, 768))
        pen = ImageDraw.Draw(image)
        corners: list[tuple[float, float]] = [
            (generator.randint(0, 1023), generator.randint(0, 767)) for _ in range(generator.randint(4, 14))
        ]
        pen.polygon(sorted(corners, key=lambda corner: corner[0]), fill=1)
        stream = io.BytesIO()
        image.save(stream, "PNG", optimize=True)
        images.append(stream.getvalue())
    bits = [(generator.getrandbits(60), generator.getrandbits(20), generator.getrandbits(32)) for _ in range(members)]
    names = [f"f{photo:015x}_m{label:05x}_{box:08x}.png" for photo, label, box in bits]
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, generator.choice(images))
    return names


def by_ranges(url: str, wanted: set[str], gap: int, workers: int) -> int:
    """Fetches the wanted members by byte ranges and returns how many."""
    with HttpClient(RetryPolicy(), workers) as client:
        remote = client.probe(url)
        assert remote.size is not None
        directory = read_directory(lambda a, b: client.read_range(remote, a, b), remote.size, wanted)
        found = blocks(directory.members.values(), gap, 8 << 20)

        def read_block(block: Block) -> int:
            data = client.read_range(remote, block.start, block.stop)
            pieces = [data[m.start - block.start : m.stop - block.start] for m in block.members]
            return sum(len(unpack(m, piece)) > 0 for m, piece in zip(block.members, pieces, strict=True))

        with ThreadPoolExecutor(workers) as pool:
            return sum(pool.map(read_block, found))


def by_whole_zip(url: str, wanted: set[str], folder: Path) -> int:
    """Fetches the whole zip, reads the wanted members and returns how many."""
    with HttpClient() as client:
        fetch_file(client, client.probe(url), folder / "whole.zip")
    with zipfile.ZipFile(folder / "whole.zip") as archive:
        return sum(len(archive.read(name)) > 0 for name in wanted)


def by_remotezip(url: str, wanted: set[str]) -> int:
    """Fetches the wanted members with remotezip and returns how many."""
    remotezip = importlib.import_module("remotezip")
    with remotezip.RemoteZip(url) as archive:
        return sum(len(archive.read(name)) > 0 for name in wanted)


def measure(method: str, work: Callable[[], int], case: "Case", baseline: float | None = None) -> float:
    """Runs one method, prints and records its row, and returns the seconds.

    Args:
        method: its name.
        work: fetches the members and returns how many.
        case: what is fetched.
        baseline: seconds for the whole zip.
    """
    Handler.requests = Handler.sent = 0
    start = time.perf_counter()
    assert work() == len(case.wanted)
    seconds = time.perf_counter() - start
    speedup = (baseline or seconds) / seconds
    percent = 100 * Handler.sent / case.zip_size
    print(f"{method:28}{Handler.requests:9,}{Handler.sent / 1e6:10.1f}{percent:8.1f}{seconds:9.2f} {speedup:8.2f}")
    options, name = case.options, f"{len(case.wanted)} of {case.options.members:,} masks, {method}"
    record(options, f"{name}: requests", str(Handler.requests))
    record(options, f"{name}: transferred", f"{Handler.sent / 1e6:.1f}", "MB")
    note = f"{options.delay * 1000:g} ms per request, {options.speed:g} MB/s in all, {options.workers} workers"
    record(options, f"{name}: speed-up over the whole zip", f"{speedup:.2f}", "times", note)
    return seconds


@dataclass(frozen=True)
class Case:
    """The members to fetch from the zip of `zip_size` bytes."""

    wanted: set[str]
    zip_size: int
    options: argparse.Namespace


def compare(case: Case, url: str, folder: Path) -> None:
    """Runs all methods on one set of members."""
    print(f"\n{f'{len(case.wanted):,} masks wanted':28} requests        MB       %  seconds  speed-up")
    baseline = measure("whole zip", partial(by_whole_zip, url, case.wanted, folder), case)
    for gap in case.options.gaps:
        method = f"ranges, gaps to {gap // 1024} kB" if gap else "ranges, no gaps"
        measure(method, partial(by_ranges, url, case.wanted, gap, case.options.workers), case, baseline)
    if importlib.util.find_spec("remotezip"):
        measure("remotezip", partial(by_remotezip, url, case.wanted), case, baseline)


def main() -> None:
    """Prints a table for each number of wanted masks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, default=40_000, help="masks in the zip")
    parser.add_argument("--one-in", type=int, nargs="+", default=[28, 280], help="fetch one in N masks, for each N")
    parser.add_argument("--gaps", type=int, nargs="+", default=[0, 1 << 12, 1 << 14, 1 << 16, 1 << 18], help="bytes")
    parser.add_argument("--workers", type=int, default=8, help="requests at the same time")
    parser.add_argument("--delay", type=float, default=0.03, help="seconds added to each request")
    parser.add_argument("--speed", type=float, default=10.0, help="MB/s, shared by all requests")
    add_record_options(parser)
    options = parser.parse_args()
    Handler.delay, Connection.speed = options.delay, options.speed * 1e6
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Handler.path_on_disk = folder / "train-masks-f.zip"
        generator = random.Random(0)
        names = make_archive(Handler.path_on_disk, options.members, generator)
        size = Handler.path_on_disk.stat().st_size
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/train-masks-f.zip"
        print(f"{len(names):,} masks, {size / 1e6:.1f} MB; {options.delay:g} s per request, {options.speed:g} MB/s")
        for step in options.one_in:
            wanted = set(generator.sample(names, max(len(names) // step, 1)))
            compare(Case(wanted, size, options), url, folder)
        server.shutdown()


if __name__ == "__main__":
    main()
