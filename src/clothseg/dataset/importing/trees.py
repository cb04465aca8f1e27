"""JSON files of labelling tools, with errors that name file and key."""

from pathlib import Path
from typing import Any

from clothseg.errors import DataError, shown, why_unread
from clothseg.files import read_json

_KINDS = {list: "a list", dict: "an object", str: "a text", int: "an integer"}


def json_tree(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        DataError: the file cannot be read as JSON, or has something else.
    """
    try:
        tree = read_json(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({why_unread(error)})") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read as JSON ({str(error)[:200]})") from error
    return dict(expect(tree, dict, f"{path}: the content"))


def expect(value: Any, kind: type, what: str) -> Any:
    """The value, if it is of this type: list, dict, str or int.

    Raises:
        DataError: it is of another type. The message begins with `what`.
    """
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        found = "nothing" if value is None else shown(value)
        raise DataError(f"{what} must be {_KINDS[kind]}, found {found}")
    return value
