"""Absorbed graphs against qonnx's own execution of the graphs they come from."""

import numpy as np
import pytest

from finn_flows.lowering.lower import lower
from tests.finn_flows.lowering.foreign import Graph, assert_same, samples


def test_dense_chain() -> None:
    g = Graph((1, 12)).bipolar().dense(12, 9).norm(9).node("Sin").bipolar().dense(9, 5)
    model = g.model()
    assert_same(lower(model), model, samples((1, 12)))


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("scale", [0.25, 0.1, 1.7])
def test_relu_and_quant(bits: int, scale: float) -> None:
    rng = np.random.default_rng(bits)
    g = Graph((1, 10), bits).quant(8, 0.02, signed=True)
    g.dense(10, 14, scale=rng.uniform(0.1, 1, 14)).norm(14, 1.0).node("Relu").quant(bits, scale)
    g.dense(14, 11, scale=0.3, quant="Quant").norm(11, scale).node("Relu").quant(bits, scale)
    model = g.dense(11, 4, scale=0.7).model()
    lowered = lower(model)
    assert max(site.levels for site in lowered.sites) == 2**bits
    assert_same(lowered, model, samples((1, 10)))


def test_three_signed_levels() -> None:
    g = Graph((1, 10)).bipolar(0.5).dense(10, 14).norm(14).quant(2, 0.8, signed=True, narrow=True)
    g.dense(14, 12, scale=0.2).norm(12, 0.5).quant(2, 0.5, signed=True, narrow=True)
    model = g.dense(12, 12).norm(12, 1.5).bipolar(0.3).dense(12, 6).model()
    lowered = lower(model)
    assert [site.levels for site in lowered.sites] == [4, 4, 2]
    assert_same(lowered, model, samples((1, 10)))
