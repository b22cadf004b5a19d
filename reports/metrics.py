"""The metrics of a network: what each is called, how it is written, and how it is read from an estimate of cost.

A new metric is one entry of `METRICS`: configurations take it as an objective, searches keep it, and files, terminal tables,
figures and pages show it. All objectives are minimised; what is to be large is registered as what is to be small (seconds an
image instead of images a second).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from zerocross.reports import wording


class Resources(Protocol):
    """What a node or a whole design takes of a part."""

    @property
    def lut(self) -> int | float:
        """LUTs."""

    @property
    def bram18(self) -> int | float:
        """Block RAMs of 18 kbit."""

    @property
    def dsp(self) -> int | float:
        """DSP blocks."""


class Cost(Protocol):
    """What a network costs, by two models; see `zerocross.finn_flows.cost.Cost`."""

    @property
    def finn(self) -> Resources:
        """Resources as stock FINN reports them."""

    @property
    def zerocross(self) -> Resources:
        """Resources as this project expects them."""

    @property
    def ii(self) -> int:
        """Cycles between two images."""

    @property
    def latency(self) -> int:
        """Cycles from first input to class."""

    @property
    def finn_latency(self) -> int:
        """The same by FINN's estimates."""


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: in configurations, files and columns.
        label: on pages, figures and in tables.
        unit: "" where the label says it all.
        resource: reads it from resources, if it is one: then nodes and layers have it too.
        cost: reads it from a cost and a model's name, "zerocross" or "finn". A metric with neither is measured by training.
        objective: whether a search may minimise it.
        brief: whether short tables show it.
        scale: what axes multiply it by.
    """

    name: str
    label: str
    unit: str = ""
    resource: Callable[[Resources], float] | None = None
    cost: Callable[[Cost, str], float] | None = None
    objective: bool = True
    brief: bool = False
    scale: float = 1.0

    @property
    def is_cost(self) -> bool:
        """Whether it is read from an estimate of cost."""
        return self.resource is not None or self.cost is not None

    @property
    def axis(self) -> str:
        """The label with its unit, as an axis carries it: "latency (cycles)"."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    @property
    def heading(self) -> str:
        """The label as a column's heading."""
        return self.label[0].upper() + self.label[1:]

    def read(self, cost: Cost, model: str) -> float:
        """Return its value.

        Args:
            cost: what a network costs.
            model: whose estimates, "zerocross" or "finn".
        """
        if self.resource is not None:
            return self.resource(cost.finn if model == "finn" else cost.zerocross)
        assert self.cost is not None, f"{self.name} is measured, not estimated"
        return self.cost(cost, model)

    def text(self, value: float | None) -> str:
        """Write a value without its unit, but for a percentage: "1,234", "8.1 %"."""
        if self.unit == "%" and value is not None:
            return f"{self.scale * value:.1f} %"
        return wording.number(value)


METRICS = {
    metric.name: metric
    for metric in (
        Metric("error", "validation error", "%", scale=100),
        Metric("lut", "LUT", resource=lambda used: used.lut, brief=True),
        Metric("bram", "BRAM18", resource=lambda used: used.bram18, brief=True),
        Metric("dsp", "DSP", resource=lambda used: used.dsp),
        Metric(
            "latency",
            "latency",
            "cycles",
            cost=lambda cost, model: cost.finn_latency if model == "finn" else cost.latency,
        ),
        Metric("ii", "II", "cycles", cost=lambda cost, model: cost.ii, brief=True),
    )
}
"""Every metric by name, in the order of all tables."""

OBJECTIVES = tuple(name for name, metric in METRICS.items() if metric.objective)
"""Names of what a search may minimise."""

COSTS = tuple(name for name, metric in METRICS.items() if metric.is_cost)
"""Names of what is estimated."""

RESOURCES = tuple(name for name, metric in METRICS.items() if metric.resource is not None)
"""Names of what nodes and layers have, too."""


def costs(cost: Cost, model: str) -> dict[str, float]:
    """Return a cost's metrics by name, by the estimates of a model, "zerocross" or "finn"."""
    return {name: METRICS[name].read(cost, model) for name in COSTS}


def resources(used: Resources) -> dict[str, float]:
    """Return the metrics of what a node takes, by name."""
    return {name: read(used) for name, metric in METRICS.items() if (read := metric.resource) is not None}
