"""What the name of a photo or folder is: a path on this machine, or a URL; and which names are lists."""

import re
from pathlib import Path
from urllib.request import url2pathname

TEXT, CSV, PARQUET = frozenset({".txt", ".lst"}), frozenset({".csv", ".tsv"}), frozenset({".parquet", ".pq"})
LIST_SUFFIXES = TEXT | CSV | PARQUET
"""Of lists of photos."""
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


def is_url(name: str) -> bool:
    """Whether a name is a URL, and not a path on this machine, of which `file://` is a spelling."""
    return bool(_URL.match(name)) and not name.lower().startswith("file://")


def is_http(name: str) -> bool:
    """Whether a name is a web address."""
    return name.lower().startswith(("http://", "https://"))


def local_path(name: str) -> str:
    """The path of a name on this machine: a `file://` URL becomes its path, with `%20` as a space."""
    found = re.match(r"file://(?:localhost)?(?=/)", name, re.IGNORECASE)
    return url2pathname(name[found.end() :]) if found else name


def join(folder: str, name: str) -> str:
    """The path or URL of `name` in a folder; an absolute path or a URL stays as it is."""
    if is_url(name) or not folder:
        return name
    return f"{folder.rstrip('/')}/{name}" if is_url(folder) else str(Path(folder) / local_path(name))


def suffix_of(name: str) -> str:
    """The suffix of a path or URL, in lower case; what follows `?` in a URL does not count."""
    plain = name.partition("?")[0] if is_url(name) else name
    return Path(plain.replace("\\", "/").rpartition("/")[2]).suffix.lower()
