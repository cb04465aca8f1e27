"""Trees of names, drawn from left to right."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from clothseg.pictures.lettering import plot_fonts, readable

_MARKED, _PLAIN, _INK, _LINE = "#2a6fc9", "#eef0f2", "#4a4a4a", "#b5bac0"
_STEP, _ROW = 2.6, 0.27  # inches between levels and between rows


@dataclass(frozen=True)
class Twig:
    """A name in a tree. `marked` gives it a filled box, `dashed` connects it with a dashed line."""

    label: str
    marked: bool
    dashed: bool
    below: tuple["Twig", ...]


def draw_tree(roots: Sequence[Twig], *, title: str) -> bytes:
    """Draws trees one below another. The root is on the left, each name is at the middle height of its children.

    Returns:
        The bytes of a PNG. The same tree gives the same bytes.
    """
    with plot_fonts([title, *(name for root in roots for name in _labels(root))]):
        return _draw_all(roots, title)


def _draw_all(roots: Sequence[Twig], title: str) -> bytes:
    rows = sum(_rows(root) for root in roots) + 0.6 * (len(roots) - 1)
    depth = max(_depth(root) for root in roots)
    figure = Figure(figsize=(_STEP * depth + 0.4, _ROW * rows + 0.8))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(0, _STEP * depth + 0.4)
    axes.set_ylim(rows + 0.8 / _ROW - 0.5, -0.8 / _ROW)
    axes.axis("off")
    axes.text(0.2, -0.5 / _ROW, readable(title), fontsize=10, color=_INK, va="center")
    top = 0.0
    for root in roots:
        _draw(axes, root, 0.2, top)
        top += _rows(root) + 0.6
    target = io.BytesIO()
    figure.savefig(target, format="png", dpi=110, facecolor="white", metadata={"Software": None})
    return target.getvalue()


def _labels(twig: Twig) -> list[str]:
    return [twig.label, *(name for low in twig.below for name in _labels(low))]


def _rows(twig: Twig) -> float:
    return sum(_rows(low) for low in twig.below) or 1


def _depth(twig: Twig) -> int:
    return 1 + max((_depth(low) for low in twig.below), default=0)


def _draw(axes: Axes, twig: Twig, left: float, top: float) -> float:
    """Draws a twig and its children. Returns the row of its name."""
    middles = []
    row = top
    for low in twig.below:
        middles.append((_draw(axes, low, left + _STEP, row), low.dashed))
        row += _rows(low)
    middle = (middles[0][0] + middles[-1][0]) / 2 if middles else top
    bend = left + _STEP - 0.25
    for other, dashed in middles:
        style = (0, (2, 2)) if dashed else "solid"
        axes.plot(
            [left, bend, bend, left + _STEP], [middle, middle, other, other], color=_LINE, lw=0.9, ls=style, zorder=1
        )
    axes.text(
        left,
        middle,
        readable(twig.label),
        fontsize=8,
        va="center",
        color="white" if twig.marked else _INK,
        bbox={"boxstyle": "round,pad=0.25", "facecolor": _MARKED if twig.marked else _PLAIN, "edgecolor": "none"},
        zorder=2,
    )
    return middle
