"""A metric is registered once, and everything shows it."""

from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest

from zerocross.reports import figures, metrics, page, storage
from zerocross.reports.metrics import COSTS, METRICS, OBJECTIVES, RESOURCES, Metric


@dataclass(frozen=True)
class Used:
    lut: int
    bram_kbit: int
    bram18: int
    dsp: int


COST = SimpleNamespace(
    finn=Used(900, 152, 9, 3), zerocross=Used(400, 72, 4, 1), ii=64, latency=300, finn_latency=500
)


def test_costs_are_read_by_either_model():
    ours, finns, used = (
        metrics.costs(COST, "zerocross"),
        metrics.costs(COST, "finn"),
        metrics.resources(COST.finn),
    )
    assert ours.items() >= {"lut": 400, "bram": 4, "dsp": 1, "latency": 300, "ii": 64}.items()
    assert finns.items() >= {"lut": 900, "bram": 9, "dsp": 3, "latency": 500, "ii": 64}.items()
    assert used.items() >= {"lut": 900, "bram": 9, "dsp": 3}.items()
    assert tuple(ours) == tuple(finns) == COSTS and tuple(used) == RESOURCES


def test_names_and_their_words():
    assert all(METRICS[name].name == name for name in METRICS)
    assert tuple(name for name in METRICS if METRICS[name].objective) == OBJECTIVES
    assert set(RESOURCES) <= set(COSTS) <= set(METRICS) and "error" not in COSTS
    assert [METRICS[name].axis for name in ("error", "lut", "ii")] == [
        "validation error (%)",
        "LUT",
        "II (cycles)",
    ]
    assert METRICS["latency"].heading == "Latency"
    assert [METRICS["error"].text(0.0812), METRICS["lut"].text(1234.0), METRICS["bram"].text(2.5)] == [
        "8.1 %",
        "1,234",
        "2.5",
    ]
    assert METRICS["lut"].text(None) == METRICS["error"].text(None) == "–"  # noqa: RUF001
    with pytest.raises(AssertionError, match="measured"):
        METRICS["error"].read(COST, "finn")


def test_a_metric_that_a_run_of_an_earlier_version_lacks(make_run, monkeypatch):
    """A metric registered later is on the page, unknown for old networks and known for new ones."""
    half = Metric("half", "half the block RAM", "kbit", resource=lambda used: used.bram_kbit / 2)
    monkeypatch.setitem(METRICS, "half", half)
    for module in (metrics, page, storage):
        monkeypatch.setattr(module, "COSTS", (*COSTS, "half"))
    assert metrics.costs(COST, "finn")["half"] == 76 and metrics.resources(COST.finn)["half"] == 76
    run = make_run(60, front=2)
    assert '<th class="n">Half the block RAM</th>' in page.render(run)
    known = [replace(e, metrics={**e.metrics, "half": 40.0 + e.number}) for e in run.evaluations]
    figure = figures.front(replace(run, evaluations=known, objectives=["error", "half"]))
    assert figure.layout.xaxis.title.text == "half the block RAM (kbit), linear scale"
    assert "half_estimate" in storage.contents(run)["pareto.csv"].splitlines()[0]
