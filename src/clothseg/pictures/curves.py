"""Loss curves of a run, drawn with matplotlib's objects. No window, no global state."""

import io
import math
from collections.abc import Mapping, Sequence
from typing import Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from clothseg.pictures.lettering import plot_fonts, readable

METRICS = (("mask_AP", "mask AP"), ("mask_AP50", "mask AP50"), ("box_AP", "box AP"), ("report_mAP", "report mAP"))
HistoryRow = Mapping[str, object]
"""One epoch: numbers, or the text of a CSV, by column."""
Form = Literal["png", "svg"]

_TRAIN, _VAL, _INK, _GRID = "#2a6fc9", "#d9541e", "#4a4a4a", "#e6e6e3"
_STYLES: tuple[tuple[Literal["-", ":"], str], ...] = (("-", "validation"), (":", "train"))
_WITHOUT_DATE = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}


def loss_names(*histories: Sequence[HistoryRow]) -> list[str]:
    """The losses that the histories have columns for, `total` first."""
    columns = dict.fromkeys(str(key) for history in histories for row in history for key in row)
    names = [column.removeprefix("train_") for column in columns if column.startswith("train_")]
    return sorted(names or ["total"], key=lambda name: name != "total")


def loss_curves(history: Sequence[HistoryRow], *, marks: Mapping[str, int] | None = None, form: Form = "png") -> bytes:
    """Draws all losses over the epochs, train and validation, and the evaluation metrics if there are any.

    Args:
        history: one row per epoch: `epoch`, `train_total`, `val_total`, ... for each loss, as numbers or as the text of
            a CSV. An epoch without a value is skipped. A value that is not finite leaves a gap.
        marks: losses that overfit, with the epoch from which they do.
        form: the file format.

    Returns:
        The bytes of a PNG (500 x 400 pixels for each plot) or SVG (transparent). The same history gives the same bytes.
    """
    names = loss_names(history)
    figure, of_losses, extra = _plots(len(names), with_metrics=_has_metrics(history), height=8 / 3)
    for axes, name in zip(of_losses, names, strict=True):
        _draw(axes, history, name)
        _mark(axes, history, (marks or {}).get(name))
    if extra:
        _draw_metrics(extra[0], history)
        highest = _line(extra[1], history, "learning_rate", _TRAIN, "-", 1.6)
        _style_axes(extra[1], "learning rate", highest)
    return save_figure(figure, form)


def compare_curves(runs: Mapping[str, Sequence[HistoryRow]], *, form: Form = "png") -> bytes:
    """Draws all losses of several runs over the epochs: one colour per run, validation solid, train thin and dotted.

    Mask AP and the report's mAP are drawn beside them if a run has them.

    Args:
        runs: histories as in `loss_curves`, by the name in the legend.
        form: the file format.

    Returns:
        The bytes of a PNG or SVG. The same histories give the same bytes.
    """
    names = loss_names(*runs.values())
    figure, of_losses, extra = _plots(len(names), with_metrics=_has_metrics(*runs.values()), height=3)
    colours = {name: f"C{number}" for number, name in enumerate(runs)}
    for axes, (metric, label) in zip(extra, (METRICS[0], METRICS[-1]), strict=False):
        for name, history in runs.items():
            _line(axes, history, metric, colours[name], "-", 1.8, marker="o", scale=100)
        _style_axes(axes, label, 95)
    for axes, loss in zip(of_losses, names, strict=True):
        highest = 0.0
        for name, history in runs.items():
            for split, style, width in (("train", ":", 1.2), ("val", "-", 1.8)):
                highest = max(highest, _line(axes, history, f"{split}_{loss}", colours[name], style, width))
        _style_axes(axes, loss, highest)
    handles = [Line2D([], [], color=colour, label=readable(name)) for name, colour in colours.items()]
    handles += [Line2D([], [], color=_INK, linestyle=style, label=text) for style, text in _STYLES]
    with plot_fonts(runs):
        figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=9, labelcolor=_INK)
    return save_figure(figure, form)


def _plots(losses: int, *, with_metrics: bool, height: float) -> tuple[Figure, list[Axes], list[Axes]]:
    """A figure with two rows of plots: one per loss, and two more on the right for metrics. `height` is in inches."""
    columns = max(2, -(-losses // 2))
    figure = Figure(figsize=(10 / 3 * (columns + with_metrics), 2 * height))
    figure.set_layout_engine("constrained", w_pad=0.1, h_pad=0.1)  # inches on each side of a plot
    grid = figure.subplots(2, columns + with_metrics, squeeze=False)
    of_losses = list(grid[:, :columns].flat)
    for axes in of_losses[losses:]:
        axes.set_axis_off()
    return figure, of_losses[:losses], list(grid[:, columns]) if with_metrics else []


def _has_metrics(*histories: Sequence[HistoryRow]) -> bool:
    return any(_points(history, name) for history in histories for name, _ in METRICS)


def loss_curve(history: Sequence[HistoryRow], name: str, *, mark: int | None = None, form: Form = "svg") -> bytes:
    """Draws one loss, as `loss_curves` does; `mark` is the epoch from which it overfits.

    Returns:
        The bytes of a PNG or SVG.
    """
    figure = Figure(figsize=(3.6, 2.4), layout="constrained")
    axes = figure.subplots()
    _draw(axes, history, name)
    _mark(axes, history, mark)
    return save_figure(figure, form)


def _mark(axes: Axes, history: Sequence[HistoryRow], since: int | None) -> None:
    """Marks the epoch from which a loss overfits."""
    if not since:
        return
    axes.axvline(since, color=_INK, linestyle="--", linewidth=1)
    place = axes.get_xaxis_transform()
    left = since > 0.7 * len(history)  # near the right edge the text goes to the left
    axes.annotate(
        "overfits", (since, 0), (-3 if left else 3, 5), xycoords=place, textcoords="offset points", fontsize=8,
        color=_INK, ha="right" if left else "left",
    )  # fmt: skip


def _draw_metrics(axes: Axes, history: Sequence[HistoryRow]) -> None:
    """Draws the evaluation metrics, in 0..100 as tables show them."""
    for (name, label), colour in zip(METRICS, ("#2a6fc9", "#7fb0ea", "#3a9a5b", "#a25cc4"), strict=True):
        _line(axes, history, name, colour, "-", 1.6, label, marker="o", scale=100)
    _style_axes(axes, "metrics on validation photos", 95)
    axes.legend(frameon=False, fontsize=8, labelcolor=_INK, loc="best", handlelength=1.4)


def _draw(axes: Axes, history: Sequence[HistoryRow], name: str) -> None:
    highest = 0.0
    for split, label, colour in (("train", "train", _TRAIN), ("val", "validation", _VAL)):
        highest = max(highest, _line(axes, history, f"{split}_{name}", colour, "-", 1.6, label))
    _style_axes(axes, name, highest)
    if axes.lines:
        axes.legend(frameon=False, fontsize=8, labelcolor=_INK, loc="best", handlelength=1.4)


def _line(
    axes: Axes,
    history: Sequence[HistoryRow],
    column: str,
    colour: str,
    style: str,
    width: float,
    label: str = "",
    marker: str = "",
    scale: float = 1,
) -> float:
    """Draws one column of a history, times `scale`, if it has values. Returns the highest one."""
    points = [(x, scale * y) for x, y in _points(history, column)]
    finite = [y for _, y in points if math.isfinite(y)]
    if not finite:
        return 0.0
    marker = "o" if len(finite) < max(len(history), 3) else marker
    xs, ys = zip(*points, strict=True)
    axes.plot(
        xs, ys, color=colour, label=label, linestyle=style, linewidth=width, marker=marker, markersize=4, clip_on=False
    )
    return max(finite)


def _style_axes(axes: Axes, name: str, highest: float) -> None:
    axes.set_title("total loss" if name == "total" else name, loc="left", fontsize=10, color=_INK)
    axes.set_ylim(0, highest * 1.08 or 1)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.tick_params(labelsize=8, colors=_INK, length=0)
    axes.grid(axis="y", color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.patch.set_visible(False)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_GRID)
    axes.set_xlabel("epoch", fontsize=8, color=_INK)
    if not axes.lines:
        axes.text(0.5, 0.5, "no values", transform=axes.transAxes, ha="center", color=_INK, fontsize=9)


def _points(history: Sequence[HistoryRow], column: str) -> list[tuple[float, float]]:
    """Pairs of epoch and loss. Epochs without a value are skipped. Values that are not finite stay and leave a gap."""
    return [
        (_number(row.get("epoch"), position), _number(row[column]))
        for position, row in enumerate(history, 1)
        if str(row.get(column) or "").strip() or row.get(column) == 0
    ]


def _number(value: object, otherwise: float = math.nan) -> float:
    try:
        number = float(str(value))
    except ValueError:
        return otherwise
    return number if math.isfinite(number) else otherwise


def save_figure(figure: Figure, form: Form) -> bytes:
    """The bytes of a PNG on white, or of an SVG that is transparent. The same figure gives the same bytes."""
    FigureCanvasAgg(figure)
    target = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "clothseg"}):
        paper = "white" if form == "png" else "none"
        figure.savefig(target, format=form, dpi=150, facecolor=paper, metadata=_WITHOUT_DATE[form])
    return target.getvalue()
