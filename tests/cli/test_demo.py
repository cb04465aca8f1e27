"""`clothseg demo`, with one network and with several: what it says when it is stopped, and what it does again."""

from pathlib import Path
from typing import Any

import pytest

from clothseg.cli.demo_networks import demo_presets
from clothseg.config import NETWORK_SETTINGS, Config
from clothseg.errors import InterruptedRun
from clothseg.runs import RunFolder

from .conftest import RunCommand


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The steps that the demo calls; none does anything, except that the first `fit` is stopped."""
    done: list[str] = []

    def build(source: Path, out: Path, **_: Any) -> None:
        done.append("build")
        out.mkdir(parents=True)
        (out / "dataset.yaml").touch()

    def fit(data: Path, out: Path, *, resume: bool = False, **_: Any) -> None:
        done.append(f"fit resume={resume}")
        if not resume:
            RunFolder(out).last.parent.mkdir()
            RunFolder(out).last.touch()
            raise InterruptedRun("after step 3, all is saved")
        print("text of fit")

    def evaluate(run: Path, data: Path, *, initial: bool = False, **_: Any) -> None:
        done.append(f"evaluate initial={initial}")

    for step in (build, fit, evaluate):
        monkeypatch.setattr(f"clothseg.cli.demo.{step.__name__}", step)
    monkeypatch.setattr("clothseg.cli.demo.predict", lambda *_, **__: done.append("predict"))
    monkeypatch.setattr("clothseg.report.write_report", lambda run, data: run / "report.html")
    return done


def test_a_stopped_demo_is_resumed(
    calls: list[str], run_command: RunCommand, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "demo"
    assert run_command("demo", "--out", out) == 1
    assert f"continue with: clothseg demo --out {out} --resume" in capsys.readouterr().err
    assert calls == ["build", "fit resume=False"]
    assert run_command("demo", "--out", out) == 2
    assert "exists already" in capsys.readouterr().err
    calls.clear()
    assert run_command("demo", "--out", out, "--resume") == 0
    assert calls == ["fit resume=True", "evaluate initial=True", "evaluate initial=False", "predict"]
    assert f"Open {out / 'report.html'}" in capsys.readouterr().out
    RunFolder(out).initial_metrics.touch()
    calls.clear()
    assert run_command("demo", "--out", out, "--resume", "--quiet") == 0
    assert calls == ["fit resume=True", "evaluate initial=False", "predict"]
    assert capsys.readouterr() == (f"{out / 'report.html'}\n", "")


def test_without_a_stopped_one_resume_begins(calls: list[str], run_command: RunCommand, tmp_path: Path) -> None:
    assert run_command("demo", "--out", tmp_path / "demo", "--resume") == 1
    assert calls == ["build", "fit resume=False"]


def test_every_network_has_a_demo() -> None:
    presets = demo_presets()
    assert list(presets) == list(NETWORK_SETTINGS)
    for name, preset in presets.items():
        assert Config.load(preset).network.name == name


@pytest.fixture
def of_networks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The steps of a demo with several networks; none does anything, except that the second `fit` is stopped."""
    done: list[str] = []

    def build(source: Path, out: Path, **_: Any) -> None:
        done.append("build")
        out.mkdir(parents=True)
        (out / "dataset.yaml").touch()

    def fit(data: Path, out: Path, *, config: str = "", resume: bool = False, **_: Any) -> None:
        done.append(f"fit {out.name} {config or 'resume'}")
        RunFolder(out).last.parent.mkdir(parents=True, exist_ok=True)
        RunFolder(out).last.touch()
        if "build" in done and len([step for step in done if step.startswith("fit")]) == 2:
            raise InterruptedRun("after step 3, all is saved")

    def evaluate(run: Path, data: Path, **_: Any) -> None:
        done.append(f"evaluate {run.name}")
        RunFolder(run).metrics.touch()

    def compare(runs: list[Path], *, out: Path, **_: Any) -> None:
        done.append(f"compare {' '.join(run.name for run in runs)}")

    for step in (build, fit, evaluate, compare):
        monkeypatch.setattr(f"clothseg.cli.demo_networks.{step.__name__}", step)
    return done


def test_a_stopped_demo_of_several_networks_is_resumed(
    of_networks: list[str], run_command: RunCommand, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, words = tmp_path / "demo", ("demo", "--networks", "all")
    assert run_command(*words, "--out", out) == 1
    assert f"continue with: clothseg demo --networks all --out {out} --resume" in capsys.readouterr().err
    first, second, third = NETWORK_SETTINGS
    presets = demo_presets()
    assert of_networks == [
        "build", f"fit {first} {presets[first]}", f"evaluate {first}", f"fit {second} {presets[second]}",
    ]  # fmt: skip
    of_networks.clear()
    assert run_command(*words, "--out", out, "--resume") == 0
    assert of_networks == [
        f"fit {second} resume", f"evaluate {second}", f"fit {third} {presets[third]}", f"evaluate {third}",
        f"compare {first} {second} {third}",
    ]  # fmt: skip
    assert f"Open {out / 'comparison.html'}" in capsys.readouterr().out


def test_networks_are_chosen_by_name(
    of_networks: list[str], run_command: RunCommand, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command("demo", "--networks", "yolact,yolcat", "--out", tmp_path / "demo") == 2
    assert "did you mean yolact?" in capsys.readouterr().err
    assert run_command("demo", "--networks", "yolact", "--out", tmp_path / "demo") == 2
    assert "name two or more" in capsys.readouterr().err
    of_networks.append("fit")  # so that none is stopped
    of_networks.append("fit")
    assert run_command("demo", "--networks", "deeplab, yolact", "--out", tmp_path / "demo", "--quiet") == 0
    assert of_networks[-1] in ("compare deeplab yolact", "compare yolact deeplab")
    assert capsys.readouterr() == (f"{tmp_path / 'demo' / 'comparison.html'}\n", "")


def test_a_short_demo_trains_fewer_epochs(
    calls: list[str],
    run_command: RunCommand,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given: list[Any] = []
    monkeypatch.setattr("clothseg.cli.demo.fit", lambda *_, **options: given.append(options))
    assert run_command("demo", "--epochs", 1, "--out", tmp_path / "demo") == 0
    assert given[0]["overrides"] == ["train.epochs=1"]
    assert "--config garments --set train.epochs=1 --out" in " ".join(capsys.readouterr().out.split())
    assert Config.load(given[0]["config"], given[0]["overrides"]).train.epochs == 1
    assert run_command("demo", "--epochs", 0, "--out", tmp_path / "other") == 2
