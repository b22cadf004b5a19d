"""Slim nodes: they move words in the same cycles as the nodes that they stand for."""

from pathlib import Path

import numpy as np
import pytest

from zerocross.finn_flows.nodes import Product
from zerocross.finn_flows.rtl import streaming
from zerocross.finn_flows.rtl.design import INPUT, Design, Element
from zerocross.finn_flows.rtl.streaming import words

SHAPES = (
    pytest.param({"pe": 4, "simd": 6}, marks=pytest.mark.slow),
    pytest.param({"pe": 8, "simd": 24}, id="constants", marks=pytest.mark.slow),
    {"pe": 2, "simd": 24, "input_bits": 3, "offsets": True},
    pytest.param({"pe": 4, "simd": 8, "weight_bits": 2, "ram_style": "distributed"}, marks=pytest.mark.slow),
)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_slim_product_keeps_the_schedule(shape: dict, tmp_path: Path, runtime: Path) -> None:
    node = Product.of(np.random.default_rng(0).choice(np.array([-1, 1]), (8, 24)), **shape)
    design = Design(node.inputs["s"], (Element("product", "layer", node, ((INPUT, "s"),)),))
    traces = []
    for slim in (False, True):
        compiled, _ = streaming.compile_streaming(design, tmp_path / str(slim), cache=runtime, slim=slim)
        inputs = {"s": words(np.zeros((5, 24), np.int64), node.inputs["s"])}
        count = 5 * node.outputs["m"].words
        traces.append(compiled.simulator.run(inputs, {"m": count}, stalls=(0.2, 0.4), seed=3))
    full, light = traces
    assert (full.taken["s"] == light.taken["s"]).all() and (full.given["m"] == light.given["m"]).all()
