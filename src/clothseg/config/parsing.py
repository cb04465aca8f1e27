"""Settings from text: YAML files, presets and dotted overrides, with an explanation of every problem."""

import itertools
import os
import re
import textwrap
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from clothseg.config.yaml_text import parse_yaml
from clothseg.errors import ConfigError, shown
from clothseg.suggestions import did_you_mean, nearest

_ALIASES = {"lr": "learning_rate", "batch": "batch_size", "conf": "score_threshold", "num_epochs": "epochs"}
"""Names of settings in other tools."""


def read_settings(source: str | Path) -> tuple[dict[str, Any], str]:
    """Reads a YAML (or JSON) file or a preset, without validation.

    A file that `extends` another one (a preset, or a path relative to the file's folder) takes its values too, and
    overrides them with its own; a list, and the section of another network, is replaced as a whole.

    Returns:
        the tree of settings, and the name of the source for messages.

    Raises:
        ConfigError: it does not exist, is not keys and values, or extends itself.
    """
    tree, name = _read_one(source)
    seen, folder = [name], Path(source).parent
    while "extends" in tree:
        base = tree.pop("extends")
        if not isinstance(base, str):
            raise ConfigError(f"{name}: extends takes the name of a preset or a file, found {base!r}")
        beside = folder / base
        below, other = _read_one(beside if os.path.isfile(beside) else base)
        if other in seen:
            raise ConfigError(f"{name}: extends is circular: {' -> '.join([*seen, other])}")
        seen.append(other)
        folder = beside.parent
        tree = deep_merge(_without_other_network(below, tree), tree)
    return tree, name


def deep_merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """`below` overridden by the values of `above`, section by section."""
    both = dict(below)
    for key, value in above.items():
        known = both.get(key)
        both[key] = deep_merge(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return both


def _without_other_network(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """`below` without its section `network`, if `above` has that of another network: its keys are not known there."""
    theirs, ours = (tree.get("network") for tree in (below, above))
    if not isinstance(ours, dict) or not isinstance(theirs, dict) or ours.get("name") in (None, theirs.get("name")):
        return below
    return {key: value for key, value in below.items() if key != "network"}


def _read_one(source: str | Path) -> tuple[dict[str, Any], str]:
    text, name = _read(source)
    tree = parse_yaml(text, name)
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{name}: expected keys and values, found {type(tree).__name__}")
    return tree, name


def preset_names() -> list[str]:
    """Names of the presets, which `Config.load` takes in place of a path."""
    folder = _presets()
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml"))


def preset_meanings() -> dict[str, str]:
    """What each preset is for, by its name: the first sentence of the comment at its top."""
    meanings = {}
    for name in preset_names():
        lines = itertools.takewhile(
            lambda line: line.startswith("#"), (_presets() / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
        )
        text = " ".join(line.removeprefix("#").strip() for line in lines)
        meanings[name] = textwrap.shorten(re.split(r"(?<=\.) ", text, maxsplit=1)[0], 120, placeholder=" ...")
    return meanings


def _presets() -> Path:
    return Path(str(resources.files("clothseg"))) / "config" / "presets"


def _read(source: str | Path) -> tuple[str, str]:
    path = Path(source)
    if os.path.isfile(path):
        try:
            return path.read_text(encoding="utf-8"), str(path)
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: cannot be read as text ({error})") from error
    name = path.as_posix()  # on Windows `paper/l2` as a path has a backslash
    if name in preset_names():
        return (_presets() / f"{name}.yaml").read_text(encoding="utf-8"), f"preset {name}"
    hint = did_you_mean(name, preset_names(), otherwise="presets are")
    raise ConfigError(f"{source}: no such configuration file, and no preset of that name; {hint}")


def override(tree: dict[str, Any], text: str) -> str | None:
    """Puts `a.b=value` (value as YAML) into `tree`; returns what is wrong with it, or None."""
    dotted, equals, words = text.partition("=")
    keys = dotted.strip().split(".")
    if not equals or not all(keys):
        return f"override {text!r}: write it as section.key=value"
    try:
        value = parse_yaml(words, f"the value of {dotted}")
    except ConfigError as error:
        return f"override {text!r}: {error}"
    branch = tree
    for key in keys[:-1]:
        if branch.get(key) is None:
            branch[key] = {}
        branch = branch[key]
        if not isinstance(branch, dict):
            return f"override {text!r}: {key} is a value, not a section"
    branch[keys[-1]] = value
    return None


def describe_errors(error: ValidationError, root: type[BaseModel], network: type[BaseModel]) -> list[str]:
    """Every problem that pydantic found in a tree for `root`, one sentence each; `network` is its section `network`."""
    problems = []
    for item in error.errors():
        place = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            problems.append(f"{place}: unknown key{_near(item['loc'], root, network)}")
        else:
            given = f" (given: {shown(item['input'])})" if place and not isinstance(item["input"], dict) else ""
            problems.append(f"{place + ': ' if place else ''}{item['msg'].removeprefix('Value error, ')}{given}")
    return problems


def _near(place: tuple[int | str, ...], root: type[BaseModel], network: type[BaseModel]) -> str:
    """The keys that exist where an unknown one was found, or the one that was probably meant."""
    section: Any = root
    for part in place[:-1]:  # a number is a position in a list of sections
        if isinstance(part, int):
            section = get_args(section)[0]
        else:
            section = network if section is root and part == "network" else section.model_fields[part].annotation
    known = [field.alias or name for name, field in section.model_fields.items()]
    wrong = str(place[-1])
    if close := nearest(wrong, known, 1):
        return f"; did you mean {'.'.join(str(part) for part in (*place[:-1], close[0]))}?"
    every = dict(_keys(root, network))
    key = _ALIASES.get(wrong, wrong)
    elsewhere = [name for name, last in every.items() if last == key] or [
        name for name, last in every.items() if last in nearest(key, every.values(), 2)
    ]
    if elsewhere:
        return f"; did you mean {' or '.join(elsewhere[:3])}?"
    return f"; known here: {', '.join(known)}"


def _keys(section: type[BaseModel], network: type[BaseModel], path: str = "") -> Iterator[tuple[str, str]]:
    """Every key below a section with its dotted name, and the last part of it."""
    for name, field in section.model_fields.items():
        key = field.alias or name
        inner = network if key == "network" and not path else field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _keys(inner, network, f"{path}{key}.")
        else:
            yield f"{path}{key}", key
