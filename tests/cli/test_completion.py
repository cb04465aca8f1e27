"""What the shell offers after TAB, asked as the shells ask, in a process of its own."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from fresh_process import FreshProcesses

from clothseg.config import Config, preset_names
from clothseg.models import MaskRCNN
from clothseg.runs import RunFolder

from .conftest import TINY

Offered = Callable[..., list[str]]
HEAVY = {"torch", "onnxruntime", "matplotlib"}


@pytest.fixture
def offered(fresh: FreshProcesses, tmp_path: Path) -> Offered:
    """What bash is offered for these words, the last of which is being typed. Refuses heavy imports."""

    def ask(*words: str, shell: str = "bash") -> list[str]:
        line = ["clothseg", *words]
        asked = {"_CLOTHSEG_COMPLETE": f"complete_{shell}", "COMP_CWORD": str(len(words)), "COMP_WORDS": " ".join(line)}
        asked["_TYPER_COMPLETE_ARGS"] = " ".join(line)  # how the others say it
        asked |= {"_TYPER_COMPLETE_FISH_ACTION": "get-args", "_TYPER_COMPLETE_WORD_TO_COMPLETE": words[-1]}
        done = fresh.run([], tmp_path, environment=asked)
        assert done.stderr == ""
        assert done.modules & HEAVY == set()
        return done.stdout.split() if shell == "bash" else [done.stdout]

    return ask


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = RunFolder(tmp_path_factory.mktemp("run")).weights
    MaskRCNN(Config.load("demo", TINY)).build(["Suit", "Dress", "blue jeans"]).save(path)
    return path


@pytest.fixture
def two_runs(weights: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        shutil.copy(weights, tmp_path / "runs" / name)
    (tmp_path / "runs" / "failed").mkdir()


def test_commands_and_options(offered: Offered) -> None:
    assert offered("fi") == ["fit", "figures"]
    assert offered("dataset", "ch") == ["check"]
    assert offered("dataset", "build", "sample", "--boxes-without-mask", "") == ["crowd", "learn", "ignore", "drop"]
    assert offered("fit", "data", "--overf") == ["--overfit-one-image"]
    assert "--install-completion" in offered("--i")


def test_presets(offered: Offered) -> None:
    assert sorted(offered("fit", "data", "--config", "")) == sorted(preset_names())
    assert offered("dataset", "show", "data", "--augment", "small-") == ["small-deeplab", "small-yolact"]
    assert offered("config", "show", "paper/res") == ["paper/resnet50"]


def test_runs(offered: Offered, two_runs: None) -> None:
    both = [str(Path("runs") / name) for name in ("first", "second")]
    for command in ("figures", "curves", "compare"):
        assert offered(command, "") == both
    for command in ("predict", "cutout", "evaluate", "export", "serve"):
        assert offered(command, "") == [*both, "garments"]
    assert offered("predict", "ga") == ["garments"]
    assert offered("predict", "runs/s") == both[1:]
    assert offered("predict", "photos/") == [], "the shell then offers files"


def test_classes_of_a_run(offered: Offered, two_runs: None) -> None:
    assert offered("cutout", "runs/first", "a.jpg", "--class", "") == ["Suit", "Dress"], "a space needs quotes"
    assert offered("predict", "runs/first", "a.jpg", "--threshold", "D") == ["Dress="]
    assert offered("cutout", "garments", "a.jpg", "--class", "Su") == ["Suit"]
    assert offered("cutout", "runs/failed", "a.jpg", "--class", "") == []
    assert offered("cutout", "nowhere", "a.jpg", "--class", "") == []


def test_classes_of_open_images(offered: Offered) -> None:
    assert offered("dataset", "build", "sample", "--classes", "Jea") == ["Jeans"]
    assert offered("dataset", "build", "sample", "--classes", "Suit,Dres") == ["Suit,Dress"]
    assert offered("dataset", "build", "nowhere", "--classes", "Su") == []
    assert "Swimwear" in offered("dataset", "download", "--classes", "Sw")


def test_settings_devices_networks_and_weights(offered: Offered) -> None:
    assert offered("fit", "data", "--set", "train.learning") == ["train.learning_rate="]
    assert offered("fit", "data", "--set", "network.box_head.fc_d") == ["network.box_head.fc_dim="]
    assert offered("fit", "data", "--set", "network.aspp.") != []
    assert offered("fit", "data", "--device", "c") == ["cpu", "cuda"]
    assert offered("demo", "--networks", "mask_rcnn,y") == ["mask_rcnn,yolact"]
    assert "coco" in offered("fit", "data", "--weights", "co")
    assert "coco" in offered("weights", "download", "co")


def test_every_offered_setting_exists() -> None:
    from clothseg.cli.completion import setting_names
    from clothseg.config import NETWORK_SETTINGS

    bases = {name: Config.for_network(name).model_dump() for name in NETWORK_SETTINGS}

    def exists(tree: dict[str, object], key: str) -> bool:
        name, _, rest = key.partition(".")
        below = tree.get(name)
        return name in tree and (not rest or (isinstance(below, dict) and exists(below, rest)))

    keys = [key.removesuffix("=") for key in setting_names("")]
    assert len(keys) == len(set(keys)) > 100
    assert [key for key in keys if not any(exists(tree, key) for tree in bases.values())] == []


@pytest.mark.parametrize("shell", ["zsh", "fish", "powershell"])
def test_other_shells(shell: str, offered: Offered) -> None:
    assert "small-yolact" in offered("fit", "data", "--config", "small-y", shell=shell)[0]


def test_the_script_for_a_shell_is_printed(fresh: FreshProcesses, tmp_path: Path) -> None:
    done = fresh.run([], tmp_path, environment={"_CLOTHSEG_COMPLETE": "source_bash"})
    assert done.wait() == 0
    assert "complete -o default -F" in done.stdout
    assert done.modules & HEAVY == set()
