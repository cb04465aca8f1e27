"""What commands print at their end."""

import pytest
import typer

from clothseg.cli.terminal import fail_in_part


@pytest.mark.parametrize(
    ("count", "whole_list", "end"),
    [
        (3, None, ["  [line] 2"]),
        (10, "list.csv", ["  [line] 9", "  the whole list: list.csv"]),
        (12, None, ["  [line] 9", "  and 2 more"]),
        (12, "list.csv", ["  [line] 9", "  and 2 more; the whole list: list.csv"]),
    ],
)
def test_ten_lines_are_shown_and_the_rest_is_counted(
    count: int, whole_list: str | None, end: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended:
        fail_in_part([f"[line] {number}" for number in range(count)], whole_list)
    assert ended.value.exit_code == 1
    shown = capsys.readouterr().err.splitlines()
    assert shown[0] == f"done in part: {count} missing or broken"
    assert shown[1] == "  [line] 0" and shown[-len(end) :] == end
    assert sum(line.startswith("  [line]") for line in shown) == min(count, 10)


def test_nothing_that_failed_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    fail_in_part([], "list.csv")
    assert capsys.readouterr().err == ""
