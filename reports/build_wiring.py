"""The wired layers of a build: what their neurons read and answer, as words and figures."""

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import plotly.graph_objects as go

from zerocross.reports import drawing, wording
from zerocross.reports.build_records import WiredLayer, WiredNeuron

MOST_ROWS = 16
"""Rows of a layer that are drawn."""

MOST_NEURONS = 1000
"""Neurons of a layer that are listed."""


def reads(layer: WiredLayer, neuron: WiredNeuron) -> str:
    """Return the inputs of a neuron in words, each with its sign: "+ (3, 4) ≥ 128" for a pixel."""
    return ", ".join(
        f"{sign} {_place(layer, element)} {condition}".rstrip()
        for element, condition, sign in zip(
            neuron.elements, neuron.conditions, neuron.signs.replace("-", "\u2212"), strict=True
        )
    )


def _place(layer: WiredLayer, element: int) -> str:
    if len(layer.shape) == 1:
        return str(element)
    _, width, channels = layer.shape
    row, column, channel = element // (width * channels), element // channels % width, element % channels
    return f"({row}, {column})" if channels == 1 else f"({row}, {column}, {channel})"


def blocks(row: str) -> str:
    """Return a neuron's answers as blocks, filled for 1."""
    return row.replace("0", "▯").replace("1", "▮")


def looked_at(layer: WiredLayer) -> go.Figure | None:
    """Draw how many inputs of a wired layer look at each element: an image as an image, features as bars.

    Returns:
        The figure, or None if the layer reads another layer.
    """
    if layer.source != "input":
        return None
    counts = np.bincount(
        [element for neuron in layer.neurons for element in neuron.elements],
        minlength=math.prod(layer.shape),
    )
    if len(layer.shape) == 1:
        bars = {"type": "bar", "x": list(range(len(counts))), "y": counts.tolist()}
        bars |= {"marker": {"color": drawing.FOUND}, "hovertemplate": "feature %{x}: %{y}<extra></extra>"}
        figure = drawing.figure([bars], height=260)
        figure.update_xaxes(title_text="feature")
        figure.update_yaxes(title_text="inputs of neurons", rangemode="tozero")
        return figure
    height, width, _ = layer.shape
    image = {
        "type": "heatmap",
        "z": counts.reshape(layer.shape).sum(axis=2).tolist(),
        "colorscale": [[0, "rgba(128,128,128,0.10)"], [1, drawing.FOUND]],
        "colorbar": {"title": {"text": "inputs"}, "thickness": 12},
        "hovertemplate": "row %{y}, column %{x}: %{z}<extra></extra>",
    }
    figure = drawing.figure([image], height=380, width=380 * width // height + 90)
    figure.update_xaxes(title_text="column", showgrid=False, constrain="domain")
    figure.update_yaxes(
        title_text="row", showgrid=False, autorange="reversed", scaleanchor="x", constrain="domain"
    )
    return figure


def answers(layer: WiredLayer, neuron: WiredNeuron) -> str:
    """Return a neuron's answers: as blocks, or as the hexadecimal number of a table, whose bit i is its answer to i."""
    if not layer.of_tables:
        return blocks(neuron.row)
    return f"{int(neuron.row[::-1], 2):0{-(-len(neuron.row) // 4)}x}"


def sizes_of(layer: WiredLayer) -> go.Figure:
    """Draw how many neurons of a layer of tables depend on how many inputs."""
    sizes = Counter(len(neuron.elements) for neuron in layer.neurons)
    places = list(range(1, max(sizes, default=1) + 1))
    bars = {
        "type": "bar",
        "x": places,
        "y": [sizes[place] for place in places],
        "marker": {"color": drawing.FOUND},
        "hovertemplate": "%{y} neurons of %{x} inputs<extra></extra>",
    }
    figure = drawing.figure([bars], height=220)
    figure.update_xaxes(title_text="inputs", dtick=1)
    figure.update_yaxes(title_text="neurons", rangemode="tozero")
    return figure


def rows_of(layer: WiredLayer) -> go.Figure:
    """Draw the most frequent rows of a wired layer: as which function of its inputs how many neurons are built.

    A row and its opposite, or its mirror image, are the same function of inputs with other signs, so they count as one.
    """
    kinds = Counter(_kind(neuron.row) for neuron in layer.neurons)
    shown = sorted(kinds.items(), key=lambda kind: (-kind[1], kind[0]))[:MOST_ROWS]
    places = list(range(len(shown)))
    bars = {
        "type": "bar",
        "orientation": "h",
        "y": places,
        "x": [count for _, count in shown],
        "customdata": [_changes(row) for row, _ in shown],
        "marker": {"color": drawing.FOUND},
        "hovertemplate": "%{x} neurons: %{customdata}<extra></extra>",
    }
    figure = drawing.figure([bars], height=110 + 22 * len(shown))
    figure.update_yaxes(
        tickvals=places,
        ticktext=[blocks(row) for row, _ in shown],
        range=[len(shown) - 0.5, -0.5],
        showgrid=False,
    )
    figure.update_xaxes(title_text="neurons", rangemode="tozero")
    return figure


def _changes(row: str) -> str:
    changes = sum(one != other for one, other in pairwise(row))
    return f"{wording.count(len(row) - 1, 'input')}, {wording.count(changes, 'crossing')}"


def _kind(row: str) -> str:
    opposite = row.translate(str.maketrans("01", "10"))
    return min(row, row[::-1], opposite, opposite[::-1])
