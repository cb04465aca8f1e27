"""Draws a metric against the number of training photos."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from clothseg.pictures.curves import Form, save_figure

_POINT, _MORE, _INK, _GRID = "#2a6fc9", "#d9541e", "#4a4a4a", "#e6e6e3"
_LOWEST_TOP = 5  # points that the axis has at least: without, noise around 0 looks like a curve
Bar = tuple[float, float, float]
"""A value with the low and the high end of its interval."""


def learning_curve_plot(
    photos: Sequence[int],
    values: Sequence[Bar],
    *,
    metric: str,
    law: tuple[Sequence[float], Sequence[float]] | None = None,
    more: tuple[int, Bar] | None = None,
    form: Form = "png",
    inches: tuple[float, float] = (7.2, 4.2),
) -> bytes:
    """Draws points with their intervals, the power law through them, and the extrapolation.

    Args:
        photos: number of training photos of each point.
        values: of the metric, in 0..1.
        metric: its name.
        law: numbers of photos and values of the power law, if one was fitted.
        more: a larger number of photos, and the extrapolated value.
        form: the file format.
        inches: width and height. The letters always have the same size.

    Returns:
        The bytes of a PNG or SVG (transparent). The same values give the same bytes.
    """
    figure = Figure(figsize=inches, layout="constrained")
    axes = figure.subplots()
    if law is not None:
        axes.plot(law[0], [100 * value for value in law[1]], color=_INK, linewidth=1.2, linestyle="--", zorder=1)
    marks: list[tuple[Sequence[int], Sequence[Bar], str, str]] = [(photos, values, _POINT, "measured")]
    if more is not None:
        marks.append(([more[0]], [more[1]], _MORE, "extrapolated"))
    for counts, bars, colour, label in marks:
        middle = [100 * value for value, _, _ in bars]
        below = [100 * (value - low) for value, low, _ in bars]
        above = [100 * (high - value) for value, _, high in bars]
        axes.errorbar(
            counts, middle, yerr=[[max(d, 0) for d in below], [max(d, 0) for d in above]], fmt="o", color=colour,
            capsize=4, label=label, clip_on=False,
        )  # fmt: skip
    ticks = [*photos, *([more[0]] if more else [])]
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([str(count) for count in ticks])
    axes.set_xlabel("training photos", fontsize=9, color=_INK)
    axes.set_title(f"{metric.replace('_', ' ')} with 95 % intervals", loc="left", fontsize=10, color=_INK)
    axes.tick_params(labelsize=8, colors=_INK, length=0)
    axes.tick_params(axis="x", pad=6)  # points at 0 lie on the axis
    axes.grid(axis="y", color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_GRID)
    axes.set_ylim(0, max(axes.get_ylim()[1], _LOWEST_TOP))
    axes.patch.set_visible(False)
    axes.legend(frameon=False, fontsize=8, labelcolor=_INK, loc="lower right")
    return save_figure(figure, form)
