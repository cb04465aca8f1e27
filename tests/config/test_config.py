"""Settings from YAML, presets and overrides; errors for wrong keys and values."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from clothseg.config import NETWORK_SETTINGS, Config, MaskRCNNSettings, Section, preset_names
from clothseg.errors import ConfigError


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
        (0, 60, 0.001),
        (0, 70, 0.001),
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


@pytest.mark.parametrize(
    ("resize", "sides"),
    [
        ("fit", "500 x 400"),
        ("stretch", "500 x 400"),
        ("keep_ratio", "600 to 700"),
        ("square", "700"),
        ("none", "up to 700"),
    ],
)
def test_the_text_of_a_config_names_the_input_of_every_kind(resize: str, sides: str) -> None:
    values = ["input.height=400", "input.width=500", "input.min_side=600", "input.max_side=700"]
    assert f"input {resize} {sides}," in repr(Config.load("demo", [f"input.resize={resize}", *values]))


def test_every_network_has_a_title_of_its_own() -> None:
    titles = [settings.title for settings in NETWORK_SETTINGS.values()]
    assert all(titles)
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("preset", preset_names())
def test_the_tree_of_a_configuration_is_that_of_its_yaml(preset: str) -> None:
    config = Config.load(preset)
    assert config.to_tree() == yaml.safe_load(config.to_yaml())
    assert Config.from_tree(config.to_tree(), [], preset) == config
