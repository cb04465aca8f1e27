"""`clothseg dataset stats` as a user types it."""

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from clothseg import sample
from clothseg.cli.app import app

runner = CliRunner()


def test_statistics_need_only_the_tables(tmp_path: Path) -> None:
    for path in sample.folder().glob("*.csv"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    chart = tmp_path / "out" / "bars.png"
    words = ["dataset", "stats", str(tmp_path), "--out", str(chart), "--json", "--min-instances", "36"]
    result = runner.invoke(app, words)
    assert result.exit_code == 0
    printed = json.loads(result.stdout)
    assert {c["name"] for c in printed["classes"] if c["selected"]} == {"Suit", "Dress", "Jeans"}
    assert {c["name"] for c in printed["classes"] if c["enough"]} >= {"Suit", "Dress", "Jeans"}
    with Image.open(chart) as picture:
        assert picture.width > 800
    shown = runner.invoke(app, ["dataset", "stats", str(tmp_path), "--partitions", "0-7"])
    assert shown.exit_code == 0
    assert "Jeans" in shown.stdout


def test_a_narrow_terminal_loses_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    words = ["dataset", "stats", str(sample.folder())]
    counts = {c["name"]: c for c in json.loads(runner.invoke(app, [*words, "--json"]).stdout)["classes"]}
    shown = [line.split("│")[1:-1] for line in runner.invoke(app, words).stdout.splitlines() if "│" in line]
    rows = {name.strip(): [cell.strip(" *") for cell in cells] for name, *cells in shown}
    for name in ("Suit", "Dress", "Jeans"):
        expected = [counts[name][key] for key in ("masks", "mask_photos", "boxes", "boxes_without_mask", "groups")]
        assert rows[name][:5] == [str(number) for number in expected]
