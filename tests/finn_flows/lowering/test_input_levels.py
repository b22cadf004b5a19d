"""Real inputs for the levels of a file's input."""

from collections.abc import Callable

import numpy as np
import pytest
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from tests.finn_flows.lowering.foreign import Graph
from zerocross.finn_flows.lowering.input_levels import input_levels
from zerocross.finn_flows.lowering.lower import lower


def images(front: Callable[[Graph], Graph], shape: tuple[int, ...] = (1, 3, 6, 5)) -> ModelWrapper:
    graph = front(Graph(shape)).conv(3, 4).norm(4).bipolar()
    return graph.node("Flatten").dense(4 * 4 * 3, 5).model()


def features(front: Callable[[Graph], Graph]) -> ModelWrapper:
    return front(Graph((1, 10))).dense(10, 6).norm(6).bipolar().dense(6, 3).model()


def normalised(graph: Graph) -> Graph:
    """Pixels of 0..255 to bytes by way of the mean and deviation of each channel."""
    mean = graph.constant(np.array([120.0, 110, 90]).reshape(1, 3, 1, 1))
    graph.node("Sub", mean)
    deviation = graph.constant(np.array([50.0, 60, 70]).reshape(1, 3, 1, 1))
    return graph.node("Div", deviation).quant(8, 0.0371, signed=True)


FILES = {
    "signs": (features(lambda graph: graph.bipolar()), 2),
    "scaled signs": (images(lambda graph: graph.bipolar(0.1)), 2),
    "two bits": (images(lambda graph: graph.quant(2, 0.33)), 4),
    "unsigned bytes": (features(lambda graph: graph.quant(8, 1.0)), 256),
    "signed bytes": (features(lambda graph: graph.quant(8, 0.0123, signed=True)), 256),
    "normalised": (images(normalised), 256),
    "behind a sine": (features(lambda graph: graph.node("Sin").quant(4, 0.125, signed=True)), 16),
    "behind a root": (features(lambda graph: graph.node("Sqrt").quant(4, 0.5)), 16),
    "channels last": (
        images(lambda graph: graph.node("Transpose", perm=[0, 3, 1, 2]).quant(4, 0.1), (1, 6, 5, 3)),
        16,
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_every_level_of_every_element_is_reached(name: str) -> None:
    model, count = FILES[name]
    lowered = lower(model)
    levels = input_levels(lowered)
    assert levels.is_inverse
    numbers = (np.arange(count) + 0.5)[:, None] / count
    numbers = np.repeat(numbers, int(np.prod(lowered.network.network.input.shape)), axis=1)
    numbers = np.random.default_rng(0).permuted(numbers, axis=0)
    x = levels.samples(numbers)
    assert x.dtype == np.float32 and x.shape[1:] == tuple(model.get_tensor_shape("in")[1:])
    found = lowered.quantize(x)
    assert (found == levels.integers(numbers)).all()
    least = (
        count if name != "behind a sine" else count - 1
    )  # 8 / 8 is the largest sine; signed levels end at 7 / 8
    assert (np.sort(found.reshape(count, -1), axis=0)[:, 0] == np.unique(found)).all() or least < count
    assert all(len(np.unique(column)) >= least for column in found.reshape(count, -1).T)


def test_an_annotated_input_has_its_own_integers_only() -> None:
    model = Graph((1, 10)).dense(10, 6).norm(6).bipolar().dense(6, 3).model()
    model.set_tensor_datatype("in", DataType["INT2"])
    lowered = lower(model)
    x = input_levels(lowered).samples(np.random.default_rng(0).random((50, 10)))
    assert set(np.unique(x)) == {-2, -1, 0, 1}


def test_without_an_inverse_the_samples_still_differ() -> None:
    """The host normalises each sample as a whole: no integer comes from one element."""
    graph = Graph((1, 10))
    graph.node("LayerNormalization", graph.constant(np.ones(10)), axis=-1).quant(4, 0.25, signed=True)
    lowered = lower(graph.dense(10, 6).norm(6).bipolar().dense(6, 3).model())
    levels = input_levels(lowered)
    numbers = np.random.default_rng(0).random((100, 10))
    found = lowered.quantize(levels.samples(numbers))
    assert not levels.is_inverse and (found == levels.integers(numbers)).all()
    assert len(np.unique(found, axis=0)) > 95 and len(np.unique(found)) > 10
