"""Broken configurations: files in YAML, and settings of the command line."""

import random
from pathlib import Path

import pytest
import yaml
from fuzzing import ODD_VALUES, Fuzz, bomb, spoil_bytes, spoil_tree

from clothseg.config import Config
from clothseg.errors import ConfigError

SNIPPETS = (
    *("!!binary aGVsbG8=", "2001-12-14t21:59:43.10-05:00", "2001-99-99", "!!timestamp x", "!!int ''", "!!float ''"),
    *("! ''", "!!python/object/apply:os.system [echo]", "!!set {a, b}", "!!omap [a: 1]", "!!bool ''", "!!null x"),
    *("&a [*a]", "*unknown", "1" * 5000, "0x" + "f" * 5000, "1_000", "0b", "0o8", ".inf", "-.inf", ".nan", "1:60:60"),
    *(
        "? [a]\n: b",
        "? {a: b}\n: c",
        "<<: 3",
        "<<: [1]",
        "- a\nb: c",
        "%YAML 9.9",
        "---\n---\n",
        "\ttabs",
        "{a: 1, a: 2}",
    ),
)


TREES = [yaml.safe_load(Config.load(preset).to_yaml()) for preset in ("demo", "small", "paper")]


def configuration(rng: random.Random) -> bytes:
    tree = rng.choice(TREES)
    kind = rng.randrange(10)
    if kind == 0:
        return spoil_bytes(yaml.safe_dump(tree).encode(), rng)
    if kind == 1:
        return bomb(rng.choice([3, 9])).encode()
    if kind == 2:
        depth = rng.choice([100, 1000, 20_000])
        return ("train: " + "[" * depth + "]" * depth).encode()
    if kind <= 5:
        lines = yaml.safe_dump(tree).splitlines()
        place = rng.randrange(len(lines))
        lines[place] = lines[place].partition(":")[0] + ": " + rng.choice(SNIPPETS)
        return "\n".join(lines).encode()
    return yaml.dump(spoil_tree(tree, rng), allow_unicode=rng.random() < 0.5).encode("utf-8", "replace")


def test_configuration_files(fuzz: Fuzz) -> None:
    fuzz(configuration, Config.load, name="config.yaml")


def test_settings_of_the_command_line(fuzz: Fuzz) -> None:
    names = ("train.epochs", "train.stages", "network", "network.rpn.ratios", "input.width", "a..b", "", "train", "x.y")

    def make(rng: random.Random) -> str:
        value = rng.choice([*SNIPPETS, *(repr(value) for value in ODD_VALUES)])
        return rng.choice([f"{rng.choice(names)}={value}", rng.choice(names), value])

    fuzz(make, lambda text: Config.load("demo", overrides=[text]))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (bomb(9), "too many values"),
        ("a: &a [*a]", "contains itself"),
        ("train: " + "[" * 60 + "]" * 60, "nested too deeply"),
        ("train: " + "[" * 3000 + "]" * 3000, "nested too deeply"),
        ("train: {epochs: 2001-99-99}", "a value that cannot be read"),
        ("train: {epochs: 0x" + "f" * 5000 + "}", "over 64 bits"),
        ("train: {weight_decay: .inf}", "finite"),
        ("train: {grad_clip_norm: .nan}", "finite"),
        ("network: {anchors: {ratios: [.nan, 1.0]}}", "finite"),
        ("network: {name: [mask_rcnn]}", "must be one of mask_rcnn"),
        ("train: {stages: 3}", "train.stages"),
        ("train: {epochs: 1, epochs: 2}", "occurs twice"),
    ],
)
def test_reasons_are_given(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=reason) as caught:
        Config.load(path)
    assert str(path) in str(caught.value)
