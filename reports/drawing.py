"""The style that all figures share.

Text from a run is escaped, because plotly interprets tags in labels. The colours stand out on white and on near
black; the page sets all other colours.
"""

import html
import textwrap
from typing import Any

import plotly.graph_objects as go

FOUND, PLAIN, FAINT = "#2a78d6", "#d9730d", "#8a909a"
CHANNELS = ("#2a78d6", "#d9730d", "#12947f", "#c2478f", "#7d62c9", "#8f8a1c")


def figure(traces: list[Any], **layout: Any) -> go.Figure:
    """Return a figure in the shared style, without plotly's default template, which adds 7 kB to each figure."""
    axis = {
        "automargin": True,
        "gridcolor": "rgba(128,128,128,0.22)",
        "zeroline": False,
        "zerolinecolor": "rgba(128,128,128,0.45)",
        "ticks": "outside",  # invisible; they keep the labels away from the plot
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
    """Add a menu of views to a figure."""
    place = {"x": 1, "xanchor": "right", "y": 1.02, "yanchor": "bottom"}
    figure.update_layout(updatemenus=[{"name": name, "buttons": buttons, **place}])


def button(text: str, update: tuple[dict[str, Any], dict[str, Any]]) -> dict[str, Any]:
    """Return an entry of a menu; `update` holds its changes to the traces and to the layout."""
    return {"label": text, "method": "update", "args": list(update)}


def escape(text: str) -> str:
    """Return text that plotly shows unchanged."""
    return html.escape(text, quote=False)


def clip(text: str, length: int) -> str:
    """Return text cut to a length, so that it fits an axis."""
    return text if len(text) <= length else text[: length - 1] + "…"


def wrapped(text: str) -> str:
    """Return escaped text in lines short enough for a phone's screen."""
    return "<br>".join(escape(line) for line in textwrap.wrap(text, 46))
