"""The manner in which all figures are drawn.

Text that comes from a run is escaped, for plotly reads tags in labels. Colours are picked to stand out on
white and on near black; the rest of the ink is left to the page.
"""

import html
import textwrap
from typing import Any

import plotly.graph_objects as go

FOUND, PLAIN, FAINT = "#2a78d6", "#d9730d", "#8a909a"
CHANNELS = ("#2a78d6", "#d9730d", "#12947f", "#c2478f", "#7d62c9", "#8f8a1c")


def figure(traces: list[Any], **layout: Any) -> go.Figure:
    """A figure in the report's manner, without plotly's default template, which is 7 kB in each figure."""
    axis = {
        "automargin": True,
        "gridcolor": "rgba(128,128,128,0.22)",
        "zeroline": False,
        "zerolinecolor": "rgba(128,128,128,0.45)",
        "ticks": "outside",  # unseen, they keep labels off the plot
        "ticklen": 5,
        "tickcolor": "rgba(0,0,0,0)",
        "title": {"font": {"size": 13}},
    }
    figure = go.Figure(data=traces)
    figure.update_layout(
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 13},
        margin={"l": 56, "r": 12, "t": 32, "b": 48},
        legend={"orientation": "h", "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom"},
        hoverlabel={
            "align": "left",
            "namelength": -1,
            "font": {"family": "system-ui, sans-serif", "size": 12.5},
        },
        xaxis=axis,
        yaxis=axis,
        **layout,
    )
    return figure


def menu(figure: go.Figure, name: str, buttons: list[dict[str, Any]]) -> None:
    """Adds a menu of views to a figure."""
    place = {"x": 1, "xanchor": "right", "y": 1.02, "yanchor": "bottom"}
    figure.update_layout(updatemenus=[{"name": name, "buttons": buttons, **place}])


def button(text: str, update: tuple[dict[str, Any], dict[str, Any]]) -> dict[str, Any]:
    """An entry of a menu: what it changes in the traces, and in the layout."""
    return {"label": text, "method": "update", "args": list(update)}


def escape(text: str) -> str:
    """Text that plotly shows as it is."""
    return html.escape(text, quote=False)


def clip(text: str, length: int) -> str:
    """Text no longer than an axis has room for."""
    return text if len(text) <= length else text[: length - 1] + "…"


def wrapped(text: str) -> str:
    """Escaped text in lines short enough for a telephone's screen."""
    return "<br>".join(escape(line) for line in textwrap.wrap(text, 46))
