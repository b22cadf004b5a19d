"""Estimated interval and latency against designs in simulation."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.timing import Case, measure, random_cases, with_numbers
from tests.finn_flows.finn_networks import chain, mlp, signs
from tests.finn_flows.rtl.test_nodes import compile_nodes
from zerocross.finn_flows.cost import estimate
from zerocross.finn_flows.folding import Folding
from zerocross.finn_flows.graph import hardware_nodes
from zerocross.finn_flows.network import Activation, Conv, Dense, Flatten, Input, LabelSelect, MaxPool
from zerocross.finn_flows.rtl.assembly import assemble
from zerocross.finn_flows.rtl.design import INPUT, Design, generate, with_fifos
from zerocross.finn_flows.rtl.nodes import Instance, Stream
from zerocross.finn_flows.rtl.streaming import words

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
            *(Input((7, 6, 2), 8), Conv(4, padding=(1, 1)), Activation((1,) * 8, 2), MaxPool()),
            *(Conv(6, kernel=(2, 2)), signs(6), Flatten(), Dense(4), LabelSelect()),
        ),
        Folding(target_cycles=2000),
    ),
    "strides": Case(
        chain(
            *(Input((9, 9, 1), 1), Conv(4, kernel=(2, 2)), signs(4), MaxPool((3, 3), (2, 2))),
            *(Conv(4, stride=(2, 2), padding=(1, 1)), signs(4), Flatten(), Dense(3), LabelSelect()),
        ),
        Folding(target_cycles=900),
    ),
    "windows": Case(  # whole ones
        chain(Input((8, 8, 1), 1), Conv(4), MaxPool(), signs(4), Flatten(), Dense(4), LabelSelect()),
        Folding(target_cycles=64),
    ),
}


@dataclass(frozen=True)
class Whole:
    """A design beside others in one simulation: its elements are named after it."""

    name: str
    design: Design

    @property
    def inputs(self) -> dict[str, Stream]:
        return {"s": self.design.input}

    @property
    def outputs(self) -> dict[str, Stream]:
        return {"m": self.design.output}

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        def own(name: str) -> str:
            return name if name == INPUT else prefix + name

        elements = tuple(
            replace(e, name=own(e.name), sources=tuple((own(name), port) for name, port in e.sources))
            for e in self.design.elements
        )
        generated = generate(Design(self.design.input, elements), folder, f"{prefix}top")
        return Instance(generated.top, {}, generated.sources)


def deep(case: Case) -> Design:
    """The design with FIFOs on all its streams that never fill."""
    net = with_numbers(case.network)
    return with_fifos(assemble(net, hardware_nodes(net.network, case.folding, streams=False)), 2048)


def test_designs_take_the_estimated_cycles(tmp_path, runtime):
    wholes = {name: Whole(name, deep(case)) for name, case in CASES.items()}
    simulator = compile_nodes(wholes, tmp_path, runtime)
    samples = {name: np.zeros((IMAGES, whole.design.input.elements), int) for name, whole in wholes.items()}
    trace = simulator.run(
        {f"{name}_s": words(samples[name], whole.design.input) for name, whole in wholes.items()},
        {f"{name}_m": IMAGES for name in wholes},
    )
    for name, case in CASES.items():
        cost, ends = estimate(case.network, case.folding), trace.given[f"{name}_m"]
        fifos = sum(element.kind == "fifo" for element in wholes[name].design.elements)  # a cycle each
        latency = ends[0] - trace.taken[f"{name}_s"][0] + 1 - fifos
        assert cost.ii == pytest.approx(ends[-1] - ends[-2], rel=0.02), name
        assert cost.latency == pytest.approx(latency, rel=0.05, abs=1), name


@pytest.mark.slow
@pytest.mark.parametrize("index", range(40))
def test_random_designs_take_the_estimated_cycles(index, tmp_path, runtime):
    case = random_cases(40, seed=0)[index]
    cost, measured = estimate(case.network, case.folding), measure(case, tmp_path, runtime)
    assert cost.ii == pytest.approx(measured.interval, rel=0.02), case.text
    assert cost.latency == pytest.approx(measured.latency, rel=0.1), case.text
