"""The figure of an activation: its values at the integer inputs, its crossings, and the rows of bits that result."""

import math
from typing import Any

import plotly.graph_objects as go

from zerocross.reports import drawing
from zerocross.reports.activation_records import ActivationRecord, Curve


def curves(site: ActivationRecord) -> go.Figure:
    """Draw an activation at its integer inputs, and the resulting bits.

    The upper part shows a channel's value at each integer, shaded where its bit is 1, with a line at each crossing; a
    menu picks one channel or all. The lower part shows the row of bits of every channel.
    """
    traces: list[Any] = []
    shown: list[list[bool]] = [[] for _ in range(len(site.curves) + 1)]
    for row, curve in enumerate(site.curves):
        colour = drawing.CHANNELS[row % len(drawing.CHANNELS)]
        own = [
            _bit_shade(curve, site.step, colour),
            _crossing_marks(curve, site.step, colour),
            _value_line(curve, colour),
        ]
        traces += [{**trace, "visible": row == 0} for trace in own]
        traces.append(_bit_row(curve, row, site.step, colour))
        for view, flags in enumerate(shown):
            everything = view == len(site.curves)
            alone = view == row
            flags += [alone, alone or everything, alone or everything, True]
    strip = min(0.06 + 0.05 * len(site.curves), 0.34)
    figure = drawing.figure(traces, height=330 + 14 * len(site.curves), hovermode="closest")
    figure.update_layout(
        xaxis={"title_text": "accumulator (integer)", "anchor": "y3", "range": _span(site)},
        xaxis_showgrid=False,
        yaxis={"title_text": "f(BN(a))", "domain": [strip + 0.04, 1], "zeroline": True, "zerolinewidth": 2},
        yaxis2={"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True},
        yaxis3={
            "domain": [0, strip],
            "range": [len(site.curves) - 0.4, -0.6],
            "tickvals": list(range(len(site.curves))),
            "ticktext": [f"ch {curve.channel}" for curve in site.curves],
            "title": {"text": "bit = 1", "font": {"size": 13}},
            "showgrid": False,
            "zeroline": False,
            "fixedrange": True,
        },
    )
    if len(site.curves) > 1:
        names = [f"channel {curve.channel}" for curve in site.curves] + ["all channels shown"]
        drawing.menu(
            figure,
            "Channel",
            [drawing.button(name, ({"visible": v}, {})) for name, v in zip(names, shown, strict=True)],
        )
    return figure


def _span(site: ActivationRecord) -> list[float]:
    """Return the range of the integers in the curves, plus one step on each side; it may be smaller than the grid's."""
    shown = [a for curve in site.curves for a in curve.accumulators] or [site.low, site.high]
    return [min(shown) - site.step, max(shown) + site.step]


def _runs_of_ones(curve: Curve, step: int) -> list[tuple[float, float]]:
    """Return the intervals in which the bit is 1. An edge is midway between two integers of the grid."""
    if not curve.accumulators:
        return []
    low, high = min(curve.accumulators), max(curve.accumulators)
    inside = [c for c in sorted(curve.crossings) if low < c <= high]
    edges = [low - step / 2, *(c - step / 2 for c in inside), high + step / 2]
    first = 0 if curve.values[0] >= 0 else 1
    return [(edges[i], edges[i + 1]) for i in range(first, len(edges) - 1, 2)]


def _bit_shade(curve: Curve, step: int, colour: str) -> dict[str, Any]:
    boxes = _runs_of_ones(curve, step)
    return {
        "type": "scatter",
        "name": "bit = 1",
        "x": [x for a, b in boxes for x in (a, a, b, b, None)],
        "y": [y for _ in boxes for y in (0, 1, 1, 0, None)],
        "yaxis": "y2",
        "mode": "lines",
        "line": {"width": 0},
        "fill": "toself",
        "fillcolor": _faded(colour),
        "hoverinfo": "skip",
    }


def _crossing_marks(curve: Curve, step: int, colour: str) -> dict[str, Any]:
    shown = [c for c in curve.crossings if _within(c, curve)]
    return {
        "type": "scatter",
        "name": "crossing",
        "x": [x for c in shown for x in (c - step / 2, c - step / 2, None)],
        "y": [y for _ in shown for y in (0, 1, None)],
        "yaxis": "y2",
        "mode": "lines",
        "line": {"color": colour, "width": 1.2, "dash": "dot"},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _value_line(curve: Curve, colour: str) -> dict[str, Any]:
    many = len(curve.accumulators) > 130
    return {
        "type": "scatter",
        "name": f"channel {curve.channel}",
        "x": curve.accumulators,
        "y": [float(f"{value:.4g}") if math.isfinite(value) else None for value in curve.values],
        "mode": "lines+markers",
        "line": {"color": colour, "width": 1.4},
        "marker": {"color": colour, "size": 3.5 if many else 5.5},
        "hovertemplate": f"channel {curve.channel}<br>f(BN(%{{x}})) = %{{y:.4g}}<extra></extra>",
    }


def _bit_row(curve: Curve, row: int, step: int, colour: str) -> dict[str, Any]:
    boxes = _runs_of_ones(curve, step)
    return {
        "type": "scatter",
        "x": [x for a, b in boxes for x in (a, b, None)],
        "y": [row for _ in boxes for _ in range(3)],
        "yaxis": "y3",
        "mode": "lines",
        "line": {"color": colour, "width": 8},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _within(accumulator: int, curve: Curve) -> bool:
    return bool(curve.accumulators) and curve.accumulators[0] < accumulator <= curve.accumulators[-1]


def _faded(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.14)"
