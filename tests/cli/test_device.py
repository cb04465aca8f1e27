"""`--device`: a device that this machine does not have is refused before anything is written."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

COMMANDS = {
    "fit": ["fit", "data", "--out", "run"],
    "evaluate": ["evaluate", "run", "data"],
    "predict": ["predict", "run", "photo.jpg", "--out", "found"],
    "cutout": ["cutout", "run", "photo.jpg", "--out", "cut"],
    "compose": ["compose", "a.png", "b.jpg", "--replace", "run", "--out", "c.png"],
    "demo": ["demo", "--out", "run"],
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("device", "message"),
    [("cuda:99", "error: device cuda:99: "), ("gpu", "error: device 'gpu': write auto, cpu, cuda, mps, or")],
)
def test_a_missing_device_is_refused_at_once(
    command: str,
    device: str,
    message: str,
    run_command: Callable[..., int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert run_command(*COMMANDS[command], "--device", device) == 2
    shown = capsys.readouterr().err
    assert message in shown and shown.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


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
