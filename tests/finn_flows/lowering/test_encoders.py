"""Thermometers in QONNX files: comparisons of the input with several thresholds become one layer."""

import numpy as np
import pytest

from tests.finn_flows.lowering.foreign import assert_same, execute
from tests.finn_flows.lowering.shapes import Shaped
from zerocross.finn_flows.lowering.canonical.tidying import tidy
from zerocross.finn_flows.lowering.lower import lower
from zerocross.finn_flows.network import Activation, BitPlanes, Concat, Select, Thermometer

_THRESHOLDS = np.array([[10, 100, 200], [0, 128, 255], [7, 7, 7], [1, 2, 254], [300, 50, -3]])


def _kinds(lowered) -> list[type]:
    return [type(layer.operation) for layer in lowered.network.network.layers]


def _bytes(features: tuple[int, ...]) -> Shaped:
    return Shaped((1, *features)).quant(8, 1.0)


def _samples(features: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (300, *features)).astype(np.float32)


def _end(graph: Shaped, inputs: int) -> Shaped:
    return graph.dense(inputs, 8).norm(8).bipolar().dense(8, 3)


def _compared(graph: Shaped, thresholds: np.ndarray) -> Shaped:
    return graph.node("Sub", graph.constant(thresholds)).bipolar()


def repeated() -> Shaped:
    graph = _bytes((5,))
    graph.node("Gather", graph.constant(np.arange(5).repeat(3), np.int64), axis=1)
    return _end(_compared(graph, _THRESHOLDS.reshape(1, -1)), 15)


def joined() -> Shaped:
    graph = _bytes((5,))
    levels = graph.tensor
    bits = [_compared(graph.at(levels), _THRESHOLDS[None, :, each]).tensor for each in range(3)]
    return _end(graph.concat(*bits), 15)


def joined_images(padding: int = 1) -> Shaped:
    graph = _bytes((2, 4, 4))
    levels = graph.tensor
    bits = [
        _compared(graph.at(levels), _THRESHOLDS[:2, each].reshape(1, 2, 1, 1)).tensor for each in range(3)
    ]
    graph.concat(*bits)
    if padding:
        graph.pad(padding, padding, -1.0)
    graph.conv(6, 4).norm(4).bipolar().node("Flatten")
    side = 2 + 2 * padding
    return graph.dense(4 * side * side, 3)


@pytest.mark.parametrize(
    ("graph", "features"), [(repeated(), (5,)), (joined(), (5,)), (joined_images(), (2, 4, 4))]
)
def test_comparisons_of_the_input_become_one_layer(graph, features):
    model = graph.model()
    lowered = lower(model)
    kinds = _kinds(lowered)
    assert kinds[0] is Thermometer
    assert kinds.count(Thermometer) == 1 and Concat not in kinds and Select not in kinds
    assert lowered.network.network.input.bits == 8
    assert_same(lowered, model, _samples(features), distinct=2)


def test_the_thresholds_are_those_of_the_file():
    (found,) = [
        layer.operation
        for layer in lower(joined().model()).network.network.layers
        if isinstance(layer.operation, Thermometer)
    ]
    assert np.array_equal(np.reshape(found.thresholds, (5, 3)), _THRESHOLDS.clip(0, 256))


def _plane(graph: Shaped, bit: int) -> Shaped:
    """Return the sign of a cosine that is negative where a bit of the levels is 0."""
    rate = np.pi / 2**bit
    graph.node("Mul", graph.constant(np.array(rate))).node(
        "Add", graph.constant(np.array(rate / 2 + np.pi / 2))
    )
    return graph.node("Cos").bipolar()


@pytest.mark.parametrize("planes", [(7, 6), (0, 7, 3), (6,) * 2])
def test_bits_of_numbers_become_one_layer_in_the_order_of_the_file(planes):
    graph = _bytes((5,))
    levels = graph.tensor
    bits = [_plane(graph.at(levels), plane).tensor for plane in planes]
    model = _end(graph.concat(*bits), 5 * len(planes)).model()
    lowered = lower(model)
    (found,) = [
        layer.operation for layer in lowered.network.network.layers if isinstance(layer.operation, BitPlanes)
    ]
    assert found.planes == planes and not lowered.host.trained
    assert_same(lowered, model, _samples((5,)), distinct=2)


@pytest.mark.parametrize("joined", ["sums", "a sum and channels"])
def test_joined_tensors_that_are_no_activations_stay(joined):
    graph = _bytes((5,))
    levels = graph.tensor
    one, other = (graph.at(levels).dense(5, 8).norm(8).quant(3, 0.5).tensor for _ in range(2))
    total = graph.at(one).node("Add", other).tensor
    beside = graph.at(one).node("Add", other).tensor if joined == "sums" else graph.concat(one, other).tensor
    graph.concat(total, beside)
    model = _end(graph, 16 if joined == "sums" else 24).model()
    assert_same(lower(model), model, _samples((5,)), distinct=2)


def test_bits_that_fall_stay_activations_and_give_the_same_classes():
    graph = _bytes((5,))
    levels = graph.tensor
    rising = _compared(graph.at(levels), _THRESHOLDS[None, :, 0]).tensor
    falling = (
        graph.at(levels).node("Sub", graph.constant(_THRESHOLDS[None, :, 1])).node("Neg").bipolar().tensor
    )
    model = _end(graph.concat(rising, falling), 10).model()
    lowered = lower(model)
    kinds = _kinds(lowered)
    assert Thermometer not in kinds[:1] or Concat in kinds
    assert Activation in kinds
    assert_same(lowered, model, _samples((5,)), distinct=2)


def test_a_single_second_quantizer_of_the_input_belongs_to_the_host():
    model = _end(_compared(_bytes((5,)), _THRESHOLDS[None, :, 0]), 5).model()
    lowered = lower(model)
    assert lowered.network.network.input.bits == 1
    assert np.array_equal(
        execute(tidy(model), _samples((5,))).argmax(axis=1),
        lowered.network.run(lowered.quantize(_samples((5,))))["label"][:, 0],
    )
