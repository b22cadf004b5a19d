"""The figures of a report. Each takes plain records and returns a plotly figure.

Choices within a figure are plotly's own menus, so a figure also works on its own in a notebook.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from zerocross.reports import drawing
from zerocross.reports.figure_accuracy import accuracy_spread
from zerocross.reports.figure_curves import curves
from zerocross.reports.figure_front import front
from zerocross.reports.figure_learning import learned, learning_curves
from zerocross.reports.metrics import METRICS, RESOURCES
from zerocross.reports.pareto import Floats
from zerocross.reports.records import NodeRecord, Run
from zerocross.reports.run_progress import Progress, progress
from zerocross.reports.summary import layer_costs

__all__ = [
    "accuracy_spread",
    "cost_by_layer",
    "curves",
    "front",
    "hypervolume_curve",
    "learned",
    "learning_curves",
]


def hypervolume_curve(run: Run, found: Progress | None = None) -> go.Figure:
    """Draw the share of a box that the search dominates, over the evaluations; see `run_progress.progress`.

    The share has no unit. The dashed line is the share that the plain signs dominate. A bar on a line is one
    standard deviation between training seeds to each side.

    Args:
        run: The run.
        found: Its progress, if it is known already.
    """
    traces: list[Any] = []
    if (found := found or progress(run)) is not None:
        corners, numbers = _steps(found.history), found.numbers
        traces.append(
            {
                "type": "scatter",
                "name": "search",
                "x": [numbers[i] for i in corners],
                "y": found.history[corners].tolist(),
                "mode": "lines",
                "line": {"color": drawing.FOUND, "width": 2, "shape": "hv"},
                "hovertemplate": "after evaluation %{x}: %{y:.3f}<extra></extra>",
            }
        )
        ends = [(drawing.FOUND, numbers[-1], float(found.history[-1]))]
        if found.signs is not None:
            near = numbers[len(numbers) - 1 - len(numbers) // 12]  # beside the other bar
            ends.append((drawing.PLAIN, near, found.signs))
            traces.append(
                {
                    "type": "scatter",
                    "name": "plain sign alone",
                    "x": [numbers[0], numbers[-1]],
                    "y": [found.signs, found.signs],
                    "mode": "lines",
                    "line": {"color": drawing.PLAIN, "width": 2, "dash": "dash"},
                    "hovertemplate": "plain signs alone: %{y:.3f}<extra></extra>",
                }
            )
        traces += [_bar(*end, deviation) for end, deviation in zip(ends, found.noise or (), strict=False)]
    figure = drawing.figure(traces, height=320, hovermode="closest")
    figure.update_xaxes(title_text="evaluations", rangemode="tozero")
    figure.update_yaxes(title_text="hypervolume (share)", rangemode="tozero")
    return figure


def cost_by_layer(nodes: Sequence[NodeRecord]) -> go.Figure:
    """Draw the estimated cost of each layer, this project's beside FINN's; a menu picks the resource."""
    layers = layer_costs(nodes)
    used = [r for r in RESOURCES if any(c.finn[r] or c.zerocross[r] for c in layers)] or [RESOURCES[0]]
    names = [drawing.escape(drawing.clip(cost.layer, 22)) for cost in layers]
    operators = [drawing.escape(", ".join(dict.fromkeys(n.op_type for n in cost.nodes))) for cost in layers]
    rows = list(range(len(layers)))
    sides = (("our estimate", "zerocross", drawing.FOUND), ("FINN's estimate", "finn", drawing.FAINT))
    traces = [
        {
            "type": "bar",
            "name": name,
            "orientation": "h",
            "y": rows,
            "x": [getattr(cost, side)[used[0]] for cost in layers],
            "customdata": operators,
            "marker": {"color": colour},
            "hovertemplate": f"{name}: %{{x:,.0f}}<br>%{{customdata}}<extra></extra>",
        }
        for name, side, colour in sides
    ]
    figure = drawing.figure(traces, height=130 + 46 * len(layers), barmode="group", bargap=0.3)
    figure.update_xaxes(title_text=f"{METRICS[used[0]].axis}, estimated", rangemode="tozero")
    figure.update_yaxes(tickvals=rows, ticktext=names, range=[len(rows) - 0.5, -0.5], showgrid=False)
    if len(used) > 1:
        buttons = [
            drawing.button(
                METRICS[r].axis,
                (
                    {"x": [[getattr(cost, side)[r] for cost in layers] for _, side, _ in sides]},
                    {"xaxis.title.text": f"{METRICS[r].axis}, estimated"},
                ),
            )
            for r in used
        ]
        drawing.menu(figure, "Resource", buttons)
    return figure


def _bar(colour: str, x: int, y: float, deviation: float) -> dict[str, Any]:
    """Return a trace of one standard deviation to each side of a point."""
    return {
        "type": "scatter",
        "x": [x],
        "y": [y],
        "mode": "markers",
        "marker": {"color": colour, "size": 5},
        "error_y": {"array": [deviation], "color": colour, "thickness": 1.5, "width": 5},
        "hovertemplate": f"%{{y:.3f}} ± {deviation:.3f} between seeds<extra></extra>",
        "showlegend": False,
    }


def _steps(history: Floats) -> list[int]:
    """Return the indices at which the volume grew, and both ends: a stepped line needs no others."""
    grew = np.flatnonzero(np.diff(history, prepend=-1.0) > 0)
    return sorted({*grew.tolist(), len(history) - 1})
