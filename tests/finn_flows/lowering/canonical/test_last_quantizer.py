"""Quantizers of the logits: the class is one of those with the largest quantized logit."""

from collections.abc import Callable

import numpy as np
import pytest

from tests.finn_flows.lowering.foreign import Graph, samples
from zerocross.finn_flows.lowering.canonical.tidying import tidied
from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.graph.execution import run
from zerocross.finn_flows.lowering.lower import lower


def logits() -> Graph:
    g = Graph((1, 20), 5)
    g.quant(4, 0.5, signed=True)
    g.dense(20, 16)
    g.node("Tanh").quant(3, 0.3, signed=True)
    g.dense(16, 6)
    return g


def limited(low: int, high: int) -> Graph:
    """A quantizer as Brevitas' QCDQ export writes it."""
    g = logits()
    scale, zero = g.constant(2.0), g.constant(0, np.int8)
    g.node("QuantizeLinear", scale, zero)
    g.node("Clip", g.constant(low, np.int8), g.constant(high, np.int8))
    return g.node("DequantizeLinear", scale, zero)


def integers() -> Graph:
    g = logits()
    return g.node("QuantizeLinear", g.constant(0.5), g.constant(0, np.int8))


ACCEPTED: dict[str, Callable[[], Graph]] = {
    "bytes": lambda: logits().quant(8, 0.25, signed=True),
    "two bits": lambda: logits().quant(2, 3.0, signed=True),
    "three values": lambda: limited(-1, 1),
    "integers": integers,
    "an argmax": lambda: logits().quant(4, 1.0, signed=True).node("ArgMax", axis=1),
    "a softmax": lambda: logits().quant(4, 1.0, signed=True).node("Softmax", axis=1),
}
REFUSED: dict[str, tuple[Callable[[], Graph], str]] = {
    "two values": (lambda: limited(0, 1), r"\(\w+\) changes the order of the logits"),
    "signs": (lambda: logits().bipolar(), r"\(\w+\) changes the order of the logits"),
    "none ahead": (
        lambda: logits().node("Sin").quant(4, 0.25, signed=True),
        r"\(Sin\) changes the order of the logits",
    ),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_the_class_is_one_of_the_largest(name: str) -> None:
    g = ACCEPTED[name]()
    model, x = g.model(), samples(g.shape, 200)
    lowered = lower(model)
    found = lowered.network.run(lowered.quantize(x))["label"][:, 0]
    assert len(np.unique(found)) > 3
    scores = run(tidied(model), x).reshape(len(x), -1)
    if name != "an argmax":
        assert (scores[np.arange(len(x)), found] == scores.max(axis=1)).all()
    assert lowered.scores(x).allow(found).all()
    own = scores[:, 0] if name == "an argmax" else scores.argmax(axis=1)
    assert (lowered.scores(x).classes == own).all()  # ties are those of the file


@pytest.mark.parametrize("name", REFUSED)
def test_a_decision_for_each_class_is_refused(name: str) -> None:
    make, message = REFUSED[name]
    with pytest.raises(LoweringError, match=message):
        lower(make().model())
