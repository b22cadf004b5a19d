"""Values of chains of nodes on any float, against values that are known."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from onnx import TensorProto
from qonnx.core.datatype import DataType
from qonnx.transformation.infer_shapes import InferShapes

from tests.finn_flows.lowering.foreign import Graph
from zerocross.finn_flows.lowering.graph.monotone import few_values
from zerocross.finn_flows.lowering.graph.regions import Region


def values(g: Graph, datatype: str = "") -> np.ndarray | None:
    model = g.model().transform(InferShapes())
    if datatype:
        model.set_tensor_datatype("in", DataType[datatype])
    return few_values(model, Region("in", "in", tuple(model.graph.node), g.tensor))


def clip(g: Graph, low: float, high: float) -> Graph:
    return g.node("Clip", g.constant(low), g.constant(high))


def flipped(g: Graph) -> Graph:
    """Swap the inputs of the last node: its constant comes first."""
    g.nodes[-1].input[:] = [g.nodes[-1].input[1], g.nodes[-1].input[0]]
    return g


def binary(g: Graph, op_type: str, number: float) -> Graph:
    return g.node(op_type, g.constant(number))


def cast(g: Graph, to: int) -> Graph:
    return g.node("Cast", to=to)


CHAINS: dict[str, tuple[Callable[[Graph], Graph], Sequence[float]]] = {
    "round and clip": (lambda g: clip(g.node("Round"), -2, 3), range(-2, 4)),
    "clip and floor": (lambda g: clip(g, -1.5, 2.5).node("Floor"), (-2, -1, 0, 1, 2)),
    "falling": (lambda g: clip(g.node("Neg").node("Ceil"), 0, 4), range(5)),
    "sign": (lambda g: g.node("Sign"), (-1, 0, 1)),
    "bounded function": (lambda g: g.node("Sigmoid").node("Round"), (0, 1)),
    "function of few values": (lambda g: clip(g.node("Round"), -3, 3).node("Sin"), np.sin(np.arange(-3, 4))),
    "square of few values": (lambda g: clip(g.node("Round"), -3, 3).node("Abs"), range(4)),
    "constant ahead": (lambda g: clip(flipped(binary(g, "Sub", 0.25)).node("Round"), 0, 3), range(4)),
    "leaky": (lambda g: clip(g.node("LeakyRelu", alpha=0.5).node("Round"), -2, 2), range(-2, 3)),
    "integers": (lambda g: cast(cast(clip(g, -3.5, 4.5), TensorProto.INT8), TensorProto.FLOAT), range(-3, 5)),
    "as many as allowed": (lambda g: clip(g.node("Floor"), 0, 255), range(256)),
    "a constant": (lambda g: clip(g, 2, 2), [2]),
    "limits of a cast": (
        lambda g: cast(cast(clip(g, -128, 127), TensorProto.INT8), TensorProto.FLOAT),
        range(-128, 128),
    ),
}


@pytest.mark.parametrize("name", CHAINS)
def test_every_value_is_found(name: str) -> None:
    build, expected = CHAINS[name]
    found = values(build(Graph((1, 2))))
    assert found is not None and found.shape == (len(expected), 2)
    np.testing.assert_allclose(found, np.repeat(np.sort(np.array(expected))[:, None], 2, axis=1), atol=1e-6)


@pytest.mark.parametrize(
    "build",
    [
        lambda g: g.node("Relu"),
        lambda g: clip(g, 0, 1),
        lambda g: clip(g.node("Floor"), 0, 256),
        lambda g: g.node("Sin").node("Round"),
        lambda g: g.node("LeakyRelu", alpha=-0.5).node("Sign"),
        lambda g: flipped(binary(g, "Div", 1.0)).node("Sign"),
        lambda g: cast(cast(clip(g, -129, 127), TensorProto.INT8), TensorProto.FLOAT),
        lambda g: cast(cast(clip(g, -128, 128), TensorProto.INT8), TensorProto.FLOAT),
        lambda g: cast(g, TensorProto.INT8).node("Sign"),
        lambda g: g.node("Mul", g.tensor).node("Sign"),
    ],
    ids=["relu", "clip", "257", "sine", "leaky", "1/x", "too low", "too high", "unlimited", "x * x"],
)
def test_too_many_values_or_nodes_that_turn(build: Callable[[Graph], Graph]) -> None:
    assert values(build(Graph((1, 2)))) is None


def test_channels_of_fewer_values_repeat_their_largest() -> None:
    g = Graph((1, 3))
    g.node("Clip", g.constant(0), g.constant(3)).node("Floor")
    g.node("Min", g.constant([[3, 1, 0]]))
    found = values(g)
    assert found is not None
    assert found.T.tolist() == [[0, 1, 2, 3], [0, 1, 1, 1], [0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("datatype", "expected"), [("UINT8", range(256)), ("INT4", range(-8, 8)), ("BIPOLAR", (-1, 1))]
)
def test_a_source_of_integers_has_its_own_limits(datatype: str, expected: Sequence[int]) -> None:
    found = values(Graph((1, 2)).node("Round"), datatype)
    assert found is not None
    assert {int(each) for each in found[:, 0]} <= set(range(min(expected), max(expected) + 1))
    assert {min(expected), max(expected)} <= set(found[:, 0].tolist())
    assert datatype == "BIPOLAR" or found[:, 0].tolist() == list(expected)


def test_sums_that_overflow_at_infinity_have_values_below_it() -> None:
    """At infinity x * 0 is not a number."""
    g = Graph((1, 2))
    binary(g, "Mul", 0.0).node("Round")
    found = values(g)
    assert found is not None and set(np.abs(found).ravel().tolist()) == {0.0}
