"""Hard-wired networks as designs: integers = references = RTL = FINN graph, an image every cycle, and exact latencies."""

from dataclasses import replace

import numpy as np
import pytest

from tests.finn_flows.nodes.bench import STALLS
from tests.finn_flows.whole_designs import SideBySide
from tests.finn_flows.wired_networks import (
    random_inputs,
    random_table,
    sparse_of,
    sparse_weights,
    wired_network,
)
from zerocross.finn_flows.assembly import Styles, assemble
from zerocross.finn_flows.cost import estimate
from zerocross.finn_flows.folding import Folding, FoldingError
from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.network import (
    Activation,
    Dense,
    Flatten,
    Input,
    LabelSelect,
    Layer,
    Network,
    Thermometer,
)
from zerocross.finn_flows.nodes import CrossingSite, Wired, WiredCount
from zerocross.finn_flows.nodes import LabelSelect as LabelNode
from zerocross.finn_flows.planner import plan
from zerocross.finn_flows.rtl.design import Design, with_fifos
from zerocross.finn_flows.rtl.logits import design_logits
from zerocross.finn_flows.timing import pipeline_latency
from zerocross.finn_flows.vendor.dataflow import dataflow_model
from zerocross.finn_flows.vendor.execution import execute
from zerocross.finn_flows.wiring import simplified


def several_bits() -> IntegerNetwork:
    """An image, whose thermometer is flattened; then levels of two bits, which a product reads."""
    rng = np.random.default_rng(5)
    wide = sparse_weights(rng, 8, 3 * 2 * 2 * 3, [5, 2])
    table = random_table(rng, sparse_of(wide), bits=2)
    layers = (
        Layer("thermometer", Thermometer((60, 90, 0, 256, 128, 200), 3), ("input",)),
        Layer("flatten", Flatten(), ("thermometer",)),
        Layer("sparse", sparse_of(wide), ("flatten",)),
        Layer("levels", Activation(tuple(int(each) for each in table.counts()), 2), ("sparse",)),
        Layer("classifier", Dense(3), ("levels",)),
        Layer("label", LabelSelect(), ("classifier",)),
    )
    weights = {"sparse": wide, "classifier": rng.choice(np.array([-1, 1], np.int8), (3, 8))}
    return IntegerNetwork(Network(Input((3, 2, 2)), layers), weights, {"levels": table})


def one_class() -> IntegerNetwork:
    """Two classes by one bit."""
    net = wired_network(8, classes=1, votes=(9,))
    table = random_table(np.random.default_rng(1), sparse_of(net.weights["classifier"]))
    *layers, label = net.network.layers
    sign = Layer("vote", Activation((int(table.counts()[0]),)), ("classifier",))
    network = replace(net.network, layers=(*layers, sign, replace(label, inputs=("vote",))))
    return replace(net, network=network, tables={**net.tables, "vote": table})


NETWORKS = {
    "plain": (wired_network(0), Folding()),
    "combinational": (wired_network(1, widths=(20, 15, 12), reads=((6,), (4,), (3,))), Folding(registers=0)),
    "second": (wired_network(2, widths=(20, 15, 12), reads=((6,), (4,), (3,))), Folding(registers=2)),
    "uneven": (
        wired_network(3, widths=(21, 19), reads=((6, 1, 3), (9, 12)), classes=5, density=0.2),
        Folding(),
    ),
    "bits": (
        wired_network(4, features=30, bits=0, widths=(25,), reads=((16, 13),)),
        Folding(target_cycles=900),
    ),
    "signs": (wired_network(5, classes=3, votes=(9, 4)), Folding()),
    "biased": (wired_network(6, classes=3, votes=(9, 4), biased=True), Folding()),
    "tables": (
        wired_network(10, reads=((6,), (5, 2, 6)), classes=5, indexed=(1, 2), density=0.5),
        Folding(),
    ),
    "one_table": (wired_network(11, widths=(20, 9), reads=((4,), (3,)), classes=3, indexed=(2,)), Folding()),
    "many": (wired_network(7, widths=(40,), reads=((1,),), classes=20), Folding()),
    "levels": (several_bits(), Folding(target_cycles=30)),
    "voted": (one_class(), Folding()),
}


def design_of(name: str) -> Design:
    net, folding = NETWORKS[name]
    styles = Styles(table_inputs=4 if name in ("uneven", "bits", "one_table") else 6)
    return assemble(plan(net.network, folding), net, styles)


def streamed(net: IntegerNetwork, x: np.ndarray) -> np.ndarray:
    flat = x.reshape(len(x), -1)
    return flat if net.network.input.bits == 8 else (flat + 1) // 2


@pytest.fixture(scope="module")
def rtl(tmp_path_factory, runtime) -> SideBySide:
    return SideBySide.of(
        {name: design_of(name) for name in NETWORKS}, tmp_path_factory.mktemp("rtl"), runtime
    )


@pytest.mark.parametrize("stalls", STALLS[:3])
def test_the_rtl_agrees_with_the_integers(rtl, stalls):
    samples = {name: random_inputs(net, 40) for name, (net, _) in NETWORKS.items()}
    given = {name: streamed(NETWORKS[name][0], x) for name, x in samples.items()}
    trace, outputs = rtl.run(given, stalls)
    for name, (net, _) in NETWORKS.items():
        assert np.array_equal(outputs[name], net.run(samples[name])["label"]), name
        if not any(stalls):
            taken, left = trace.taken[f"{name}_s"], trace.given[f"{name}_m"]
            words = rtl.designs[name].input.words
            assert left[0] - taken[0] + 1 == pipeline_latency(rtl.designs[name]), name
            assert name == "levels" or (words == 1 and set(np.diff(left)) == {1}), name


@pytest.mark.parametrize("name", NETWORKS)
def test_finns_graph_has_the_logits_of_the_integers(name):
    net, x = NETWORKS[name][0], random_inputs(NETWORKS[name][0], 30)
    values, design = net.run(x), design_of(name)
    answers = execute(dataflow_model(design, net.network.input.shape), x)
    logits = "bias" if name == "biased" else "classifier"
    assert np.array_equal(answers.logits, values[logits])
    assert np.array_equal(answers.classes, values["label"])
    last = [element for element in design.elements if element.layer == logits][-1]
    stream = design.run(streamed(net, x))[last.name, "m"]
    assert np.array_equal(design_logits(design, stream), values[logits])


def test_a_simplified_network_has_the_same_hardware_with_less_in_it():
    net = wired_network(9, features=4, widths=(60, 30), reads=((3,), (4,)))
    smaller, _ = simplified(net)
    x = random_inputs(net, 50)
    answers = [assemble(plan(each.network, Folding()), each).run(streamed(net, x)) for each in (net, smaller)]
    label = plan(net.network, Folding()).elements[-1].name, "m"
    assert np.array_equal(answers[0][label], answers[1][label])
    prices = [estimate(each.network, Folding()).zerocross.lut for each in (net, smaller)]
    assert prices[1] < prices[0]


def test_layers_become_nodes_of_whole_words():
    design = plan(NETWORKS["plain"][0].network, Folding(target_cycles=10_000))
    kinds = [type(element.node).__name__ for element in design.elements]
    assert kinds == ["Thermometer", "Wired", "Wired", "WiredCount", "LabelSelect"]
    assert set(design.intervals().values()) == {1} and design.input.words == 1
    assert [element.name for element in with_fifos(design, 8).elements] == [e.name for e in design.elements]


def test_every_nth_layer_has_registers():
    net = wired_network(1, widths=(9,) * 5, reads=((3,),) * 5)
    for every, expected in ((1, "11111"), (2, "01010"), (3, "00100"), (0, "00000"), (9, "00000")):
        design = plan(net.network, Folding(registers=every))
        nodes = [element.node for element in design.elements if isinstance(element.node, Wired)]
        assert "".join(str(int(node.registered)) for node in nodes) == expected
        assert pipeline_latency(design) == 1 + expected.count("1") + 1 + 2 + 1
    with pytest.raises(FoldingError, match="registers must be 0"):
        Folding(registers=-1)


def test_only_an_activation_of_one_bit_is_merged():
    levels, single = (plan(NETWORKS[name][0].network, NETWORKS[name][1]) for name in ("levels", "voted"))
    assert isinstance(levels.of_layer("sparse", WiredCount).node, WiredCount)
    assert isinstance(levels.of_layer("levels", CrossingSite).node, CrossingSite)
    assert isinstance(single.of_layer("vote", CrossingSite).node, CrossingSite)  # whose logit is compared
    assert isinstance(plan(NETWORKS["many"][0].network, Folding()).elements[-1].node, LabelNode)
