"""Axes of figures of metrics: the scale, its name in the title, and the range, which outliers do not stretch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from zerocross.reports.metrics import METRICS

_WIDE = 10
"""Ratio of the greatest to the least shown value from which an axis is logarithmic."""

_MARGIN = 0.25
"""Share of the shown span by which an axis goes beyond the points that it must show."""

_FEW_DECADES = 1.5


@dataclass(frozen=True)
class Axis:
    """An axis of a metric.

    Attributes:
        title: Label with its unit and its scale.
        logarithmic: Whether the scale is logarithmic.
        low: Least value on it.
        high: Greatest value on it; points beyond it stand at the edge.
    """

    title: str
    logarithmic: bool
    low: float
    high: float

    def inside(self, value: float | None) -> float | None:
        """Return a value, or the edge if it is beyond it."""
        return None if value is None else min(value, self.high)

    def is_beyond(self, value: float | None) -> bool:
        """Return whether a value has no place on the axis."""
        return value is not None and value > self.high

    def layout(self) -> dict[str, Any]:
        """Return the settings of a plotly axis."""
        # Room for whole markers at the edges.
        low, high = (
            (math.log10(v) for v in (self.low, self.high)) if self.logarithmic else (self.low, self.high)
        )
        room = 0.03 * (high - low)
        ticks: dict[str, Any] = {"tickvals": None, "ticktext": None}
        if self.logarithmic:
            # Plotly labels 2 and 5 of a decade with that digit alone, which looks like another number.
            digits = (1, 2, 5) if high - low < _FEW_DECADES else (1,)
            values = [d * 10.0**e for e in range(math.floor(low), math.ceil(high) + 1) for d in digits]
            ticks = {"tickvals": values, "ticktext": [f"{value:,g}" for value in values]}
        return {
            "title_text": self.title,
            "type": "log" if self.logarithmic else "linear",
            "range": [low - room, high + room],
            **ticks,
        }


def axis(metric: str, values: Sequence[float | None], shown: Sequence[float | None]) -> Axis:
    """Return the axis of a metric.

    It begins at the least value. It holds all points that must be shown, with a margin, and at least half of all points.

    Args:
        metric: Name of the metric, or "number" for the number of an evaluation.
        values: Values of all points, scaled as on the axis; None if unknown.
        shown: Values that must be on the axis.
    """
    known = [v for v in [*values, *shown] if v is not None]
    title = "evaluation" if metric == "number" else METRICS[metric].axis
    if not known:
        return Axis(title, False, 0.0, 1.0)
    low, most = min(known), max(known)
    if metric == "number":
        return Axis(title, False, low, max(most, low + 1))
    high = max([float(np.median(known)), *(v for v in shown if v is not None)])
    logarithmic = low > 0 and high > _WIDE * low
    high = high * (high / low) ** _MARGIN if logarithmic else high + _MARGIN * (high - low)
    high = min(high, most) if high > low else most
    if high == low:
        pad = _MARGIN * abs(low) or 1.0
        low, high = low - pad, high + pad
    return Axis(f"{title}, {'logarithmic' if logarithmic else 'linear'} scale", logarithmic, low, high)


def planes(objectives: Sequence[str]) -> list[tuple[str, str]]:
    """Return the pairs of objectives as (x, y); those with the error come first and have it on the y axis."""
    pairs = [(b, a) if a == "error" else (a, b) for a, b in combinations(objectives, 2)]
    return sorted(pairs, key=lambda pair: pair[1] != "error")


def plane_name(plane: tuple[str, str]) -> str:
    """Return the name of a plane for a menu."""
    return f"{METRICS[plane[1]].label} over {METRICS[plane[0]].label}"


def relayout(x: Axis, y: Axis) -> dict[str, Any]:
    """Return the settings of both axes as plotly's menus take them."""
    found: dict[str, Any] = {}
    for name, along in (("xaxis", x), ("yaxis", y)):
        style = along.layout()
        found[f"{name}.title.text"] = style.pop("title_text")
        found |= {f"{name}.{key}": value for key, value in style.items()}
    return found
