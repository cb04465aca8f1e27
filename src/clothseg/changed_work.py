"""Names what is different between earlier work and the work now: settings and inputs, for messages."""

import json
from collections.abc import Mapping
from typing import Any

_NAMED = 3  # settings in a message
_LONGEST = 60  # characters of a value in a message
_DIGITS = 12  # of a SHA-256 in a message
_NAMES = {"version": "version of clothseg", "weights": "SHA-256 of the weights"}


def named_settings(work: object, options: Mapping[str, Any]) -> dict[str, str]:
    """What the results depend on, as text by name; what is not set is left out.

    Args:
        work: identifies the network and its settings; a mapping gives each a name.
        options: of what is done, by name.
    """
    facts: dict[str, Any] = dict(work) if isinstance(work, Mapping) else {"work": work}
    facts["class_names"] = facts.pop("classes", None)
    overrides = [str(text).partition("=") for text in facts.pop("overrides", ())]
    return {
        **_flat(options),
        **_flat({_NAMES.get(name, name): value for name, value in facts.items()}),
        **{name: value for name, _, value in overrides},
    }


def _flat(values: Mapping[str, Any]) -> dict[str, str]:
    """The values as text. What is inside another value has both names, except inside `settings`."""
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= {key if name == "settings" else f"{name}.{key}": text for key, text in _flat(value).items()}
        elif isinstance(value, list | tuple):
            flat |= {name: ", ".join(map(str, value))} if value else {}
        elif value is not None:
            flat[name] = value if isinstance(value, str) else json.dumps(value, default=str)
    return flat


def changed_settings(
    before: Mapping[str, str], now: Mapping[str, str], form: str = "{} was {}, is {} now", also: str = ""
) -> str:
    """` (shard_size was 4, is 3 now)` with a few settings; the empty string if they are equal, or not known.

    Args:
        before: as `named_settings` gives them.
        now: the same.
        form: for the name of a setting and its two values.
        also: another change, which comes last.
    """
    changed = [name for name in {**before, **now} if before.get(name) != now.get(name)] if before and now else []
    if "table" in changed:  # cut-outs have other settings than detections
        changed = ["table"]
    texts = [form.format(name, _short(name, before), _short(name, now)) for name in changed[:_NAMED]]
    texts += [f"and {len(changed) - _NAMED} more"] if len(changed) > _NAMED else []
    texts += [also] if also else []
    return f" ({'; '.join(texts)})" if texts else ""


def _short(name: str, values: Mapping[str, str]) -> str:
    text = values.get(name, "not set")
    if name == _NAMES["weights"]:
        return text[:_DIGITS]
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def changed_input(before: Mapping[int, str], now: Mapping[int, str], what: str = "photo") -> str:
    """`photo 3 was a.jpg, is b.jpg now`: the first one that was another one; the empty string if there is none.

    Args:
        before: the names of the inputs by their numbers, of those that are known.
        now: the same, of those that there can be.
        what: an input is.
    """
    number = next((number for number in sorted(before) if before[number] != now.get(number)), 0)
    if not number:
        return ""
    if number in now:
        return f"{what} {number} was {before[number]}, is {now[number]} now"
    return f"{what} {number} was {before[number]}, and there is no such {what} now"
