"""Designs whose streams fork and meet again, or end in a bias, in simulation against the integer network."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.finn_flows.finn_networks import (
    CLASSIFIERS,
    biased_images,
    dynamic,
    forked_input,
    grouped,
    residual,
)
from tests.finn_flows.integer_networks import as_streams, held_against, random_inputs, random_network
from tests.finn_flows.whole_designs import SideBySide
from zerocross.finn_flows.assembly import assemble
from zerocross.finn_flows.cost import estimate
from zerocross.finn_flows.folding import Folding
from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.planner import plan
from zerocross.finn_flows.rtl.design import Design, with_fifos
from zerocross.finn_flows.rtl.logits import design_logits
from zerocross.finn_flows.rtl.streaming import compile_streaming, size_fifos

NETWORKS = {
    "residual": residual(),
    "residual of bits": residual(1, channels=6, stream=2),
    "dilated": residual(dilation=2),
    "dynamic": dynamic(),
    "grouped": grouped(),
    "grouped bytes": grouped(8),
    "dynamic, wide": dynamic(channels=10),
    "biased images": biased_images(8),
    "forked input": forked_input(),
    "forked bits": forked_input(1),
}
FOLDINGS = [Folding(), Folding(target_cycles=1000), Folding(target_cycles=3000)]


@pytest.mark.parametrize("folding", FOLDINGS)
@pytest.mark.parametrize("name", NETWORKS)
def test_elements_compute_what_the_layers_do(name: str, folding: Folding) -> None:
    net = random_network(NETWORKS[name], seed=7, constant=0.0, most=6)
    design = assemble(plan(net.network, folding), net)
    assert held_against(net, design, random_inputs(net.network, 4, seed=2)) > 5


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("residual", marks=pytest.mark.slow),
        pytest.param("dilated", marks=pytest.mark.slow),
        "dynamic",
        pytest.param("grouped bytes", marks=pytest.mark.slow),
        pytest.param("biased images", marks=pytest.mark.slow),
        pytest.param("forked input", marks=pytest.mark.slow),
    ],
)
def test_simulated_as_computed(name: str, tmp_path: Path, runtime: Path) -> None:
    net, folding = (
        random_network(NETWORKS[name], seed=3, constant=0.0, most=6),
        Folding(target_cycles=1000),
    )
    bare = assemble(plan(net.network, folding), net)
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


@pytest.mark.slow
def test_simulated_logits_are_the_networks(tmp_path: Path, runtime: Path) -> None:
    """Of every kind of classifier, with and without a bias; the label select left out, so that logits come out."""
    nets: dict[str, IntegerNetwork] = {}
    designs: dict[str, Design] = {}
    for index, network in enumerate(CLASSIFIERS.values()):
        net = random_network(network, 1, constant=0.0, most=3)
        net = replace(net, network=replace(net.network, layers=net.network.layers[:-1]))
        name = f"classifier{index}"
        nets[name], designs[name] = net, assemble(plan(net.network, Folding(target_cycles=30)), net)
    inputs = random_inputs(next(iter(CLASSIFIERS.values())), 25, 4)
    samples = {name: as_streams(net, inputs) for name, net in nets.items()}
    compiled = SideBySide.of(designs, tmp_path, runtime)
    for stalls in ((0.0, 0.0), (0.5, 0.4)):
        _, outputs = compiled.run(samples, stalls, seed=2)
        for name, net in nets.items():
            logits = design_logits(designs[name], outputs[name])
            assert np.array_equal(logits, net.run(inputs)[net.network.layers[-1].name]), name
