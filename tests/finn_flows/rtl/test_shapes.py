"""Designs of signals, concats, chosen channels and skipping pools against the integers: node by node, and in simulation."""

from pathlib import Path

import numpy as np
import pytest

from tests.finn_flows.integer_networks import as_streams, held_against
from tests.finn_flows.lowering.foreign import samples
from tests.finn_flows.lowering.shapes import SHAPES
from tests.finn_flows.whole_designs import SideBySide
from zerocross.finn_flows.assembly import assemble
from zerocross.finn_flows.cost import estimate
from zerocross.finn_flows.folding import Folding
from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.lowering.lower import lower
from zerocross.finn_flows.planner import plan
from zerocross.finn_flows.rtl.design import Design, with_fifos

FOLDING = Folding(target_cycles=700)


def numbered(name: str, count: int) -> tuple[IntegerNetwork, Design, np.ndarray]:
    """A network, its design without FIFOs, and inputs."""
    g = SHAPES[name]()
    lowered = lower(g.model())
    net = lowered.network
    inputs = lowered.quantize(samples(g.shape, count))
    return net, assemble(plan(net.network, FOLDING), net), inputs


@pytest.mark.parametrize("name", SHAPES)
def test_elements_compute_what_the_layers_do(name: str) -> None:
    net, design, inputs = numbered(name, 6)
    assert held_against(net, design, inputs) > 3


SIMULATED = [
    pytest.param(["concat_of_vectors", "pool_of_bits"], id="small", marks=pytest.mark.slow),
    pytest.param(
        ["depthwise_of_signals", "signals_joined", "signals_maximum"], id="signals", marks=pytest.mark.slow
    ),
    pytest.param(
        ["concats_of_offsets", "concat_of_flattened", "split"], id="concats", marks=pytest.mark.slow
    ),
    pytest.param(["shuffle_net", "grouped_shuffle"], id="shuffles", marks=pytest.mark.slow),
    pytest.param(
        ["classifier_of_wide_levels", "skipping_maximum", "strided_slices"],
        id="pools",
        marks=pytest.mark.slow,
    ),
]


@pytest.mark.parametrize("names", SIMULATED)
def test_simulated_as_computed(names: list[str], tmp_path: Path, runtime: Path) -> None:
    nets, designs, inputs = {}, {}, {}
    for name in names:
        nets[name], bare, inputs[name] = numbered(name, 8)
        designs[name] = with_fifos(bare, 512)
    compiled = SideBySide.of(designs, tmp_path, runtime)
    given = {name: as_streams(net, inputs[name]) for name, net in nets.items()}
    for stalls in ((0.0, 0.0), (0.4, 0.3)):
        trace, outputs = compiled.run(given, stalls, seed=1)
        for name, net in nets.items():
            assert np.array_equal(outputs[name], net.run(inputs[name])[net.network.layers[-1].name]), name
            if not any(stalls):
                cost, ends = estimate(net.network, FOLDING), trace.given[f"{name}_m"]
                assert cost.ii == int(ends[-1] - ends[-2]), name
                latency = int(ends[0] - trace.taken[f"{name}_s"][0]) + 1
                fifos = sum(
                    element.kind == "fifo" for element in designs[name].elements
                )  # up to a cycle each
                assert latency - fifos - 2 <= cost.latency * 1.05 and cost.latency <= latency * 1.05, name
