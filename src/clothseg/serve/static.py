"""The files of the page, read once from the package. A request never names a file on the disk.

Those that other pages need too are in `gallery/page`.
"""

from importlib import resources

from starlette.responses import Response

from clothseg.gallery import SHARED

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def static_files() -> dict[str, Response]:
    """The response by path: `/` is `index.html`, the others have their names: `/app.js`."""
    shared = [resources.files("clothseg.gallery") / "page" / name for name in SHARED]
    found = {}
    for file in [*(resources.files("clothseg.serve") / "page").iterdir(), *shared]:
        kind = _TYPES.get(f".{file.name.rpartition('.')[2]}")
        if kind is not None:
            path = "/" if file.name == "index.html" else f"/{file.name}"
            found[path] = Response(file.read_bytes(), headers={"Content-Type": kind})
    return found
