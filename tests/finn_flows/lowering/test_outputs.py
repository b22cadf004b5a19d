"""Graphs with several outputs."""

import numpy as np
import pytest

from tests.finn_flows.lowering.foreign import Graph, assert_same, samples
from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.lower import lower
from zerocross.finn_flows.lowering.outputs import keep_output


def two_heads() -> tuple[Graph, str, str]:
    """A shared layer, a head of five classes and an auxiliary head whose sine no integers compute."""
    g = Graph((1, 10), 3).bipolar().dense(10, 12).norm(12).bipolar()
    shared = g.tensor
    logits = g.dense(12, 5).tensor
    g.tensor = shared
    return g, logits, g.dense(12, 3).node("Sin").tensor


def test_the_named_output_is_lowered_and_the_others_are_said() -> None:
    g, logits, other = two_heads()
    model = g.model(other, logits)
    lowered = lower(model, output=logits)
    assert lowered.dropped == (other,)
    assert_same(lowered, keep_output(model, logits), samples((1, 10)))
    assert len(model.graph.output) == 2, "the graph itself is not changed"


def test_an_output_that_does_not_exist() -> None:
    g, logits, other = two_heads()
    with pytest.raises(LoweringError, match=f"the graph has no output class: choose {logits} or {other}"):
        lower(g.model(logits, other), output="class")


def test_outputs_that_no_sample_changes_are_dropped() -> None:
    g = Graph((1, 10), 3).bipolar().dense(10, 12).norm(12).bipolar()
    logits = g.dense(12, 5).tensor
    shape = g.node("Shape").tensor
    g.tensor = g.constant(np.float32(0.5))
    scale = g.node("Identity").tensor
    lowered = lower(g.model(logits, shape, scale))
    assert lowered.dropped == tuple(sorted((shape, scale)))
    assert len(lowered.network.run(lowered.quantize(samples((1, 10))))["label"]) == 200
