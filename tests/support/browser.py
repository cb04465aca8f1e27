"""Looks at HTML pages with the system's Chromium: widths, scripts that fail, requests to the network."""

import html
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

WIDTHS = (390, 1280)
"""Pixels: a phone, and a screen."""
_PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_FRAMES = """<!doctype html><title>waiting</title><script>
const pages = PAGES, seen = [];
for (const {page, width} of pages) {
  const frame = document.createElement("iframe");
  frame.width = width; frame.height = 900; frame.style.border = 0; frame.src = page;
  frame.onload = () => setTimeout(() => {
    const inside = frame.contentWindow, root = inside.document.documentElement;
    const named = (e) => `${e.tagName}.${e.className}`;
    const clipped = (e) => e && (getComputedStyle(e).overflowX !== "visible" || clipped(e.parentElement));
    const wide = [...inside.document.querySelectorAll("body *")].filter(
      (e) => e.getBoundingClientRect().right > width + 1 && !clipped(e)
    ).map((e) => named(e) + " in " + named(e.parentElement)).slice(0, 5);
    seen.push({page, width, needed: Math.max(root.scrollWidth, inside.document.body.scrollWidth), wide,
      text: inside.document.body.innerText.length,
      pictures: [...inside.document.images].filter((i) => i.src && i.complete && !i.naturalWidth)
        .map((i) => i.src.slice(0, 80)),
      requests: inside.performance.getEntriesByType("resource").map((e) => e.name.slice(0, 200))});
    if (seen.length === pages.length) document.title = JSON.stringify(seen);
  }, 200);
  addEventListener("DOMContentLoaded", () => document.body.append(frame));
}
</script><body>"""


@dataclass(frozen=True)
class PageView:
    """A page at a width.

    Attributes:
        page: its file.
        width: that it was given, in pixels.
        needed: that it takes; more means that it scrolls sideways.
        wide: some elements that reach beyond the width; those in a box that scrolls or hides them are allowed.
        text: number of characters on it.
        pictures: those that cannot be shown; one that is not loaded before it is in the window does not count.
        requests: what it loads besides itself.
    """

    page: str
    width: int
    needed: int
    wide: list[str]
    text: int
    pictures: list[str]
    requests: list[str]


def find_chromium() -> str:
    """The path of a Chromium; skips the test where there is none."""
    found = next((path for name in _PROGRAMS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"needs a Chromium to look at pages: none of {', '.join(_PROGRAMS)} is on the PATH")
    return found


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser of playwright, which need not be installed: the test is skipped without it or a Chromium."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    program = find_chromium()
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=sandbox)
        yield browser
        browser.close()


def look_at(pages: list[Path], folder: Path) -> tuple[list[PageView], list[str]]:
    """Opens each page at each of `WIDTHS`.

    Args:
        pages: HTML files.
        folder: for the browser's own files.

    Returns:
        The views, and what the browser printed on its console: failures of scripts, blocked or missing files.
    """
    frames = folder / "frames.html"
    asked = [{"page": page.absolute().as_uri(), "width": width} for page in pages for width in WIDTHS]
    frames.write_text(_FRAMES.replace("PAGES", json.dumps(asked)), encoding="utf-8")
    command = [
        *(find_chromium(), "--headless", "--disable-gpu", "--no-sandbox", "--allow-file-access-from-files"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"),
        *("--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder / 'profile'}", "--window-size=1400,1000"),
        *("--enable-logging=stderr", "--virtual-time-budget=20000", "--dump-dom", frames.as_uri()),
    ]
    environment = {**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)
    title = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)
    assert title is not None, done.stderr[-2000:]
    assert title[1] != "waiting", f"not every page was loaded: {done.stderr[-2000:]}"
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return [PageView(**view) for view in json.loads(html.unescape(title[1]))], console
