from pathlib import Path

import pytest

from clothseg.config import Config, preset_names
from clothseg.errors import ConfigError
from clothseg.networks import build_network


def test_yaml_reads_back_equal(tmp_path: Path) -> None:
    config = Config.load("demo", ["losses.class=2.5", "train.clip_gradients=null"])
    assert config.losses.class_ == 2.5
    (tmp_path / "c.yaml").write_text(config.to_yaml())
    assert Config.load(tmp_path / "c.yaml") == config


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(
        "network: mask_rcn\npyramid: {channels: many}\ntrian: {epochs: 3}\ntrain: {epoch: 3, learning_rate: -1}\n"
    )
    with pytest.raises(ConfigError) as caught:
        Config.load(path, ["train.epochs", "x.y=3"])
    text = str(caught.value)
    for part in (
        "7 problem",
        "'mask_rcn'",
        "pyramid.channels",
        "did you mean train?",
        "did you mean epochs?",
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


def test_anchor_scales_for_every_level() -> None:
    with pytest.raises(ConfigError, match="each level needs its own"):
        Config.load("demo", ["anchors.scales=[[32]]"])


def test_unknown_preset_names_those_there() -> None:
    with pytest.raises(ConfigError, match="demo"):
        Config.load("dmeo")
    assert "demo" in preset_names()


def test_display_shows_every_value(capsys: pytest.CaptureFixture[str]) -> None:
    Config().display()
    assert "frozen_stages: 2" in capsys.readouterr().out


def test_a_key_that_stands_twice(tmp_path: Path) -> None:
    path = tmp_path / "twice.yaml"
    path.write_text("train: {epochs: 1, seed: 2, epochs: 3}\n")
    with pytest.raises(ConfigError, match=r"epochs stands twice(.|\n)*line 1"):
        Config.load(path)


def test_every_level_has_as_many_scales() -> None:
    with pytest.raises(ConfigError, match=r"\[2, 1, 1\] side lengths"):
        Config.load("demo", ["anchors.scales=[[8, 16], [32], [64]]"])


def test_unknown_keys_in_a_list_of_sections() -> None:
    with pytest.raises(ConfigError, match=r"train\.stages\.0\.untill: unknown key; did you mean until\?"):
        Config.load("demo", ["train.stages=[{layers: heads, untill: 3}]"])


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_read_and_built(name: str) -> None:
    network = build_network(Config.load(name), 3)
    assert sum(p.numel() for p in network.parameters()) > 1_000_000


@pytest.mark.parametrize("name", [name for name in preset_names() if name.startswith("paper/")])
def test_an_experiment_differs_from_the_paper_in_its_one_setting(name: str) -> None:
    paper, other = Config.load("paper").flat(), Config.load(name).flat()
    expected = {
        "paper/resnet50": {"backbone.name": "resnet50"},
        "paper/l2": {"losses.rpn_box_loss": "l2"},
        "paper/anchors-32-512": {"anchors.scales": [[32.0], [64.0], [128.0], [256.0], [512.0]]},
        "paper/picture-1024": {"picture.min_side": 800, "picture.max_side": 1024},
        "paper/rpn-nms-0.7": {"rpn.nms_iou": 0.7},
    }
    assert {key: value for key, value in other.items() if value != paper[key]} == expected[name]


def test_a_file_extends_another_beside_it_and_a_preset(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "base.yaml").write_text("extends: demo\ntrain: {epochs: 3}\n")
    (tmp_path / "sub" / "mine.yaml").write_text("extends: ../base.yaml\ntrain: {seed: 7}\nanchors: {ratios: [1.0]}\n")
    given = {"train.epochs": 3, "train.seed": 7, "anchors.ratios": [1.0]}
    assert Config.load(tmp_path / "sub" / "mine.yaml").flat() == Config.load("demo").flat() | given


@pytest.mark.parametrize(
    ("text", "message"),
    [("extends: me.yaml\n", "in a circle"), ("extends: 3\n", "takes the name"), ("extends: nowhere\n", "no such")],
)
def test_extends_that_leads_nowhere(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "me.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        Config.load(tmp_path / "me.yaml")
