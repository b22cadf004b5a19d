"""Designs whose streams fork and meet again, in simulation against the integer network."""

from pathlib import Path

import numpy as np
import pytest

from tests.finn_flows.finn_networks import dynamic, grouped, residual
from tests.finn_flows.integer_networks import random_inputs, random_network
from tests.finn_flows.rtl.test_assembly import as_streams, held_against
from zerocross.finn_flows.cost import estimate
from zerocross.finn_flows.folding import Folding
from zerocross.finn_flows.graph import hardware_nodes
from zerocross.finn_flows.rtl.assembly import assemble
from zerocross.finn_flows.rtl.design import with_fifos
from zerocross.finn_flows.rtl.streaming import compile_streaming, size_fifos

NETWORKS = {
    "residual": residual(),
    "residual of bits": residual(1, channels=6, stream=2),
    "dilated": residual(apart=2),
    "dynamic": dynamic(),
    "grouped": grouped(),
    "grouped bytes": grouped(8),
    "dynamic, wide": dynamic(channels=10),
}
FOLDINGS = [Folding(), Folding(target_cycles=1000), Folding(target_cycles=3000)]


@pytest.mark.parametrize("folding", FOLDINGS)
@pytest.mark.parametrize("name", NETWORKS)
def test_elements_compute_what_the_layers_do(name: str, folding: Folding) -> None:
    net = random_network(NETWORKS[name], seed=7, constant=0.0, most=6)
    design = assemble(net, hardware_nodes(net.network, folding, streams=False))
    assert held_against(net, design, random_inputs(net.network, 4, seed=2)) > 10


@pytest.mark.parametrize(
    "name", [pytest.param("residual", marks=pytest.mark.slow), "dilated", "dynamic", "grouped bytes"]
)
def test_simulated_as_computed(name: str, tmp_path: Path, runtime: Path) -> None:
    net, folding = (
        random_network(NETWORKS[name], seed=3, constant=0.0, most=6),
        Folding(target_cycles=1000),
    )
    bare = assemble(net, hardware_nodes(net.network, folding, streams=False))
    depths, interval = size_fifos(bare, tmp_path / "sizing", runtime)
    design = with_fifos(bare, {key: depth for key, depth in depths.items() if depth > 1})
    compiled, _ = compile_streaming(design, tmp_path / "rtl", cache=runtime)
    inputs = random_inputs(net.network, 6, seed=5)
    free, stalled = (
        compiled.stream(as_streams(net, inputs), stalls=stalls, seed=1) for stalls in ((0.0, 0.0), (0.4, 0.3))
    )
    expected = net.run(inputs)[net.network.layers[-1].name]
    assert np.array_equal(free.outputs, expected)
    assert np.array_equal(stalled.outputs, expected)
    cost = estimate(net.network, folding)
    assert cost.ii == pytest.approx(interval, rel=0.02)
    assert cost.latency == pytest.approx(free.latency, rel=0.1)
