"""`--device`: a device that this machine does not have is refused before anything is written."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from clothseg import Config, MaskRCNN

COMMANDS = {
    "fit": ["fit", "data", "--out", "run"],
    "evaluate": ["evaluate", "run", "data"],
    "predict": ["predict", "run", "photo.jpg", "--out", "found"],
    "cutout": ["cutout", "run", "photo.jpg", "--out", "cut"],
    "compose": ["compose", "a.png", "b.jpg", "--replace", "run", "--out", "c.png"],
    "demo": ["demo", "--out", "run"],
}


@pytest.fixture
def refusal(
    run_command: Callable[..., int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., str]:
    """Runs a command in `tmp_path` that is refused in one line with nothing written; returns this line."""
    monkeypatch.chdir(tmp_path)

    def refused(*words: str) -> str:
        before = sorted(tmp_path.rglob("*"))
        assert run_command(*words) == 2
        shown = capsys.readouterr().err
        assert shown.count("\n") == 1
        assert sorted(tmp_path.rglob("*")) == before
        return shown

    return refused


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_name_is_refused_before_the_inputs_are_read(command: str, refusal: Callable[..., str]) -> None:
    shown = refusal(*COMMANDS[command], "--device", "gpu")
    assert "error: device 'gpu': write auto, cpu, cuda, mps, or" in shown


@pytest.mark.parametrize("command", ["predict", "cutout", "compose", "demo"])
def test_a_missing_device_is_refused_before_anything_is_written(
    command: str, refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    Path("run").mkdir()
    config = Config.load("demo", ["weights=random"])
    MaskRCNN(config).build(["Suit"]).save("run/weights.safetensors")
    Path("run/config.yaml").write_text(config.to_yaml())
    for name in ("photo.jpg", "a.png", "b.jpg"):
        Image.new("RGB", (40, 30)).save(name)
    words = [word.replace("run", "demo") if command == "demo" else word for word in COMMANDS[command]]
    assert "error: device cuda:99: " in refusal(*words, "--device", "cuda:99")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["evaluate", "results.json", "data"], "--device needs a run's folder"),
        (["compose", "a.png", "b.jpg", "--at", "50%,50%", "--out", "c.png"], "add --replace RUN"),
    ],
)
def test_commands_without_a_network_take_no_device(
    words: list[str],
    message: str,
    run_command: Callable[..., int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("results.json").write_text("[]")
    assert run_command(*words, "--device", "cpu") == 2
    assert message in capsys.readouterr().err
