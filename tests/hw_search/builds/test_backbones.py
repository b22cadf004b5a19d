"""Designs of the published backbones: their outputs, cost estimates and FINN graphs."""

from typing import Any

import numpy as np
import pytest
import torch

from tests.finn_flows.integer_networks import held_against, random_inputs
from tests.models.test_residual import SMALL, settle
from zerocross.finn_flows.assembly import assemble
from zerocross.finn_flows.cost import element_costs
from zerocross.finn_flows.folding import Folding
from zerocross.finn_flows.integer import remove_first_bits
from zerocross.finn_flows.nodes import Duplicate
from zerocross.finn_flows.parts import get_part
from zerocross.finn_flows.planner import plan
from zerocross.finn_flows.vendor.dataflow import dataflow_model
from zerocross.hw_search.extraction.integers import to_integer
from zerocross.hw_search.extraction.layers import describe
from zerocross.models.layers import install
from zerocross.models.presets import resolve
from zerocross.models.topologies import build

NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "ResNetE": ("resnete", SMALL),
    "DyBNN": ("resnete", {**SMALL, "dynamic": "threshold", "reduction": 2}),
    "Bi-Real": ("bireal", SMALL),
    "ReActNet": ("reactnet_resnet", SMALL),
    "ReActNet, dynamic": ("reactnet_resnet", {**SMALL, "dynamic": "threshold_and_shift", "reduction": 2}),
    "MobileNet": ("reactnet_mobilenet", SMALL),
    "NASB": ("nasb", {"widths": [6], "operations": [["depthwise3", "pool", "dilated3"]]}),
    "NASB, three nodes": (
        "nasb",
        {"widths": [4], "operations": [["conv1", "skip", "conv3", "pool", "none", "conv5"]]},
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_methods_networks_have_designs_prices_and_finn_graphs(name: str) -> None:
    topology, parameters = NETWORKS[name]
    torch.manual_seed(0)
    shape = (1, 8, 8)
    model = build(topology, shape, 5, parameters)
    install(model, [resolve("log_sine")])
    settle(model)
    net, _ = remove_first_bits(to_integer(model, describe(model, shape)))
    planned = plan(net.network, Folding(target_cycles=2000))
    design = assemble(planned, net)
    assert held_against(net, design, random_inputs(net.network, 4, seed=2)) > 10
    assert [element.name for element in design.elements] == [element.name for element in planned.elements]
    part = get_part("xc7z020")
    built, expected = element_costs(design, part), element_costs(planned, part)
    for element in design.elements:
        assert built[element.name].zerocross.lut > 0, element.name
    total = sum(cost.zerocross.lut for cost in built.values())
    assert total == pytest.approx(sum(cost.zerocross.lut for cost in expected.values()), rel=0.25)
    graph = dataflow_model(design, net.network.input.shape)
    assert len(graph.graph.node) >= len(
        [element for element in design.elements if element.kind != "converter"]
    )


def test_three_readers_of_a_stream_take_two_forks() -> None:
    """The mean, the sum and the shortcut, as in a block with dynamic thresholds."""
    topology, parameters = NETWORKS["DyBNN"]
    torch.manual_seed(0)
    model = build(topology, (1, 8, 8), 5, parameters).eval()
    net = to_integer(model, describe(model, (1, 8, 8)))
    design = assemble(plan(net.network, Folding(target_cycles=2000)), net)
    forks = [element for element in design.elements if isinstance(element.node, Duplicate)]
    readers = np.array([fork.node.finn_readers for fork in forks])
    assert readers.max() >= 3 and len(forks) == (readers[readers > 0] - 1).sum()
