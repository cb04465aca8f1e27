"""`clothseg demo`: what it says when it is stopped, and what it does again."""

from pathlib import Path
from typing import Any

import pytest

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
