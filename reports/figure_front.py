"""The figure of the front among all evaluations."""

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import plotly.graph_objects as go

from zerocross.reports import drawing, wording
from zerocross.reports.metrics import COSTS, METRICS
from zerocross.reports.pareto import nondominated
from zerocross.reports.records import Evaluation, Run
from zerocross.reports.summary import front_evaluations

_MOST_DRAWN = 5000


def front(run: Run) -> go.Figure:
    """Draw all evaluations faintly, with the front and the plain signs highlighted.

    With three or more objectives a menu picks the pair of axes. A line bounds each highlighted set in the current plane:
    no point of the set is below and left of it. Infeasible and failed evaluations are not drawn. Dominated evaluations
    are limited to the number that a browser draws without delay.
    """
    drawn = [e for e in run.evaluations if e.status == "ok"]
    on_front = front_evaluations(run)
    plain = [e for e in drawn if e.reference]
    special = {id(e) for e in [*on_front, *plain]}
    rest = [e for e in drawn if id(e) not in special]
    name = "evaluated" if len(rest) <= _MOST_DRAWN else f"evaluated, {_MOST_DRAWN:,} drawn"
    count, rest = len(rest), _thinned(rest)
    pairs = _pairs(run.objectives)
    stairs = [_staircase(on_front, pairs[0]), _staircase(plain, pairs[0])]
    traces = [
        _cloud(rest, pairs[0], name, {"color": drawing.FAINT, "size": 6, "opacity": 0.4}, count),
        _line(*stairs[0], drawing.FOUND, "solid"),
        _line(*stairs[1], drawing.PLAIN, "dash"),
        _cloud(plain, pairs[0], "plain sign", {"color": drawing.PLAIN, "size": 10, "symbol": "diamond"}),
        _cloud(
            on_front, pairs[0], "front" if run.front else "front so far", {"color": drawing.FOUND, "size": 10}
        ),
    ]
    figure = drawing.figure(traces, height=460, hovermode="closest")
    figure.update_xaxes(**_axis(pairs[0][0], drawn))
    figure.update_yaxes(**_axis(pairs[0][1], drawn))
    if len(pairs) > 1:
        buttons = [
            drawing.button(f"{_name(y)} over {_name(x)}", _front_view((x, y), rest, on_front, plain, drawn))
            for x, y in pairs
        ]
        drawing.menu(figure, "Axes", buttons)
    return figure


def _thinned(evaluations: list[Evaluation]) -> list[Evaluation]:
    """Return as many evaluations as a browser draws without delay, spread evenly over the search."""
    if len(evaluations) <= _MOST_DRAWN:
        return evaluations
    places = np.linspace(0, len(evaluations) - 1, _MOST_DRAWN).round().astype(int)
    return [evaluations[place] for place in places]


def _pairs(objectives: Sequence[str]) -> list[tuple[str, str]]:
    """Return the planes to show as (x, y); planes with the error come first and have it on the y axis."""
    if len(objectives) == 1:
        return [("number", objectives[0])]
    pairs = [(b, a) if a == "error" else (a, b) for a, b in combinations(objectives, 2)]
    return sorted(pairs, key=lambda pair: pair[1] != "error")


def _name(metric: str) -> str:
    return "evaluation" if metric == "number" else METRICS[metric].label


def _values(evaluations: Sequence[Evaluation], metric: str) -> list[float | None]:
    if metric == "number":
        return [e.number for e in evaluations]
    scale = METRICS[metric].scale
    return [scale * e.metrics[metric] if metric in e.metrics else None for e in evaluations]


def _axis(metric: str, drawn: Sequence[Evaluation]) -> dict[str, Any]:
    """Return an axis for a metric; it is logarithmic if the values span more than a decade."""
    text = "evaluation" if metric == "number" else METRICS[metric].axis
    values = [v for v in _values(drawn, metric) if v is not None]
    wide = metric != "number" and len(values) > 0 and min(values) > 0
    if wide and max(values) > 10 * min(values):
        # Plotly labels 2 and 5 of a decade with that digit alone, which looks like another number.
        decades = range(math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))) + 1)
        ticks = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
        return {"title_text": text, "type": "log", "tickvals": ticks, "ticktext": [f"{t:,g}" for t in ticks]}
    return {"title_text": text, "type": "linear", "tickvals": None, "ticktext": None}


def _staircase(evaluations: Sequence[Evaluation], pair: tuple[str, str]) -> tuple[list[float], list[float]]:
    """Return x and y of the evaluations that are nondominated in one plane, from left to right."""
    table = np.array([_values(evaluations, metric) for metric in pair], dtype=float).reshape(2, -1).T
    best = table[nondominated(table)]
    best = best[np.argsort(best[:, 0])]
    return best[:, 0].tolist(), best[:, 1].tolist()


def _front_view(
    pair: tuple[str, str],
    rest: list[Evaluation],
    on_front: list[Evaluation],
    plain: list[Evaluation],
    drawn: list[Evaluation],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what changes when another pair of objectives is picked, in the order of the traces."""
    (front_x, front_y), (plain_x, plain_y) = _staircase(on_front, pair), _staircase(plain, pair)
    xs, ys = ([_values(group, metric) for group in (rest, plain, on_front)] for metric in pair)
    data = {"x": [xs[0], front_x, plain_x, *xs[1:]], "y": [ys[0], front_y, plain_y, *ys[1:]]}
    layout: dict[str, Any] = {}
    for axis, metric in zip(("xaxis", "yaxis"), pair, strict=True):
        style = _axis(metric, drawn)
        layout[f"{axis}.title.text"] = style.pop("title_text")
        layout |= {f"{axis}.{key}": value for key, value in style.items()}
        layout[f"{axis}.autorange"] = True
    return data, layout


def _cloud(
    evaluations: list[Evaluation],
    pair: tuple[str, str],
    name: str,
    marker: dict[str, Any],
    count: int | None = None,
) -> dict[str, Any]:
    """Return a trace of points; its legend shows `count`, or the number of points if `count` is None."""
    return {
        "type": "scatter",
        "name": f"{name} ({len(evaluations) if count is None else count:,})",
        "x": _values(evaluations, pair[0]),
        "y": _values(evaluations, pair[1]),
        "mode": "markers",
        "marker": marker,
        "hovertext": [_hover(e) for e in evaluations],
        "hoverinfo": "text",
        "customdata": [e.id for e in evaluations],
        "showlegend": bool(evaluations),
    }


def _line(x: list[float], y: list[float], colour: str, dash: str) -> dict[str, Any]:
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
        f"<b>{drawing.wrapped(evaluation.expression)}</b>",
        drawing.wrapped(wording.choices(evaluation.choices)),
    ]
    if "error" in known:
        lines.append(f"validation accuracy {wording.percent(1 - known['error'])} (search)")
    lines.append(drawing.wrapped(", ".join(costs) + (" (estimated)" if costs else "")))
    lines.append(drawing.escape(f"{evaluation.id}, evaluation {evaluation.number}"))
    return "<br>".join(line for line in lines if line)
