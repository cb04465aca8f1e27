"""When a teacher makes labels."""

import pytest

from clothseg.config import TeacherSettings


@pytest.mark.parametrize(
    ("epochs", "burn_in", "every", "expected"),
    [(10, 0.4, 2, [4, 6, 8]), (10, 0.0, 3, [1, 4, 7]), (5, 1.0, 1, []), (3, 0.34, 1, [1, 2])],
)
def test_when_the_teacher_makes_labels(epochs: int, burn_in: float, every: int, expected: list[int]) -> None:
    settings = TeacherSettings(burn_in=burn_in, relabel_every=every)
    assert [epoch for epoch in range(1, epochs + 1) if settings.labels_after(epoch, epochs)] == expected
