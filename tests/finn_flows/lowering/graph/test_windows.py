"""Mean pools as they are read, against qonnx's executor."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

from tests.finn_flows.lowering.foreign import Graph
from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.graph.windows import Window, read_window

SHAPE = (1, 3, 6, 5)


def read(g: Graph) -> tuple[Window, np.ndarray, np.ndarray]:
    """The window, an image of levels, and what the file makes of it."""
    model = g.model().transform(InferShapes())
    x = np.random.default_rng(0).integers(0, 9, g.shape).astype(np.float32)
    return read_window(model, model.graph.node[0]), x, execute_onnx(model, {"in": x})[g.tensor]


def pooled(window: Window, x: np.ndarray) -> np.ndarray:
    above, left, below, right = window.padding
    padded = np.pad(x[0].astype(np.float64), ((0, 0), (above, below), (left, right)))
    windows = sliding_window_view(padded, window.kernel, axis=(1, 2))
    sums = windows[:, :: window.stride[0], :: window.stride[1]].sum(axis=(3, 4))
    found = sums / (window.kernel[0] * window.kernel[1]) if window.is_mean else sums
    return found[None] if window.is_image else found.reshape(1, -1)


def average(**attributes: object) -> Callable[[Graph], Graph]:
    return lambda g: g.node("AveragePool", **{"kernel_shape": [2, 3], **attributes})


def reduced(op_type: str, axes: list[int], **attributes: object) -> Callable[[Graph], Graph]:
    if op_type == "ReduceSum":
        return lambda g: g.node(op_type, g.constant(axes, np.int64), **attributes)
    return lambda g: g.node(op_type, axes=axes, **attributes)


@pytest.mark.parametrize(
    "build",
    [
        average(),
        average(strides=[2, 1]),
        average(strides=[1, 2], pads=[1, 0, 0, 2], count_include_pad=1),
        average(strides=[2, 2], ceil_mode=1, kernel_shape=[2, 1]),
        lambda g: g.node("GlobalAveragePool"),
        lambda g: g.node("LpPool", p=1, kernel_shape=[3, 2], strides=[3, 1]),
        reduced("ReduceMean", [2, 3]),
        reduced("ReduceMean", [-1, -2], keepdims=0),
        reduced("ReduceMean", [2]),
        reduced("ReduceMean", [3], keepdims=1),
        reduced("ReduceSum", [2, 3], keepdims=0),
        reduced("ReduceSum", [3]),
        reduced("ReduceSum", [-2]),
    ],
)
def test_a_window_is_what_the_pool_computes(build: Callable[[Graph], Graph]) -> None:
    window, x, expected = read(build(Graph(SHAPE)))
    found = pooled(window, x)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert window.area == window.kernel[0] * window.kernel[1]


@pytest.mark.parametrize(
    ("build", "shape", "message"),
    [
        (
            lambda g: g.node("AveragePool", kernel_shape=[2]),
            (1, 3, 6),
            r"pools a tensor of shape \[1, 3, 6\]",
        ),
        (average(dilations=[1, 2]), SHAPE, "dilates"),
        (average(pads=[0, 1, 0, 1]), SHAPE, "does not count its padding"),
        (average(kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1), SHAPE, "rounds up"),
        (lambda g: g.node("LpPool", kernel_shape=[2, 2]), SHAPE, "computes a norm"),
        (lambda g: g.node("LpPool", kernel_shape=[2, 2], p=2), SHAPE, "computes a norm"),
        (reduced("ReduceMean", [1, 2]), SHAPE, "reduces other axes"),
        (reduced("ReduceMean", [1]), SHAPE, "reduces other axes"),
        (reduced("ReduceMean", [3], keepdims=0), SHAPE, "reduces other axes"),
        (reduced("ReduceSum", [1, 2, 3]), SHAPE, "reduces other axes"),
        (lambda g: g.node("ReduceMean"), SHAPE, "reduces other axes"),
        (lambda g: g.node("ReduceSum"), SHAPE, "reduces other axes"),
    ],
)
def test_other_pools_are_refused(
    build: Callable[[Graph], Graph], shape: tuple[int, ...], message: str
) -> None:
    model = build(Graph(shape)).model()
    with pytest.raises(LoweringError, match=message):
        read_window(model, model.graph.node[0])
