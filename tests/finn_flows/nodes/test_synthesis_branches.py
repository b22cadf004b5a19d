"""SystemVerilog that only synthesis reads: it computes the same as what simulation reads."""

from pathlib import Path

import pytest

from tests.finn_flows.nodes import test_crossing_site, test_thermometer
from tests.finn_flows.nodes.bench import Bench
from zerocross.finn_flows.rtl import simulation

# Nodes that have such branches, one for each. More of them take longer to compile.
NODES = {name: test_thermometer.NODES[name] for name in ("in_luts", "one_word", "levels")} | {
    name: test_crossing_site.NODES[name] for name in ("comparators_odd", "search_odd")
}


def test_it_agrees_with_numpy(tmp_path: Path, runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "_OPTIONS", (*simulation._OPTIONS, "-DSYNTHESIS"))
    Bench.of(NODES, tmp_path, runtime).check((0.4, 0.3), seeds=1)
