"""A run as rows of plain values, as a line of text, and as a small table for a notebook.

A column has one meaning in all rows: metrics such as `error` and `lut` are means over the seeds of the search, and
`final_error`, `final_lut` over those of the final trainings.
"""

import html
from statistics import fmean
from typing import Any

from zerocross.reports import wording
from zerocross.reports.metrics import METRICS
from zerocross.reports.records import Run

Row = dict[str, Any]


def evaluations(run: Run) -> list[Row]:
    """Return a row for each evaluation of a run.

    Columns: number, generation, id, expression, plain_sign, status, reason, seconds, one for each choice by its path, and
    one for each metric by its name, such as error (validation error, 0..1) and lut: means over the seeds of the search.
    """
    return [
        {
            "number": e.number,
            "generation": e.generation,
            "id": e.id,
            "expression": e.expression,
            "plain_sign": e.reference,
            "status": e.status,
            "reason": e.reason,
            "seconds": e.seconds,
            **e.choices,
            **e.metrics,
        }
        for e in run.evaluations
    ]


def networks(run: Run) -> list[Row]:
    """Return a row for each network of the front.

    Columns: id, expression, plain_sign, one for each choice by its path, and one for each metric by its name, which are
    those of `evaluations`. Then follow the final trainings: seeds (their number), validation and test (mean accuracies,
    0..1), test_deviation, each metric again as final_error, final_lut, ... (means over these seeds), fps and weights.
    """
    searched = {e.id: e.metrics for e in reversed(run.evaluations)}
    return [
        {
            "id": net.id,
            "expression": net.expression,
            "plain_sign": net.reference,
            **net.choices,
            **searched.get(net.id, {"error": net.search_error}),
            "seeds": len(net.seeds),
            "validation": fmean(net.validation),
            "test": fmean(net.test),
            "test_deviation": wording.deviation(net.test),
            **{f"final_{name}": value for name, value in net.metrics.items()},
            "fps": net.fps,
            "weights": net.weights,
        }
        for net in run.front
    ]


def summary(run: Run) -> str:
    """Return a run in a line."""
    tried = wording.count(sum(not e.reference for e in run.evaluations), "candidate")
    if not run.front:
        return f"{tried}, no front yet"
    best = min(run.front, key=lambda net: net.metrics["error"])
    least = min(net.metrics["lut"] for net in run.front)
    state = "" if run.finished else ", not finished"
    return (
        f"front of {len(run.front)} from {tried}, test accuracy up to {wording.percent(fmean(best.test))}, "
        f"from {wording.number(least)} LUT{state}"
    )


def html_table(run: Run) -> str:
    """Return the front of a run as a table in HTML."""
    shown = [METRICS[name] for name in run.objectives if METRICS[name].is_cost]
    heads = ["id", "activation", "choices", "test accuracy", *(metric.label for metric in shown)]
    lines = [
        [
            net.id,
            wording.activation(net),
            wording.short_choices(net.choices),
            wording.accuracy(net.test),
            *(metric.text(net.metrics.get(metric.name)) for metric in shown),
        ]
        for net in run.front
    ]
    head = "".join(f"<th>{html.escape(text)}</th>" for text in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in line) + "</tr>" for line in lines
    )
    return (
        f"<p><b>{html.escape(run.name)}</b>: {html.escape(summary(run))}</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )
