"""How many bytes and requests do masks by byte ranges need, compared with the whole archive, at several gaps?

Makes an archive like those of Open Images (1-bit PNGs of about 1.5 kB, in random order), serves it on this machine, and
reads every Nth member. If `remotezip` is installed, it is measured too: it fetches one member after the other.
`--delay` adds a round trip to every request, `--speed` is the speed of the line.
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
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from PIL import Image, ImageDraw

from clothseg.http import HttpClient, fetch_file
from clothseg.openimages.download.remote_zip import Block, blocks, read_directory, unpack


class Line:
    """The bytes per second that all connections share."""

    speed = 1e7
    free_at = 0.0
    lock = threading.Lock()

    @classmethod
    def carry(cls, count: int) -> None:
        """Waits until the line has carried `count` bytes."""
        with cls.lock:
            cls.free_at = max(cls.free_at, time.monotonic()) + count / cls.speed
            until = cls.free_at
        time.sleep(max(until - time.monotonic(), 0.0))


class Handler(BaseHTTPRequestHandler):
    """Serves one file, in ranges or whole, and counts what it sends."""

    protocol_version = "HTTP/1.1"
    path_on_disk = Path()
    delay = 0.0
    requests = 0
    sent = 0

    def log_message(self, format: str, *args: object) -> None:
        """Logs nothing."""

    def do_GET(self) -> None:
        """Serves the requested range, or all."""
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
            left = end - begin + 1
            while left > 0:
                piece = stream.read(min(left, 1 << 16))
                Line.carry(len(piece))
                self.wfile.write(piece)
                left -= len(piece)
                Handler.sent += len(piece)


def make_archive(path: Path, members: int, draw: random.Random) -> list[str]:
    """Writes a zip of mask PNGs. Returns their names."""
    pictures = []
    for _ in range(200):
        picture = Image.new("1", (1024, 768))
        pen = ImageDraw.Draw(picture)
        corners: list[tuple[float, float]] = [
            (draw.randint(0, 1023), draw.randint(0, 767)) for _ in range(draw.randint(4, 14))
        ]
        pen.polygon(sorted(corners, key=lambda corner: corner[0]), fill=1)
        stream = io.BytesIO()
        picture.save(stream, "PNG", optimize=True)
        pictures.append(stream.getvalue())
    bits = [(draw.getrandbits(60), draw.getrandbits(20), draw.getrandbits(32)) for _ in range(members)]
    names = [f"f{image:015x}_m{mid:05x}_{box:08x}.png" for image, mid, box in bits]
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, draw.choice(pictures))
    return names


def by_ranges(url: str, wanted: set[str], gap: int, workers: int) -> int:
    """Reads the members by ranges. Returns their number."""
    with HttpClient(workers=workers) as client:
        remote = client.probe(url)
        assert remote.size is not None
        directory = read_directory(lambda a, b: client.read_range(remote, a, b), remote.size, wanted)
        found = blocks(directory.members.values(), gap, 8 << 20)

        def take(block: Block) -> int:
            data = client.read_range(remote, block.start, block.stop)
            pieces = [data[m.start - block.start : m.stop - block.start] for m in block.members]
            return sum(len(unpack(m, piece)) > 0 for m, piece in zip(block.members, pieces, strict=True))

        with ThreadPoolExecutor(workers) as pool:
            return sum(pool.map(take, found))


def whole(url: str, wanted: set[str], folder: Path) -> int:
    """Fetches the whole archive and reads the members. Returns their number."""
    with HttpClient() as client:
        fetch_file(client, client.probe(url), folder / "whole.zip")
    with zipfile.ZipFile(folder / "whole.zip") as archive:
        return sum(len(archive.read(name)) > 0 for name in wanted)


def member_by_member(url: str, wanted: set[str]) -> int:
    """Reads the members with remotezip. Returns their number."""
    remotezip = importlib.import_module("remotezip")

    with remotezip.RemoteZip(url) as archive:
        return sum(len(archive.read(name)) > 0 for name in wanted)


def measure(what: str, work: Callable[[], int], wanted: int, size: int, whole_time: float | None) -> float:
    """Runs one way and prints its row. Returns the seconds."""
    Handler.requests = Handler.sent = 0
    begun = time.perf_counter()
    assert work() == wanted
    seconds = time.perf_counter() - begun
    share, ratio = 100 * Handler.sent / size, (whole_time or seconds) / seconds
    print(f"{what:28}{Handler.requests:9,}{Handler.sent / 1e6:10.1f}{share:8.1f}{seconds:9.2f} {ratio:6.2f}")
    return seconds


def main() -> None:
    """Prints a table for each share of masks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, default=40_000)
    parser.add_argument("--every", type=int, nargs="+", default=[28, 280])
    parser.add_argument("--gaps", type=int, nargs="+", default=[0, 1 << 12, 1 << 14, 1 << 16, 1 << 18])
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--delay", type=float, default=0.03, help="seconds added to a request, as by a line")
    parser.add_argument("--speed", type=float, default=10.0, help="MB/s of the whole line, shared by all requests")
    options = parser.parse_args()
    Handler.delay, Line.speed = options.delay, options.speed * 1e6
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Handler.path_on_disk = folder / "train-masks-f.zip"
        draw = random.Random(0)
        names = make_archive(Handler.path_on_disk, options.members, draw)
        size = Handler.path_on_disk.stat().st_size
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/train-masks-f.zip"
        print(f"{len(names):,} masks, {size / 1e6:.1f} MB; {options.delay:g} s a request, {options.speed:g} MB/s")
        for every in options.every:
            wanted = set(draw.sample(names, len(names) // every))
            print(f"\n{len(wanted):,} of them needed      requests        MB       %  seconds  times as fast")
            base = measure("whole archive", partial(whole, url, wanted, folder), len(wanted), size, None)
            for gap in options.gaps:
                work = partial(by_ranges, url, wanted, gap, options.workers)
                measure(f"ranges, gap {gap:,}", work, len(wanted), size, base)
            if importlib.util.find_spec("remotezip"):
                measure("remotezip", partial(member_by_member, url, wanted), len(wanted), size, base)
        server.shutdown()


if __name__ == "__main__":
    main()
