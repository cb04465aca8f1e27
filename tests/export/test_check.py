"""The comparison of an exported network with PyTorch, in words."""

from clothseg.export.check import CheckedPhoto, CheckResult


def test_a_comparison_of_nothing_says_so() -> None:
    nothing = CheckResult([CheckedPhoto("a", 0, 0), CheckedPhoto("b", 0, 0)])
    assert "nothing to compare: neither finds anything on 2 photos" in nothing.summary()
    assert nothing.changed == 0


def test_detections_that_only_the_export_has_are_changes() -> None:
    assert (
        "2 detections changed on 2 photos (0 with PyTorch)"
        in CheckResult([CheckedPhoto("a", 0, 2), CheckedPhoto("b", 0, 0)]).summary()
    )


def test_the_same_detections_say_how_many_and_how_close() -> None:
    summary = CheckResult([CheckedPhoto("a", 3, 0, 0.25, 2e-4, 0.998)]).summary()
    assert summary.startswith("the same detections on 1 photo (3 with PyTorch)")
    assert "boxes 0.250 pixels, scores 2.0e-04, masks 0.0020" in summary
