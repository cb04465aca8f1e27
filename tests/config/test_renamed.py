"""Keys and values of earlier versions: each is read, or explained by an error that names the new one."""

from pathlib import Path
from typing import Any

import pytest

from clothseg.config import Config, StageSettings
from clothseg.config.renamed import REMOVED, RENAMED
from clothseg.errors import ConfigError


def old_tree(old: str) -> dict[str, Any]:
    """A configuration with one old key, whose value is the default of the new key."""
    new = RENAMED[old]
    if old.startswith("train.stages."):
        stage = {"trainable": "heads", "end_epoch": 12}
        stage[old.rpartition(".")[2]] = stage.pop(new.rpartition(".")[2])
        return {"train": {"stages": [stage]}}
    default: Any = Config().model_dump(mode="json", by_alias=True)
    for key in new.split("."):
        default = default[key]
    if isinstance(default, dict) and default.keys() == {"max", "p"}:
        default = default["max"]  # a strength may be a bare number
    elif isinstance(default, dict) and default:
        key = next(key for key in default if f"{old}.{key}" not in RENAMED)
        default = {key: default[key]}
    *above, last = old.split(".")
    tree: dict[str, Any] = {last: default}
    for key in reversed(above):
        tree = {key: tree}
    return tree


@pytest.mark.parametrize("old", REMOVED)
def test_a_removed_key_is_an_error_in_a_file_of_the_user_and_dropped_in_one_of_clothseg(
    old: str, tmp_path: Path
) -> None:
    section, key = old.split(".")
    assert old not in Config().flat()
    file = tmp_path / "config.yaml"
    file.write_text(f"{section}: {{{key}: false}}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"{old} is no setting any more, because .*; remove it"):
        Config.load(file)
    assert Config.load_saved(file) == Config()


@pytest.mark.parametrize("old", RENAMED)
def test_an_old_key_raises_an_error_that_names_the_new_one(old: str) -> None:
    new = RENAMED[old]
    names = {*Config().flat(), *(f"train.stages.{name}" for name in StageSettings.model_fields)}
    assert new in names or any(name.startswith(f"{new}.") for name in names)
    assert old not in names
    with pytest.raises(ConfigError) as caught:
        Config.from_tree(old_tree(old), [], "old.yaml")
    first, *problems = str(caught.value).splitlines()
    assert first == "old.yaml has 1 problem:"
    (problem,) = problems
    before, _, now = problem.strip().partition(" is now ")
    assert before == old or before.startswith(f"{old}.")
    assert now == new + before.removeprefix(old)


def test_a_configuration_that_clothseg_wrote_is_read_by_later_versions(tmp_path: Path) -> None:
    """Runs outlive renames; only what a user types must have the names of today."""
    config = Config.load("demo", ["unlabelled.score_threshold=0.7", "unlabelled.mask_score_threshold=0.6"])
    above, below = config.to_yaml().split("unlabelled:")
    for old, new in (("sure_mask", "mask_score_threshold"), ("sure_score", "score_threshold")):
        assert f"{new}:" in below
        below = below.replace(f"{new}:", f"{old}:", 1)
    path = tmp_path / "config.yaml"
    path.write_text(f"{above}unlabelled:{below}")
    assert Config.load_saved(path) == config
    assert Config.load_saved(path, ["train.epochs=3"]).train.epochs == 3
    with pytest.raises(ConfigError, match=r"unlabelled\.sure_score is now unlabelled\.score_threshold"):
        Config.load(path)


def test_other_old_keys_and_values_are_explained() -> None:
    for override, message in (
        ("network=mask_rcnn", "network is a section now; write network: {name: mask_rcnn}"),
        ("augment.blur={most: 2, chance: 0.5}", "augment.blur.most is now augment.blur.max"),
        ("augment.blur={most: 2, chance: 0.5}", "augment.blur.chance is now augment.blur.p"),
        ("augment.multiply={most: 0.2}", "augment.multiply.most is now augment.brightness.max"),
        ("detect.thresholds={Suit: 0.9}", "detect.thresholds is now inference.class_thresholds"),
        ("picture.height=many", "input.height: Input should be a valid integer"),
    ):
        with pytest.raises(ConfigError) as caught:
            Config.load("demo", [override])
        assert message in str(caught.value)
