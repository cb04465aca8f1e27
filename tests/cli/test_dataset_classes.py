"""`clothseg dataset classes` as a user types it."""

import json
from pathlib import Path

from PIL import Image
from typer.testing import CliRunner

from clothseg.cli.app import app

runner = CliRunner()


def test_classes_on_the_command_line(tmp_path: Path) -> None:
    result = runner.invoke(
        app, ["dataset", "classes", "sample", "Clothing", "--out", str(tmp_path / "t.png"), "--json"]
    )
    assert result.exit_code == 0
    (tree,) = json.loads(result.stdout)
    assert tree["name"] == "Clothing"
    with Image.open(tmp_path / "t.png") as picture:
        assert picture.height > 500
    shown = runner.invoke(app, ["dataset", "classes", "sample"])
    assert all(word in shown.stdout for word in ("Person", "Vehicle", "Clothing", "* can have masks"))
