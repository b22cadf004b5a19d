"""The metrics of a network: their names, their text form, and how they are read from an estimate of cost.

A new metric is one entry of `METRICS`: configurations accept it as an objective, searches store it, and their files,
terminal tables, figures and pages show it; builds do not. All objectives are minimised, so register the inverse of a
quantity to maximise (seconds per image instead of images per second).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from zerocross.reports import wording


class Resources(Protocol):
    """The resources that a node or a whole design uses."""

    @property
    def lut(self) -> int | float:
        """LUTs."""

    @property
    def bram_kbit(self) -> int | float:
        """Used block RAM capacity in kbit."""

    @property
    def bram18(self) -> int | float:
        """Block RAMs of 18 kbit with that capacity, rounded up."""

    @property
    def dsp(self) -> int | float:
        """DSP blocks."""


class Cost(Protocol):
    """The cost of a network by two models; see `zerocross.finn_flows.cost.Cost`."""

    @property
    def finn(self) -> Resources:
        """Resources estimated by stock FINN."""

    @property
    def zerocross(self) -> Resources:
        """Resources estimated by this project's models."""

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
        name: Name in configurations, files and columns.
        label: Label on pages, in figures and in tables.
        unit: Unit, "" if the label needs none.
        resource: Function that reads it from resources; nodes and layers then have it too. None if it is not a resource.
        cost: Function that reads it from a cost, given a model's name, "zerocross" or "finn". A metric without `resource`
            and `cost` is measured by training.
        objective: Whether a search may minimise it.
        brief: Whether short tables show it.
        scale: Factor for its values on axes.
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
        """Title of an axis, the label with its unit: "latency (cycles)"."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    @property
    def heading(self) -> str:
        """Heading of a column: the label with a capital."""
        return self.label[0].upper() + self.label[1:]

    def read(self, cost: Cost, model: str) -> float:
        """Return its value.

        Args:
            cost: Cost of a network.
            model: Source of the estimates, "zerocross" or "finn".
        """
        if self.resource is not None:
            return self.resource(cost.finn if model == "finn" else cost.zerocross)
        assert self.cost is not None, f"{self.name} is measured, not estimated"
        return self.cost(cost, model)

    def text(self, value: float | None) -> str:
        """Return a value as text, without its unit except "%": "1,234", "8.1 %"."""
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
"""Names of the metrics that a search may minimise."""

COSTS = tuple(name for name, metric in METRICS.items() if metric.is_cost)
"""Names of the metrics that are estimated."""

RESOURCES = tuple(name for name, metric in METRICS.items() if metric.resource is not None)
"""Names of the metrics that nodes and layers also have."""


def costs(cost: Cost, model: str) -> dict[str, float]:
    """Return the metrics of a cost by name, as estimated by a model, "zerocross" or "finn"."""
    return {name: METRICS[name].read(cost, model) for name in COSTS}


def resources(used: Resources) -> dict[str, float]:
    """Return the metrics of a node's resources by name."""
    return {name: read(used) for name, metric in METRICS.items() if (read := metric.resource) is not None}
