"""The figure of learning curves: validation accuracy by epoch, in the trainings of the search."""

from typing import Any

import plotly.graph_objects as go

from zerocross.reports import drawing
from zerocross.reports.records import Evaluation, Run, TrainingCurve
from zerocross.reports.summary import front_evaluations


def learned(run: Run) -> list[Evaluation]:
    """Return the networks whose learning curves are drawn: those of the front and their plain signs, if curves are known."""
    front = front_evaluations(run)
    choices = [network.choices for network in front]
    ids = {network.id for network in front}
    signs = [e for e in run.evaluations if e.reference and e.choices in choices and e.id not in ids]
    networks = {network.id: network for network in (*front, *signs)}
    return [e for e in networks.values() if any(_points(curve)[0] for curve in e.trainings)]


def learning_curves(run: Run) -> go.Figure:
    """Draw a line for each training of `learned`: its validation accuracies, the last one at the end of the training."""
    traces: list[dict[str, Any]] = []
    networks = learned(run)
    for reference, name, colour in (
        (False, "searched activation", drawing.FOUND),
        (True, "plain sign", drawing.PLAIN),
    ):
        own = [(e, curve) for e in networks if e.reference == reference for curve in e.trainings]
        # Networks that differ only in their folding share their trainings.
        each = {(curve.seed, *curve.loss): (e, curve) for e, curve in reversed(own)}.values()
        drawn = [(e, curve.seed, *points) for e, curve in each if (points := _points(curve))[0]]
        for place, (network, seed, epochs, accuracies) in enumerate(drawn):
            traces.append(
                {
                    "type": "scatter",
                    "name": name,
                    "legendgroup": name,
                    "showlegend": place == 0,
                    "x": epochs,
                    "y": [100 * accuracy for accuracy in accuracies],
                    "mode": "lines+markers",
                    "line": {"color": colour, "width": 1.5},
                    "marker": {"size": 5},
                    "opacity": 0.7,
                    "hovertemplate": f"<b>{drawing.wrapped(network.expression)}</b><br>{drawing.escape(network.id)}, seed "
                    f"{seed}<br>epoch %{{x}}: %{{y:.2f}} %<extra></extra>",
                }
            )
    figure = drawing.figure(traces, height=320, hovermode="closest")
    figure.update_xaxes(title_text="epoch", rangemode="tozero")
    figure.update_yaxes(title_text="validation accuracy (%)")
    return figure


def _points(curve: TrainingCurve) -> tuple[list[int], list[float]]:
    """Return the epochs of a training with a validation accuracy, and the accuracies; none without a look before the end."""
    if curve.accuracy is None or not curve.looks:
        return [], []
    end = len(curve.loss)
    known = {**dict(zip(curve.looks, curve.validation, strict=True)), end: curve.accuracy}
    return list(known), list(known.values())
