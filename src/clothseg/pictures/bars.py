"""Bar charts: one number per name, with some names highlighted."""

import io
from collections.abc import Collection, Mapping

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from clothseg.pictures.lettering import plot_fonts, readable

_OTHER, _CHOSEN, _INK, _GRID = "#b9c6d6", "#d9541e", "#4a4a4a", "#e6e6e3"


def bar_chart(values: Mapping[str, int], chosen: Collection[str], *, title: str, floor: int | None = None) -> bytes:
    """Draws horizontal bars in the given order, the first on top, each with its number.

    Args:
        values: numbers by name.
        chosen: names whose bars are highlighted.
        title: text above the bars.
        floor: position of a vertical line, for example a required minimum. None draws no line.

    Returns:
        The bytes of a PNG. The same values give the same bytes.
    """
    with plot_fonts([title, *values]):
        return _draw(values, chosen, title, floor)


def _draw(values: Mapping[str, int], chosen: Collection[str], title: str, floor: int | None) -> bytes:
    names = list(values)
    figure = Figure(figsize=(9, 1.4 + 0.24 * max(len(names), 3)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    colours = [_CHOSEN if name in chosen else _OTHER for name in names]
    bars = axes.barh(range(len(names)), [values[name] for name in names], color=colours, height=0.72)
    axes.bar_label(bars, labels=[f"{values[name]:,}" for name in names], padding=3, fontsize=8, color=_INK)
    axes.set_yticks(range(len(names)), [readable(name) for name in names], fontsize=8, color=_INK)
    for label, name in zip(axes.get_yticklabels(), names, strict=True):
        if name in chosen:
            label.set_fontweight("bold")
            label.set_color(_CHOSEN)
    axes.invert_yaxis()
    if floor is not None:
        axes.axvline(floor, color=_INK, linewidth=1, linestyle="--")
        axes.annotate(
            f"{floor:,}",
            (floor, 1),
            (0, 2),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            fontsize=8,
            color=_INK,
            ha="center",
        )
    axes.set_title(readable(title), loc="left", fontsize=10, color=_INK, pad=16)
    axes.tick_params(length=0, labelsize=8, colors=_INK)
    axes.grid(axis="x", color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_GRID)
    axes.margins(x=0.08)
    target = io.BytesIO()
    figure.savefig(target, format="png", dpi=130, facecolor="white", metadata={"Software": None})
    return target.getvalue()
