"""The figure of accuracies: every seed of every network, and the spread over seeds."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import plotly.graph_objects as go

from zerocross.reports import drawing, wording
from zerocross.reports.records import Finalist


def accuracy_spread(finalists: Sequence[Finalist]) -> go.Figure:
    """Draw the accuracies of each network: a dot per seed, a bar for the mean, a line for the standard deviation."""
    traces: list[Any] = []
    rows = {id(f): len(finalists) - 1 - row for row, f in enumerate(finalists)}
    for reference, name, colour in ((False, "front", drawing.FOUND), (True, "plain sign", drawing.PLAIN)):
        group = [f for f in finalists if f.reference == reference]
        for part, offset in (("validation", 0.16), ("test", -0.16)):
            measured = [(f, getattr(f, part)) for f in group if getattr(f, part)]
            if measured:
                traces += _spread_traces(
                    measured, rows, offset, name=f"{name}, {part}", colour=colour, filled=part == "test"
                )
    figure = drawing.figure(traces, height=130 + 46 * len(finalists), hovermode="closest")
    figure.update_xaxes(title_text="accuracy (%)")
    figure.update_yaxes(
        tickvals=[rows[id(f)] for f in finalists],
        ticktext=[drawing.escape(drawing.clip(f.id, 18)) for f in finalists],
        range=[-0.6, len(finalists) - 0.4],
        showgrid=False,
        zeroline=False,
    )
    return figure


def _spread_traces(
    measured: list[tuple[Finalist, list[float]]],
    rows: dict[int, int],
    offset: float,
    *,
    name: str,
    colour: str,
    filled: bool,
) -> list[dict[str, Any]]:
    """Return a trace of means with their standard deviations, and a trace with a dot for every seed."""
    seeds = {
        "type": "scatter",
        "name": name,
        "legendgroup": name,
        "x": [100 * value for _, values in measured for value in values],
        "y": [rows[id(f)] + offset for f, values in measured for _ in values],
        "mode": "markers",
        "marker": {
            "symbol": "circle" if filled else "circle-open",
            "size": 7,
            "color": colour,
            "opacity": 0.75,
        },
        "hovertext": [
            f"{drawing.escape(f.id)}, {name.split(', ')[1]}, seed {seed}: {wording.percent(value)}"
            for f, values in measured
            for seed, value in zip(f.seeds, values, strict=False)
        ],
        "hoverinfo": "text",
    }
    means = {
        "type": "scatter",
        "legendgroup": name,
        "showlegend": False,
        "x": [100 * fmean(values) for _, values in measured],
        "y": [rows[id(f)] + offset for f, _ in measured],
        "mode": "markers",
        "marker": {"symbol": "line-ns", "size": 13, "line": {"color": colour, "width": 2.5}},
        "error_x": {
            "array": [100 * (wording.deviation(values) or 0) for _, values in measured],
            "color": colour,
            "thickness": 1.5,
            "width": 0,
        },
        "hovertext": [
            f"<b>{drawing.wrapped(f.expression)}</b><br>{drawing.escape(f.id)}, {name.split(', ')[1]}: "
            f"{wording.accuracy(values)}"
            for f, values in measured
        ],
        "hoverinfo": "text",
    }
    return [means, seeds]
