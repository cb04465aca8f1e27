"""Settings from YAML, presets and overrides; errors for wrong keys and values, and for old keys."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from pydantic import ValidationError

from clothseg.config import NETWORK_SETTINGS, Config, MaskRCNNSettings, Section, StageSettings, preset_names
from clothseg.config.renamed import RENAMED
from clothseg.errors import ConfigError
from clothseg.instances import Instances, RleMasks, encode
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


def strengths(**values: float) -> dict[str, float]:
    """The settings of augmentation by dotted name."""
    return {f"augment.{name}" if name == "flip" else f"augment.{name}.max": value for name, value in values.items()}


GEOMETRY = strengths(stretch=0.02, shift=0.05, rotate=10.0, shear=5.0)  # one affine: each side, each axis, degrees
LIGHT = strengths(brightness=0.2, contrast=0.2)
NO_AUGMENTATION = dict.fromkeys([*GEOMETRY, *LIGHT, *strengths(flip=0, blur=0, sharpen=0)], 0.0)


def only(values: dict[str, float]) -> dict[str, float]:
    return {**NO_AUGMENTATION, **values}


def rates(*rows: tuple[str, int, float]) -> list[dict[str, object]]:
    """Stages: what is trained, up to which epoch, and at which rate."""
    return [{"trainable": part, "end_epoch": end, "learning_rate": rate} for part, end, rate in rows]


EXPERIMENTS: dict[str, dict[str, object]] = {
    "resnet50": {"backbone.name": "resnet50"},
    "dropout-0.5": {"backbone.dropout": 0.5},
    "l2": {"network.rpn.box_loss": "l2"},
    "anchors-32-512": {"network.anchors.scales": [[32.0], [64.0], [128.0], [256.0], [512.0]]},
    "anchors-8-128": {"network.anchors.scales": [[8.0], [16.0], [32.0], [64.0], [128.0]]},
    "input-1024": {"input.min_side": 800, "input.max_side": 1024},
    "input-256": {"input.min_side": 256, "input.max_side": 256},
    "rpn-nms-0.7": {"network.rpn.nms_iou": 0.7},
    "rpn-nms-0.9": {"network.rpn.nms_iou": 0.9},
    "score-0.75": {"inference.score_threshold": 0.75},
    "score-0.8": {"inference.score_threshold": 0.8},
    "epochs-60": {"train.epochs": 60, "train.stages": rates(("heads", 40, 1e-3), ("all", 60, 1e-3))},
    "rates-a": {
        "train.stages": rates(
            ("heads", 40, 1e-3), ("all", 60, 1e-3 / 10), ("all", 80, 1e-3 / 50), ("all", 100, 1e-5), ("all", 120, 2e-6)
        )
    },
    "rates-b": {"train.stages": rates(("heads", 40, 1e-3), ("all", 60, 1e-3), ("all", 100, 1e-4), ("all", 120, 5e-5))},
    "augment-geometry": {**only(GEOMETRY)},
    "augment-flip": {**only(strengths(flip=0.2))},
    "augment-light": {**only(LIGHT)},
    "augment-focus": {**only(strengths(blur=0.1, sharpen=0.1))},
    "augment-flip-focus": {**only(strengths(flip=0.2, blur=0.1, sharpen=0.1))},
    "augment-0.3": {**strengths(flip=0.3, blur=0.2, sharpen=0.2)},
    "augment-0.35": {**strengths(flip=0.35, blur=0.25, sharpen=0.25)},
}
"""What the report tried, each against its final network; from its tables, not from our files."""


def test_paper_is_the_final_network_of_the_report() -> None:
    """Learning-rate table C, the combination "all 0.2", and the choices of the other experiments."""
    paper = flattened("paper")
    chosen = {
        "backbone.name": "resnet101",
        "backbone.dropout": 0.0,
        "network.rpn.box_loss": "smooth_l1",
        "network.rpn.nms_iou": 0.8,
        "network.anchors.scales": [[16.0], [32.0], [64.0], [128.0], [256.0]],
        "input.min_side": 512,
        "input.max_side": 512,
        "inference.score_threshold": 0.7,
        "train.epochs": 120,
        "train.steps_per_epoch": 131,
        "train.batch_size": 1,
        "train.stages": rates(
            ("heads", 40, 1e-3), ("all", 60, 1e-3), ("all", 80, 1e-4), ("all", 100, 1e-5), ("all", 120, 1e-6)
        ),
        **GEOMETRY,
        **LIGHT,
        **strengths(flip=0.2, blur=0.1, sharpen=0.1),
    }
    assert {key: paper[key] for key in chosen} == chosen


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_each_experiment_changes_only_what_the_report_changed(name: str) -> None:
    paper, other, expected = flattened("paper"), flattened(f"paper/{name}"), EXPERIMENTS[name]
    changed = {key: value for key, value in other.items() if value != paper[key]}
    assert changed == {key: value for key, value in expected.items() if paper[key] != value}
    assert changed


def test_every_experiment_of_the_report_has_a_file() -> None:
    assert {name.removeprefix("paper/") for name in preset_names() if name.startswith("paper/")} == set(EXPERIMENTS)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_makes_a_step(name: str) -> None:
    """Losses of a small photo, and gradients, with a small backbone unless the experiment is about that."""
    smaller = [] if name in {"resnet50", "dropout-0.5"} else ["backbone.name=resnet18"]
    config = Config.load(f"paper/{name}", [*smaller, "input.min_side=64", "input.max_side=64", "weights=random"])
    network = build_network(config, 3).train()
    mask = np.zeros((60, 50), dtype=np.bool_)
    mask[10:50, 5:40] = True
    boxes = torch.tensor([[5.0, 10.0, 40.0, 50.0]])
    truth = Instances((60, 50), boxes, torch.tensor([2]), RleMasks([encode(mask)], (60, 50)))
    losses = network.losses([torch.rand(3, 60, 50)], [truth])
    losses["total"].backward()  # type: ignore[no-untyped-call]
    assert all(loss.isfinite() for loss in losses.values())
    assert any(parameter.grad is not None for parameter in network.parameters())


def flattened(preset: str) -> dict[str, object]:
    """All settings by dotted name; the strengths of augmentation in two parts."""
    flat: dict[str, object] = {}
    for key, value in Config.load(preset).flat().items():
        if isinstance(value, dict) and value.keys() == {"max", "p"}:
            flat |= {f"{key}.{part}": number for part, number in value.items()}
        else:
            flat[key] = value
    return flat


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


def test_a_configuration_that_clothseg_wrote_is_read_by_later_versions(tmp_path: Path) -> None:
    """Runs outlive renames; only what a user types must have the names of today."""
    config = Config.load("demo", ["unlabelled.score_threshold=0.7", "unlabelled.mask_score_threshold=0.6"])
    above, below = config.to_yaml().split("unlabelled:")
    for old, new in (("sure_mask", "mask_score_threshold"), ("sure_score", "score_threshold")):
        assert f"{new}:" in below
        below = below.replace(f"{new}:", f"{old}:")
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
