"""Options of earlier versions: each gives one error that names the new option."""

import sys
from typing import Any

import pytest
import typer

from clothseg.cli import main
from clothseg.cli.app import app
from clothseg.cli.renamed import RENAMED_OPTIONS

CASES = [(command, old, new) for command, options in RENAMED_OPTIONS.items() for old, new in options.items()]


def known_options(command: tuple[str, ...]) -> set[str]:
    """The options that a command has now."""
    group: Any = typer.main.get_command(app)
    for word in command:
        found = group.commands[word]
        group = found.make_context(word, ["--help"], resilient_parsing=True).command
    return {option for parameter in group.params for option in parameter.opts}


@pytest.mark.parametrize(("command", "old", "new"), CASES)
def test_an_old_option_names_the_new_one(
    command: tuple[str, ...],
    old: str,
    new: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["clothseg", *command, "data", f"{old}=1"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert f"{old} is now {new}" in capsys.readouterr().err
    assert new in known_options(command)
    assert old not in known_options(command)
