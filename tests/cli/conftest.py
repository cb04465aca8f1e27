"""What the tests of commands share: a call of the command line, and settings of a tiny network."""

from collections.abc import Callable

import pytest

from clothseg.cli import main

TINY = [
    "weights=random",
    "backbone.name=timm/test_efficientnet",  # one block for each stage
    "input.height=96",
    "input.width=64",
    "network.fpn.channels=32",
    "network.box_head.fc_dim=64",
    "network.mask_head.channels=32",
    "inference.score_threshold=0.0",
    "inference.max_detections=2",
]
"""Untrained, it finds two instances on every photo."""
RunCommand = Callable[..., int]


@pytest.fixture
def run_command(monkeypatch: pytest.MonkeyPatch) -> RunCommand:
    """Runs `clothseg` with these words in this process, and returns the exit code."""

    def run(*words: object) -> int:
        monkeypatch.setattr("sys.argv", ["clothseg", *map(str, words)])
        with pytest.raises(SystemExit) as caught:
            main()
        return int(caught.value.code or 0)

    return run
