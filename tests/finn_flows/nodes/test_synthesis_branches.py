"""SystemVerilog that only synthesis reads: it computes the same as what simulation reads."""

from pathlib import Path

import pytest

from tests.finn_flows.nodes import test_crossing_site, test_thermometer
from tests.finn_flows.nodes.bench import Bench
from zerocross.finn_flows.rtl import simulation


def test_it_agrees_with_numpy(tmp_path: Path, runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "_OPTIONS", (*simulation._OPTIONS, "-DSYNTHESIS"))
    nodes = {**test_thermometer.NODES, **test_crossing_site.NODES}
    Bench.of(nodes, tmp_path, runtime).check((0.4, 0.3), seeds=1)
