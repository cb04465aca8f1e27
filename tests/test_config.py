"""Settings from YAML, presets and overrides; errors for wrong keys and values, and for old keys."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from clothseg.config import Config, MaskRCNNSettings, Section, StageSettings, preset_names
from clothseg.config.renamed import RENAMED
from clothseg.errors import ConfigError
from clothseg.networks import build_network


def test_yaml_reads_back_equal(tmp_path: Path) -> None:
    config = Config.load("demo", ["network.loss_weights.class=2.5", "train.grad_clip_norm=null"])
    assert isinstance(config.network, MaskRCNNSettings)
    assert config.network.loss_weights.class_ == 2.5
    assert config.network.weight_by_loss["class"] == 2.5
    (tmp_path / "c.yaml").write_text(config.to_yaml())
    assert Config.load(tmp_path / "c.yaml") == config


def test_every_problem_is_reported_at_once(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(
        "picture: {min_side: 64}\nnetwork: {fpn: {channels: many}}\ntrian: {epochs: 3}\n"
        "train: {epoch: 3, learning_rate: -1}\n"
    )
    with pytest.raises(ConfigError) as caught:
        Config.load(path, ["train.epochs", "x.y=3"])
    text = str(caught.value)
    for part in (
        "7 problem",
        "picture.min_side is now input.min_side",
        "network.fpn.channels",
        "did you mean train?",
        "did you mean train.epochs?",
        "train.learning_rate",
        "override 'train.epochs'",
        "x: unknown key",
        str(path),
    ):
        assert part in text


@pytest.mark.parametrize("content", ["a: [1", "- 1\n- 2", "\t:"])
def test_broken_yaml_names_the_file(tmp_path: Path, content: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"broken\.yaml"):
        Config.load(path)


def test_missing_anchor_scales_of_a_level_are_refused() -> None:
    with pytest.raises(ConfigError, match="each level needs its own"):
        Config.load("demo", ["network.anchors.scales=[[32]]"])


def test_an_unknown_preset_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="demo"):
        Config.load("dmeo")
    assert "demo" in preset_names()


def test_display_shows_every_value(capsys: pytest.CaptureFixture[str]) -> None:
    Config().display()
    assert "frozen_stages: 2" in capsys.readouterr().out


def test_a_duplicate_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "twice.yaml"
    path.write_text("train: {epochs: 1, seed: 2, epochs: 3}\n")
    with pytest.raises(ConfigError, match=r"epochs occurs twice(.|\n)*line 1"):
        Config.load(path)


def test_levels_with_different_numbers_of_scales_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"\[2, 1, 1\] side lengths"):
        Config.load("demo", ["network.anchors.scales=[[8, 16], [32], [64]]"])


def test_unknown_keys_in_stages_are_reported() -> None:
    with pytest.raises(
        ConfigError, match=r"train\.stages\.0\.end_epok: unknown key; did you mean train\.stages\.0\.end_epoch\?"
    ):
        Config.load("demo", ["train.stages=[{trainable: heads, end_epok: 3}]"])


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_builds_a_network(name: str) -> None:
    network = build_network(Config.load(name), 3)
    assert sum(p.numel() for p in network.parameters()) > 1_000_000


@pytest.mark.parametrize("name", [name for name in preset_names() if name.startswith("paper/")])
def test_each_experiment_changes_one_setting_of_paper(name: str) -> None:
    paper, other = Config.load("paper").flat(), Config.load(name).flat()
    expected = {
        "paper/resnet50": {"backbone.name": "resnet50"},
        "paper/l2": {"network.rpn.box_loss": "l2"},
        "paper/anchors-32-512": {"network.anchors.scales": [[32.0], [64.0], [128.0], [256.0], [512.0]]},
        "paper/input-1024": {"input.min_side": 800, "input.max_side": 1024},
        "paper/rpn-nms-0.7": {"network.rpn.nms_iou": 0.7},
    }
    assert {key: value for key, value in other.items() if value != paper[key]} == expected[name]


def test_a_file_extends_another_file_that_extends_a_preset(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "base.yaml").write_text("extends: demo\ntrain: {epochs: 3}\n")
    (tmp_path / "sub" / "mine.yaml").write_text(
        "extends: ../base.yaml\ntrain: {seed: 7}\nnetwork: {anchors: {ratios: [1.0]}}\n"
    )
    given = {"train.epochs": 3, "train.seed": 7, "network.anchors.ratios": [1.0]}
    assert Config.load(tmp_path / "sub" / "mine.yaml").flat() == Config.load("demo").flat() | given


@pytest.mark.parametrize(
    ("text", "message"),
    [("extends: me.yaml\n", "circular"), ("extends: 3\n", "takes the name"), ("extends: nowhere\n", "no such")],
)
def test_a_wrong_extends_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "me.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        Config.load(tmp_path / "me.yaml")


def test_stages_that_end_at_the_wrong_epoch_are_refused() -> None:
    for ends in (
        "[{trainable: heads, end_epoch: 3}]",
        "[{trainable: heads, end_epoch: 2}, {trainable: all, end_epoch: 2}]",
    ):
        with pytest.raises(ConfigError, match="stages end after epochs"):
            Config.load("demo", ["train.epochs=2", f"train.stages={ends}"])


def test_extending_an_early_stopped_run_starts_at_its_last_epoch() -> None:
    config = Config.load("paper", ["train.patience=5"])
    longer = config.extended(10, ended=60).train
    assert [(s.frozen_stages, s.end_epoch, s.learning_rate) for s in longer.stages] == [
        (5, 40, 0.001),
        (0, 60, 0.0001),
        (0, 70, 0.0001),
    ]
    assert config.extended(10).train.epochs == 130


def test_a_monitor_without_evaluation_is_refused() -> None:
    with pytest.raises(ConfigError, match="evaluate_every"):
        Config.load("demo", ["train.monitor=mask_AP", "train.evaluate_every=null"])
    with pytest.raises(ConfigError, match="patience"):
        Config.load("demo", ["train.monitor=last", "train.patience=2"])


def test_an_unknown_monitor_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        Config.load("demo", ["train.monitor=val_maks"])
    losses = ["val_rpn_class", "val_rpn_bbox", "val_class", "val_bbox", "val_mask"]
    known = ["last", "val_total", *losses, "mask_AP", "mask_AP50", "box_AP", "box_AP50", "report_mAP"]
    assert f"train.monitor is 'val_maks', but must be one of {', '.join(known)}" in str(caught.value)
    for name in known[1:]:
        assert Config.load("demo", [f"train.monitor={name}", "train.evaluate_every=1"]).train.monitor == name


def test_an_unknown_network_lists_the_known_ones_and_other_problems() -> None:
    with pytest.raises(ConfigError) as caught:
        Config.load("demo", ["network.name=mask_rcn", "input.height=many", "train.epoch=3"])
    text = str(caught.value)
    assert "3 problems" in text
    assert "network: name is 'mask_rcn', but must be one of mask_rcnn" in text
    assert "input.height" in text
    assert "train.epoch: unknown key" in text


def test_the_network_section_depends_on_the_name() -> None:
    trees: list[dict[str, Any]] = [{}, {"network": {}}, {"network": {"name": "mask_rcnn"}}]
    for tree in trees:
        network = Config.from_tree(tree, [], "test").network
        assert isinstance(network, MaskRCNNSettings)
        assert network == MaskRCNNSettings()
    with pytest.raises(ConfigError, match=r"network\.rpn\.chanels: unknown key; did you mean network\.rpn\.channels\?"):
        Config.load("demo", ["network.rpn.chanels=3"])


def sections(section: Section) -> list[Section]:
    inner = [value for name in type(section).model_fields if isinstance(value := getattr(section, name), Section)]
    return [section, *(deeper for one in inner for deeper in sections(one))]


def test_configurations_are_immutable() -> None:
    config = Config.load("paper")
    before = config.to_yaml()
    for section in [*sections(config), *config.train.stages]:
        for name in type(section).model_fields:
            with pytest.raises(ValidationError, match="frozen"):
                setattr(section, name, getattr(section, name))
            assert not isinstance(getattr(section, name), list)
    changed = config.changed("train", epochs=7)
    assert changed.train.epochs == 7
    assert config.to_yaml() == before


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


@pytest.mark.parametrize("name", ["demo", "paper"])
def test_explained_has_a_comment_for_every_value_and_reads_back_equal(name: str, tmp_path: Path) -> None:
    config = Config.load(name)
    text = config.explained()
    (tmp_path / "explained.yaml").write_text(text)
    assert Config.load(tmp_path / "explained.yaml") == config
    assert all(len(line) <= 120 for line in text.splitlines() if line.lstrip().startswith("#"))

    path: list[str] = []
    seen, comment = [], ""
    for line in text.splitlines():
        indent, content = len(line) - len(line.lstrip()), line.strip()
        if content.startswith("#"):
            comment = content.removeprefix("#").strip()
        elif content:
            key, _, value = content.partition(":")
            path[indent // 2 :] = [key]
            assert comment, line
            if value:
                seen.append(".".join(path))
            comment = ""
    assert seen == list(config.flat())
    assert yaml.safe_load(text) == config.model_dump(mode="json", by_alias=True)
