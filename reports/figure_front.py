"""The figure of the front among all evaluations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from zerocross.reports import drawing, wording
from zerocross.reports.axes import Axis, axis, plane_name, planes, relayout
from zerocross.reports.metrics import COSTS, METRICS
from zerocross.reports.pareto import nondominated
from zerocross.reports.records import Evaluation, Run
from zerocross.reports.summary import front_evaluations, knee

_MOST_DRAWN = 1000


def front(run: Run) -> go.Figure:
    """Draw all evaluations faintly, with the front, its knee and the plain signs highlighted.

    With three or more objectives a menu picks the pair of axes. A line bounds the front and the plain signs in the current
    plane: no point of the set is below and left of it. The axes hold the front and the best plain signs; points beyond
    them stand at the edge, as triangles. Infeasible and failed evaluations are not drawn. Dominated evaluations are limited
    to the number that a browser draws without delay.
    """
    drawn = [e for e in run.evaluations if e.status == "ok"]
    best = front_evaluations(run)
    special = {id(e) for e in best}
    plain = [e for e in drawn if e.reference and id(e) not in special]
    special |= {id(e) for e in plain}
    rest = [e for e in drawn if id(e) not in special]
    name = "evaluated" if len(rest) <= _MOST_DRAWN else f"evaluated, {_MOST_DRAWN:,} drawn"
    so_far = "" if run.front else " so far"
    at_knee = knee(run.front, run.objectives)
    open_diamond = {"color": drawing.PLAIN, "size": 9, "symbol": "diamond-open", "line": {"width": 1.5}}
    ringed = {"size": 11, "symbol": "diamond", "line": {"color": drawing.FOUND, "width": 2.5}}
    groups = [
        _Group(name, list(_thinned(rest)), {"color": drawing.FAINT, "size": 6, "opacity": 0.4}, len(rest)),
        _Group("plain sign", plain, open_diamond),
        _Group(
            f"plain sign on the front{so_far}",
            [e for e in best if e.reference],
            {"color": drawing.PLAIN, **ringed},
        ),
        _Group(f"front{so_far}", [e for e in best if not e.reference], {"color": drawing.FOUND, "size": 10}),
    ]
    signs = [e for e in drawn if e.reference]
    lines = [(best, drawing.FOUND, "solid"), (signs, drawing.PLAIN, "dash")]
    marked = [e for e in best if at_knee is not None and e.id == at_knee.id][:1]
    pairs = planes(run.objectives) or [("number", run.objectives[0])]
    axes = [_axes(pair, drawn, best) for pair in pairs]
    for group in groups:  # the legend shows the marker of the first one
        group.evaluations.sort(key=lambda e: _is_beyond(e, pairs, axes))
    views = [_view(pair, *both, groups, lines, marked) for pair, both in zip(pairs, axes, strict=True)]
    figure = drawing.figure(views[0].traces, height=460, hovermode="closest")
    figure.update_xaxes(**views[0].x.layout())
    figure.update_yaxes(**views[0].y.layout())
    if len(pairs) > 1:
        buttons = [
            drawing.button(plane_name(pair), view.update()) for pair, view in zip(pairs, views, strict=True)
        ]
        drawing.menu(figure, "Axes", buttons)
    return figure


@dataclass(frozen=True)
class _Group:
    """Evaluations with the same marker; the legend shows `count`, or their number if it is None."""

    name: str
    evaluations: list[Evaluation]
    marker: dict[str, Any]
    count: int | None = None


@dataclass(frozen=True)
class _View:
    """The traces in one plane, and its axes."""

    traces: list[dict[str, Any]]
    x: Axis
    y: Axis

    def update(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what changes when this view is picked."""
        data: dict[str, Any] = {
            "x": [trace["x"] for trace in self.traces],
            "y": [trace["y"] for trace in self.traces],
        }
        data["marker.symbol"] = [trace.get("marker", {}).get("symbol") for trace in self.traces]
        return data, relayout(self.x, self.y)


def _axes(
    pair: tuple[str, str], drawn: Sequence[Evaluation], best: Sequence[Evaluation]
) -> tuple[Axis, Axis]:
    """Return the axes of a plane, which hold the front and the best plain signs."""
    must = [*best, *_nondominated([e for e in drawn if e.reference], pair)]
    x, y = (axis(metric, _values(drawn, metric), _values(must, metric)) for metric in pair)
    return x, y


def _is_beyond(
    evaluation: Evaluation, pairs: Sequence[tuple[str, str]], axes: Sequence[tuple[Axis, Axis]]
) -> bool:
    return any(
        along.is_beyond(_values([evaluation], metric)[0])
        for pair, both in zip(pairs, axes, strict=True)
        for metric, along in zip(pair, both, strict=True)
    )


def _view(
    pair: tuple[str, str],
    x: Axis,
    y: Axis,
    groups: Sequence[_Group],
    lines: Sequence[tuple[list[Evaluation], str, str]],
    marked: list[Evaluation],
) -> _View:
    """Return one plane of the figure.

    Args:
        pair: Metrics of x and y.
        x: Horizontal axis.
        y: Vertical axis.
        groups: Evaluations by marker.
        lines: Sets that a line bounds, each with its colour and dash.
        marked: The knee, or nothing.
    """
    traces = [_cloud(groups[0], pair, x, y)]
    for evaluations, colour, dash in lines:
        stairs = _nondominated(evaluations, pair)
        traces.append(_line(_values(stairs, pair[0]), _values(stairs, pair[1]), colour, dash))
    traces += [_cloud(group, pair, x, y) for group in groups[1:]]
    traces.append(
        {
            "type": "scatter",
            "name": "knee",
            "x": _values(marked, pair[0]),
            "y": _values(marked, pair[1]),
            "mode": "markers",
            "marker": {"color": drawing.FOUND, "size": 18, "symbol": "circle-open", "line": {"width": 2}},
            "hoverinfo": "skip",
            "showlegend": bool(marked),
        }
    )
    return _View(traces, x, y)


def _thinned(evaluations: list[Evaluation]) -> list[Evaluation]:
    """Return as many evaluations as a browser draws without delay, spread evenly over the search."""
    if len(evaluations) <= _MOST_DRAWN:
        return evaluations
    places = np.linspace(0, len(evaluations) - 1, _MOST_DRAWN).round().astype(int)
    return [evaluations[place] for place in places]


def _values(evaluations: Sequence[Evaluation], metric: str) -> list[float | None]:
    if metric == "number":
        return [e.number for e in evaluations]
    scale = METRICS[metric].scale
    return [scale * e.metrics[metric] if metric in e.metrics else None for e in evaluations]


def _nondominated(evaluations: Sequence[Evaluation], pair: tuple[str, str]) -> list[Evaluation]:
    """Return the evaluations that are nondominated in one plane, from left to right."""
    table = np.array([_values(evaluations, metric) for metric in pair], dtype=float).reshape(2, -1).T
    found = [e for e, best in zip(evaluations, nondominated(table), strict=True) if best]
    return sorted(found, key=lambda e: _values([e], pair[0])[0] or 0.0)


def _cloud(group: _Group, pair: tuple[str, str], x: Axis, y: Axis) -> dict[str, Any]:
    """Return a trace of points; those beyond the axes stand at the edge as triangles."""
    evaluations = group.evaluations
    xs, ys = (_values(evaluations, metric) for metric in pair)
    symbol = group.marker.get("symbol", "circle")
    suffix = "-open" if symbol.endswith("-open") else ""
    symbols = [
        f"triangle-ne{suffix}"
        if x.is_beyond(a) and y.is_beyond(b)
        else f"triangle-right{suffix}"
        if x.is_beyond(a)
        else f"triangle-up{suffix}"
        if y.is_beyond(b)
        else symbol
        for a, b in zip(xs, ys, strict=True)
    ]
    return {
        "type": "scatter",
        "name": f"{group.name} ({len(evaluations) if group.count is None else group.count:,})",
        "x": [_short(x.inside(value)) for value in xs],
        "y": [_short(y.inside(value)) for value in ys],
        "mode": "markers",
        "marker": {**group.marker, "symbol": symbol if set(symbols) <= {symbol} else symbols},
        "hovertext": [_hover(e) for e in evaluations],
        "hoverinfo": "text",
        "customdata": [e.id for e in evaluations],
        "showlegend": bool(evaluations),
    }


def _short(value: float | None) -> float | None:
    """Return a value with the digits that a screen shows: a page holds each point once for every pair of axes."""
    return None if value is None else float(f"{value:.5g}")


def _line(x: list[float | None], y: list[float | None], colour: str, dash: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "x": x,
        "y": y,
        "mode": "lines",
        "line": {"color": colour, "width": 1.5, "dash": dash, "shape": "hv"},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _hover(evaluation: Evaluation) -> str:
    known = evaluation.metrics
    costs = [
        f"{METRICS[name].label} {METRICS[name].text(known[name])} {METRICS[name].unit}".rstrip()
        for name in COSTS
        if name in known
    ]
    lines = [
        f"<b>{drawing.wrapped(wording.activation(evaluation))}</b>",
        drawing.wrapped(wording.choices(evaluation.choices)),
    ]
    if "error" in known:
        lines.append(f"validation accuracy {wording.percent(1 - known['error'])} (search)")
    lines.append(drawing.wrapped(", ".join(costs) + (" (estimated)" if costs else "")))
    lines.append(drawing.escape(f"{evaluation.id}, evaluation {evaluation.number}"))
    return "<br>".join(line for line in lines if line)
