"""The figure of search strategies: the share of a known front that each has found, over the evaluations."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from zerocross.reports import drawing
from zerocross.reports.pareto import Floats


def comparison_figure(shares: Mapping[str, Floats], functions: int) -> go.Figure:
    """Draw the hypervolume over the evaluations: the median of the searches, and their middle half as a band.

    Args:
        shares: Share of the exact hypervolume after each evaluation, by strategy; (searches, evaluations), 0..1.
        functions: Evaluations that an exhaustive search needs.
    """
    traces = []
    for index, (name, rows) in enumerate(shares.items()):
        colour = drawing.CHANNELS[index % len(drawing.CHANNELS)]
        low, middle, high = 100 * np.quantile(rows, (0.25, 0.5, 0.75), axis=0)
        x = np.arange(1, rows.shape[1] + 1)
        band = {"x": [*x, *x[::-1]], "y": [*high, *low[::-1]], "fill": "toself", "fillcolor": colour}
        traces.append(
            {
                "type": "scatter",
                **band,
                "mode": "none",
                "opacity": 0.15,
                "legendgroup": name,
                "showlegend": False,
                "hoverinfo": "skip",
            }
        )
        traces.append(
            {
                "type": "scatter",
                "name": drawing.escape(name),
                "legendgroup": name,
                "x": x,
                "y": middle,
                "mode": "lines",
                "line": {"color": colour, "width": 2},
                "hovertemplate": "%{x} evaluations: %{y:.1f} %",
            }
        )
    figure = drawing.figure(traces, height=420)
    figure.update_xaxes(title_text=f"evaluations (of {functions:,})")
    figure.update_yaxes(title_text="share of the exact hypervolume (%)", rangemode="tozero")
    return figure
