"""Photos that are broken in many ways, and odd ones that are not: for tests of commands that must go on."""

import os
import socket
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image


def photo(path: Path, seed: int = 0, size: tuple[int, int] = (96, 128)) -> Path:
    """Writes a photo of smooth noise, `size` = width and height in pixels."""
    noise = np.random.default_rng(seed).integers(0, 255, (size[1] // 8, size[0] // 8, 3), dtype=np.uint8)
    Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).save(path)
    return path


def odd_photos(folder: Path) -> list[str]:
    """Writes photos that can be read although they are unusual; returns their names."""
    plain = Image.open(photo(folder / "odd-plain.jpg", 1))
    plain.convert("CMYK").save(folder / "odd-cmyk.jpg")
    plain.convert("P").save(folder / "odd-palette.png")
    plain.convert("RGBA").save(folder / "odd-alpha.png")
    frames = [plain.convert("P"), plain.rotate(90).convert("P")]
    frames[0].save(folder / "odd-animated.gif", save_all=True, append_images=frames[1:])
    deep = np.asarray(plain.convert("L")).astype(np.uint16) * 257
    Image.fromarray(deep).save(folder / "odd-16-bit.png")
    content = (folder / "odd-plain.jpg").read_bytes()
    entries = struct.pack("<HHI", 0x112, 3, 1) + struct.pack("<HH", 9, 0) + struct.pack("<HHII", 0x11A, 10, 1, 9999)
    block = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + entries
    exif = b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block
    (folder / "odd-exif.jpg").write_bytes(content[:2] + exif + content[2:])
    return sorted(path.name for path in folder.glob("odd-*"))


def bad_photos(folder: Path) -> list[str]:
    """Writes photos that cannot be read, each for another reason; returns their names."""
    whole = photo(folder / "whole.jpg", 2).read_bytes()
    (folder / "whole.jpg").unlink()
    (folder / "bad-truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "bad-empty.jpg").write_bytes(b"")
    (folder / "bad-web-page.jpg").write_bytes(b"<!DOCTYPE html><html><body>404</body></html>")
    (folder / "bad-text.png").write_bytes(b"not a photo")
    (folder / "bad-zeros.webp").write_bytes(bytes(4000))
    (folder / "bad-cut.png").write_bytes(photo(folder / "whole.png", 3).read_bytes()[:3000])
    (folder / "whole.png").unlink()
    (folder / "bad-bomb.png").write_bytes(_png(60_000, 60_000, rows=1))
    (folder / "bad-no-size.png").write_bytes(_png(0, 0, rows=0))
    (folder / "bad-raw.nef").write_bytes(bytes(100))
    (folder / "bad-folder.jpg").mkdir()
    (folder / "bad-eps.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n")
    (folder / "bad-heic.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64))
    if sys.platform != "win32":
        (folder / "bad-link.jpg").symlink_to(folder / "nowhere.jpg")
        os.mkfifo(folder / "bad-pipe.jpg")
        (folder / "bad-loop.jpg").symlink_to("bad-loop.jpg")
        here = Path.cwd()
        os.chdir(folder)  # the path of a socket must be short
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("bad-socket.jpg")
        os.chdir(here)
        if os.geteuid() != 0:  # root reads everything
            (folder / "bad-rights.jpg").write_bytes(whole)
            (folder / "bad-rights.jpg").chmod(0)
    return sorted(path.name for path in folder.glob("bad-*"))


def _png(width: int, height: int, rows: int) -> bytes:
    """A grey PNG of this size of which only some rows are there."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes((width + 1) * rows))) + chunk(b"IEND", b"")
    )
