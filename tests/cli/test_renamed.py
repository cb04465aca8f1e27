"""Options of earlier versions: each gives one error that names the new option."""

import re
import sys
from typing import Any

import pytest
import typer

from clothseg.cli import main
from clothseg.cli.app import app
from clothseg.cli.renamed import OTHER_COMMANDS, OTHER_OPTIONS, RENAMED_OPTIONS, refuse_renamed_options
from clothseg.errors import ClothsegError

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


FOREIGN = [(command, old, new) for command, options in OTHER_OPTIONS.items() for old, new in options.items()]


@pytest.mark.parametrize(("command", "old", "new"), FOREIGN)
def test_an_option_of_other_tools_is_answered_with_ours(command: tuple[str, ...], old: str, new: str) -> None:
    with pytest.raises(ClothsegError, match=re.escape(f"there is no option {old}; it is {new}")):
        refuse_renamed_options([*command, "data", old])
    assert old not in known_options(command)
    if new.startswith("--"):
        assert new.split(maxsplit=1)[0] in known_options(command)


@pytest.mark.parametrize(("old", "new"), OTHER_COMMANDS.items())
def test_a_command_of_other_tools_is_answered_with_ours(old: str, new: str) -> None:
    with pytest.raises(ClothsegError, match=f"there is no command {old}; it is `clothseg {new}`"):
        refuse_renamed_options([old, "data"])
    group: Any = typer.main.get_command(app)
    assert old not in group.commands
    assert new.split(maxsplit=1)[0] in group.commands
