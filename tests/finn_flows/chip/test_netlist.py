"""Mapped netlists against numpy, block RAMs with their contents included."""

from dataclasses import replace

import numpy as np
import pytest

from tests.finn_flows.nodes.bench import SAMPLES, Bench, crossing_table
from zerocross.finn_flows.chip.netlist import NoModel, netlist_sources
from zerocross.finn_flows.chip.synthesis import Synthesis, synthesise
from zerocross.finn_flows.nodes import CrossingSite, MaxPool, Product
from zerocross.finn_flows.nodes.node import HardwareNode
from zerocross.finn_flows.nodes.stream import Stream
from zerocross.finn_flows.rtl.library import library, side_by_side
from zerocross.finn_flows.rtl.simulation import Port, compile_design

RUNS = 4
FAMILIES = ["7-series", "ecp5", "ice40", "gowin"]


def three_nodes() -> dict[str, HardwareNode]:
    weights = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (12, 20))
    return {
        "product": Product.of(weights, 3, 4),
        "site": CrossingSite.of(crossing_table(12, 21, 4), 3, "table in block RAM"),
        "pool": MaxPool(Stream((2, 2, 12), 3, 1), (2, 2)),
    }


def mapped(folder, family: str) -> tuple[dict[str, HardwareNode], Synthesis]:
    nodes = three_nodes()
    built = {name: (node, node.generate(folder, f"{name}_")) for name, node in nodes.items()}
    (folder / "top.sv").write_text(side_by_side(built))
    sources = [*library(), folder / "top.sv"]
    return nodes, synthesise("zc_side_by_side", sources, folder, family, list(nodes))


def wrong_words(nodes: dict[str, HardwareNode], synthesis: Synthesis, folder, runtime) -> dict[str, int]:
    """Simulate a netlist on random words under stalls; return how many elements of each node differ from numpy."""
    simulator = compile_design(
        synthesis.top,
        netlist_sources(synthesis),
        [Port(f"{name}_s", node.inputs["s"].width) for name, node in nodes.items()],
        [Port(f"{name}_m", node.outputs["m"].width) for name, node in nodes.items()],
        folder,
        runtime,
    )
    runs = [Bench(nodes, simulator).run((0.3, 0.3), seed)[1] for seed in range(RUNS)]
    return {name: sum(wrong[f"{name}_m"] for wrong in runs) for name in nodes}


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_a_netlist_computes_what_numpy_does(family, tmp_path, runtime):
    nodes, synthesis = mapped(tmp_path, family)
    assert synthesis.by_node["product"].bram > 0 and synthesis.by_node["site"].bram > 0
    assert wrong_words(nodes, synthesis, tmp_path, runtime) == dict.fromkeys(nodes, 0)


@pytest.mark.slow
def test_a_netlist_of_other_weights_is_told_apart(tmp_path, runtime):
    nodes, synthesis = mapped(tmp_path, "ice40")
    assert isinstance(nodes["product"], Product)
    weights = nodes["product"].numbers.copy()
    weights[4, 7] *= -1
    nodes["product"] = replace(nodes["product"], weights=weights)
    wrong = wrong_words(nodes, synthesis, tmp_path, runtime)
    assert wrong["product"] == RUNS * SAMPLES and not wrong["site"] and not wrong["pool"]


def test_families_without_models_are_refused(tmp_path):
    with pytest.raises(NoModel, match=r"ultrascale\+"):
        netlist_sources(Synthesis("top", "ultrascale+", None, {}, tmp_path, tmp_path))  # type: ignore[arg-type]
