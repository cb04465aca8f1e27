"""Commands that a person can paste into a shell."""

import shlex
import sys

import pytest

from clothseg.errors import shell_command


def test_a_command_is_quoted_for_the_shell_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["clothseg", "fit", "my data", "--out", r"C:\runs\first"]
    monkeypatch.setattr(sys, "platform", "linux")
    assert shlex.split(shell_command(words)) == words
    monkeypatch.setattr(sys, "platform", "win32")
    assert shell_command(words) == r'clothseg fit "my data" --out C:\runs\first'
