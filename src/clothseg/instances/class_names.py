"""What a class may be called: the same rules for datasets, networks and weights files."""

import re
import unicodedata
from collections.abc import Iterable

_SPACES = re.compile(r"\s+")


def tidy_class_name(name: str) -> str:
    """The name without spaces at its ends; tabs, line breaks and several spaces in it become one space."""
    return _SPACES.sub(" ", name).strip()


def class_name_key(name: str) -> str:
    """Equal for names of one class: upper and lower case, spaces, and the form of accents make no difference."""
    return unicodedata.normalize("NFC", tidy_class_name(name).casefold())


def wrong_class_name(name: object) -> str:
    """Why this cannot be the name of a class; empty if it can."""
    if not isinstance(name, str):
        return "a class name must be a text"
    if not tidy_class_name(name):
        return "a class name must not be empty"
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in tidy_class_name(name)):
        return f"the class name {name!r:.60} has a control character"
    return ""


def wrong_class_names(names: Iterable[str]) -> str:
    """Why these cannot be the names of a network's classes; empty if they can.

    Each must be a name, and no two may be the same apart from case and spaces: files, options and tables could not tell
    them apart.
    """
    first: dict[str, str] = {}
    for name in names:
        if wrong := wrong_class_name(name):
            return wrong
        key = class_name_key(name)
        if key in first:
            return twice(first[key], name)
        first[key] = name
    return ""


def twice(first: str, second: str) -> str:
    """The message for two classes with one name."""
    if first == second:
        return f"two classes are called {first!r}; rename one, or make them one class"
    return f"two classes are called {first!r} and {second!r}, which differ only in case or spaces; rename one"
