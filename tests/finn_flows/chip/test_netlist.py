"""Mapped netlists against numpy, block RAMs with their contents included."""

from dataclasses import replace

import numpy as np
import pytest

from tests.finn_flows.rtl.test_nodes import crossing_table
from zerocross.finn_flows.chip.netlist import NoModel, netlist_sources
from zerocross.finn_flows.chip.synthesis import Synthesis, synthesise
from zerocross.finn_flows.rtl import nodes as rtl_nodes
from zerocross.finn_flows.rtl.nodes import Crossings, HardwareNode, MaxPool, Product, from_bits, to_bits
from zerocross.finn_flows.rtl.simulation import Port, compile_design

FAMILIES = ["7-series", "ecp5", "ice40", "gowin"]


def three_nodes() -> dict[str, HardwareNode]:
    weights = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (12, 20))
    return {
        "product": Product(weights, 3, 4),
        "site": Crossings(crossing_table(12, 21, 4), 3, "table", ram_style="block"),
        "pool": MaxPool((2, 2, 12), (2, 2), 3),
    }


def mapped(folder, family: str) -> tuple[dict[str, HardwareNode], Synthesis]:
    nodes = three_nodes()
    built = {name: (node, node.generate(folder, f"{name}_")) for name, node in nodes.items()}
    (folder / "top.sv").write_text(rtl_nodes.side_by_side(built))
    sources = [*rtl_nodes.library(), folder / "top.sv"]
    return nodes, synthesise("zc_side_by_side", sources, folder, family, list(nodes))


def wrong_words(nodes: dict[str, HardwareNode], synthesis: Synthesis, folder, runtime) -> dict[str, int]:
    """Simulate a netlist on random words under stalls; return how many outputs of each node differ from numpy."""
    rng = np.random.default_rng(0)
    inputs = {f"{name}_s": node.inputs["s"] for name, node in nodes.items()}
    outputs = {f"{name}_m": node.outputs["m"] for name, node in nodes.items()}
    simulator = compile_design(
        synthesis.top,
        netlist_sources(synthesis),
        [Port(name, stream.width) for name, stream in inputs.items()],
        [Port(name, stream.width) for name, stream in outputs.items()],
        folder,
        runtime,
    )
    values = {name: rng.integers(0, 2, (40, stream.elements)) for name, stream in inputs.items()}
    values["site_s"] = rng.integers(0, 21, (40, 12))
    words = {
        name: to_bits(values[name].reshape(-1, stream.lanes), stream.bits) for name, stream in inputs.items()
    }
    expected = {name: 40 * stream.words for name, stream in outputs.items()}
    trace = simulator.run(words, expected, (0.3, 0.3), 1)
    wrong = {}
    for name, node in nodes.items():
        (right,) = node.reference(values[f"{name}_s"])
        stream = outputs[f"{name}_m"]
        wrong[name] = int(
            (from_bits(trace.words[f"{name}_m"], stream.bits).reshape(right.shape) != right).sum()
        )
    return wrong


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_a_netlist_computes_what_numpy_does(family, tmp_path, runtime):
    nodes, synthesis = mapped(tmp_path, family)
    assert synthesis.by_node["product"].bram > 0 and synthesis.by_node["site"].bram > 0
    assert wrong_words(nodes, synthesis, tmp_path, runtime) == dict.fromkeys(nodes, 0)


def test_a_netlist_of_other_weights_is_told_apart(tmp_path, runtime):
    nodes, synthesis = mapped(tmp_path, "ice40")
    assert isinstance(nodes["product"], Product)
    weights = nodes["product"].weights.copy()
    weights[4, 7] *= -1
    nodes["product"] = replace(nodes["product"], weights=weights)
    wrong = wrong_words(nodes, synthesis, tmp_path, runtime)
    assert wrong["product"] == 40 and not wrong["site"] and not wrong["pool"]


def test_families_without_models_are_refused(tmp_path):
    with pytest.raises(NoModel, match=r"ultrascale\+"):
        netlist_sources(Synthesis("top", "ultrascale+", None, {}, tmp_path, tmp_path))  # type: ignore[arg-type]
