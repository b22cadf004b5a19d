"""Intervals of nodes in simulation, against their estimates and against designs that consist of one node."""

from pathlib import Path

import pytest

from tests.finn_flows.finn_networks import border, chain, signs
from tests.finn_flows.integer_networks import random_network
from zerocross.finn_flows.assembly import assemble
from zerocross.finn_flows.folding import Folding
from zerocross.finn_flows.network import Conv, Dense, Flatten, Input, LabelSelect, MaxPool
from zerocross.finn_flows.planner import plan
from zerocross.finn_flows.rtl import node_intervals as module
from zerocross.finn_flows.rtl.node_intervals import node_intervals
from zerocross.finn_flows.rtl.simulation import SimulationError

NETWORK = chain(
    Input((6, 7, 2), 1),
    border(1, 1, 1),
    Conv(4),
    signs(4),
    MaxPool((3, 2), (1, 2)),
    Flatten(),
    Dense(5),
    LabelSelect(),
)


def test_each_node_is_measured_at_its_own_pace(tmp_path: Path, runtime: Path) -> None:
    net = random_network(NETWORK, 4, constant=0.0)
    design = assemble(plan(net.network, Folding(target_cycles=200)), net)
    measured = node_intervals(design, tmp_path, cache=runtime)
    assert measured == design.intervals()
    assert len(set(measured.values())) > 3  # in the running design, all nodes take as long as the slowest


def test_a_pace_that_varies_is_refused() -> None:
    assert module._interval("conv", [10, 14, 18, 22]) == 4
    with pytest.raises(SimulationError, match=r"conv does not keep a constant pace.*\[10, 14, 17\]"):
        module._interval("conv", [10, 14, 17])
