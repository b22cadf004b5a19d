"""Estimated interval and latency against designs in simulation."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.timing import Case, measure, random_cases, with_numbers
from tests.finn_flows.finn_networks import CLASSIFIERS, border, chain, dynamic, mlp, residual, signs
from tests.finn_flows.integer_networks import random_network
from tests.finn_flows.whole_designs import SideBySide
from zerocross.finn_flows.assembly import assemble
from zerocross.finn_flows.cost import estimate
from zerocross.finn_flows.folding import Folding
from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.network import (
    Activation,
    Conv,
    Dense,
    Flatten,
    Input,
    LabelSelect,
    MaxPool,
    Network,
)
from zerocross.finn_flows.nodes.flow import input_flow
from zerocross.finn_flows.planner import plan
from zerocross.finn_flows.rtl.design import INPUT, Design, with_fifos
from zerocross.finn_flows.timing import waiting_words

IMAGES = 6
CASES = {
    "folded": Case(mlp(8, (30, 12, 10, 5)), Folding(target_cycles=150)),
    "unrolled": Case(mlp(1, (12, 8, 4)), Folding(target_cycles=1)),
    "undivided": Case(
        chain(Input((12,), 1), Dense(24), signs(24), Dense(6), LabelSelect()),
        Folding(layers=(("dense0", 8, 12), ("dense2", 6, 6))),
    ),
    "convolutions": Case(
        chain(
            *(Input((7, 6, 2), 8), border(1, 1, 8), Conv(4), Activation((1,) * 8, 2), MaxPool()),
            *(Conv(6, kernel=(2, 2)), signs(6), Flatten(), Dense(4), LabelSelect()),
        ),
        Folding(target_cycles=2000),
    ),
    "strides": Case(
        chain(
            *(Input((9, 9, 1), 1), Conv(4, kernel=(2, 2)), signs(4), MaxPool((3, 3), (2, 2))),
            *(border(1, 1, 1), Conv(4, stride=(2, 2)), signs(4), Flatten(), Dense(3), LabelSelect()),
        ),
        Folding(target_cycles=900),
    ),
    "windows": Case(  # whole ones
        chain(Input((8, 8, 1), 1), Conv(4), MaxPool(), signs(4), Flatten(), Dense(4), LabelSelect()),
        Folding(target_cycles=64),
    ),
}


Numbered = dict[str, tuple[IntegerNetwork, Folding]]


def deep(net: IntegerNetwork, folding: Folding) -> Design:
    """The design with FIFOs on all its streams that never fill."""
    return with_fifos(assemble(plan(net.network, folding), net), 2048)


def estimated_and_simulated(
    numbered: Numbered, folder: Path, runtime: Path
) -> dict[str, tuple[tuple[int, int], tuple[int, int]]]:
    """(interval, latency) as estimated, and as simulated, by name."""
    designs = {name: deep(*case) for name, case in numbered.items()}
    samples = {name: np.zeros((IMAGES, design.input.elements), int) for name, design in designs.items()}
    trace, _ = SideBySide.of(designs, folder, runtime).run(samples)
    found = {}
    for name, (net, folding) in numbered.items():
        cost, ends = estimate(net.network, folding), trace.given[f"{name}_m"]
        fifos = sum(element.kind == "fifo" for element in designs[name].elements)  # a cycle each
        latency = ends[0] - trace.taken[f"{name}_s"][0] + 1 - fifos
        found[name] = (cost.ii, cost.latency), (int(ends[-1] - ends[-2]), int(latency))
    return found


def test_designs_take_the_estimated_cycles(tmp_path: Path, runtime: Path) -> None:
    numbered = {name: (with_numbers(case.network), case.folding) for name, case in CASES.items()}
    for name, (estimated, simulated) in estimated_and_simulated(numbered, tmp_path, runtime).items():
        assert estimated[0] == pytest.approx(simulated[0], rel=0.02), name
        assert estimated[1] == pytest.approx(simulated[1], rel=0.05, abs=1), name


@pytest.mark.parametrize("cycles", [1000, 4000])
@pytest.mark.parametrize("network", [residual(1), residual(8, dilation=2), dynamic(8)])
def test_the_words_that_wait_are_counted_one_by_one(network: Network, cycles: int) -> None:
    """Images follow each other; a pixel waits from its arrival until its sum is made."""
    design = plan(network, Folding(target_cycles=cycles))
    flows = {(INPUT, "s"): input_flow(design.input)}
    for element in design.elements:
        flow = element.node.flow([flows[source] for source in element.sources])
        flows |= {(element.name, port): flow for port in element.node.outputs}
    joins = [element for element in design.elements if len(element.sources) > 1]
    interval, images = max(design.intervals().values()), np.arange(60)[:, None]
    expected = {}
    for element in joins:
        made = flows[element.name, "m"].times - element.node.latency
        made = (made + interval * images).reshape(-1)
        for port, source in element.ports.items():
            words, pixels = element.node.inputs[port].words, len(flows[source].times)
            come = (flows[source].times + interval * images).reshape(-1)
            if pixels < len(flows[element.name, "m"].times):
                expected[element.name, port] = words  # a vector
                continue
            most = max((come <= time).sum() - index for index, time in enumerate(made[:pixels]))
            expected[element.name, port] = -(-most * words // pixels)
    assert expected and waiting_words(design) == expected


@pytest.mark.slow
def test_classifiers_take_the_estimated_cycles(tmp_path: Path, runtime: Path) -> None:
    """To the cycle: the register that takes offsets off is one, and the one of a bias another."""
    numbered = {
        f"folded{index}": (random_network(network, 0, most=2), Folding(target_cycles=12))
        for index, (name, network) in enumerate(CLASSIFIERS.items())
        if name.endswith("biased") or "4 bits" in name
    }
    unrolled = random_network(CLASSIFIERS["levels into 4 bits, biased"], 0, most=2)
    numbered["unrolled"] = unrolled, Folding(target_cycles=1)
    for name, (estimated, simulated) in estimated_and_simulated(numbered, tmp_path, runtime).items():
        assert estimated == simulated, name


@pytest.mark.slow
@pytest.mark.parametrize("index", range(40))
def test_random_designs_take_the_estimated_cycles(index: int, tmp_path: Path, runtime: Path) -> None:
    case = random_cases(40, seed=0)[index]
    cost, measured = estimate(case.network, case.folding), measure(case, tmp_path, runtime)
    assert cost.ii == pytest.approx(measured.interval, rel=0.02), case.text
    assert cost.latency == pytest.approx(measured.latency, rel=0.1), case.text
