"""Executes nodes of a QONNX graph on whole batches, node by node.

Standard nodes run in onnxruntime and QONNX's nodes in numpy, as in qonnx's own executor. Unlike there, tensors have no
fixed shapes, so that an activation can be evaluated at thousands of integers at once.
"""

from collections.abc import Callable, Container, Iterable
from functools import lru_cache

import numpy as np
import onnxruntime
from onnx import NodeProto, helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import is_custom_op
from scipy import special

from zerocross.finn_flows.lowering.errors import LoweringError

Tensors = dict[str, np.ndarray]

RESHAPES = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze"})
"""Nodes that keep the order of their elements; the graph holds their shapes for one sample."""

_IR_VERSION = 10


def _rounded(function: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function of float32, computed in float64 and rounded once."""
    return lambda x: function(x.astype(np.float64)).astype(x.dtype)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.float32(1) / (np.float32(1) + _rounded(np.exp)(-x))


# onnxruntime only approximates these functions: its sigmoid is 0 below -18, for example, which moves crossings. They are
# computed as in torch, where the network was trained.
_PRECISE: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "Cos": _rounded(np.cos),
    "Erf": _rounded(special.erf),
    "Exp": _rounded(np.exp),
    "Sigmoid": _sigmoid,
    "Sin": _rounded(np.sin),
    "Tan": _rounded(np.tan),
    "Tanh": _rounded(np.tanh),
}


def constants(model: ModelWrapper, names: Container[str] | None = None) -> Tensors:
    """Return a graph's constant tensors by name; by default all of them."""
    return {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in model.graph.initializer
        if names is None or tensor.name in names
    }


def execute(
    model: ModelWrapper, nodes: Iterable[NodeProto], tensors: Tensors, own_shapes: bool = False
) -> None:
    """Execute nodes in the given order.

    Args:
        model: Graph of the nodes.
        nodes: Nodes in topological order.
        tensors: Tensors by name, including constants; the nodes' outputs are added.
        own_shapes: Whether nodes compute the shapes of one sample themselves, instead of taking those of the graph.

    Raises:
        LoweringError: If a node cannot be executed; the message names it.
    """
    for node in nodes:
        try:
            if node.op_type in RESHAPES and not own_shapes:
                shape = model.get_tensor_shape(node.output[0])[1:]
                tensors[node.output[0]] = tensors[node.input[0]].reshape(-1, *shape)
            elif node.op_type in _PRECISE:
                tensors[node.output[0]] = _PRECISE[node.op_type](tensors[node.input[0]])
            elif node.op_type == "BatchNormalization":
                tensors[node.output[0]] = _batch_norm(node, *(tensors[name] for name in node.input))
            else:
                _execute_plainly(model, node, tensors)
        except LoweringError:
            raise
        except Exception as error:  # onnxruntime and custom ops raise errors of many types
            raise _failure(node, error) from None


def fold_constants(model: ModelWrapper) -> bool:
    """Replace nodes that read only constants and known shapes by constants, in place; return whether there were any.

    qonnx's own transformation infers all shapes again after every constant, which takes minutes for large networks.

    Raises:
        LoweringError: If a node cannot be executed; the message names it.
    """
    known: Tensors = {**constants(model), "": None}  # type: ignore[dict-item]  # QONNX's nodes look omitted inputs up
    left = []
    for node in model.graph.node:
        inputs = dict(known)
        if node.op_type == "Shape" and (shape := model.get_tensor_shape(node.input[0])):
            inputs[node.input[0]] = np.zeros(shape, np.float32)
        if any(name not in inputs for name in node.input):
            left.append(node)
            continue
        try:
            _execute_plainly(model, node, inputs)
        except Exception as error:
            raise _failure(node, error) from None
        for name in node.output:
            known[name] = inputs[name]
            model.set_initializer(name, inputs[name])
    is_changed = len(left) < len(model.graph.node)
    if is_changed:
        del model.graph.node[:]
        model.graph.node.extend(left)
    return is_changed


def _failure(node: NodeProto, error: Exception) -> LoweringError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return LoweringError(f"{node.name} ({node.op_type}) cannot be executed: {reason}")


def _execute_plainly(model: ModelWrapper, node: NodeProto, tensors: Tensors) -> None:
    if is_custom_op(node.domain, node.op_type):
        model.get_customop_wrapper(node).execute_node(tensors, model.graph)
    else:
        _execute_standard(node, tensors, model.get_opset_imports().get("", 0))


def _batch_norm(
    node: NodeProto,
    x: np.ndarray,
    scale: np.ndarray,
    bias: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
) -> np.ndarray:
    """Normalise as torch does, to the last bit: with a fused multiply-add, which does not round the product."""
    slope, start = batch_norm_line(node, scale, bias, mean, variance)
    shape = (-1,) + (1,) * (x.ndim - 2)
    return (x.astype(np.float64) * slope.reshape(shape) + start.reshape(shape)).astype(np.float32)


def batch_norm_line(
    node: NodeProto, scale: np.ndarray, bias: np.ndarray, mean: np.ndarray, variance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return slope and start of a batch norm's line in each channel, float32, as torch computes them."""
    epsilon = next((each.f for each in node.attribute if each.name == "epsilon"), 1e-5)
    slope = np.float32(1) / np.sqrt(variance + np.float32(epsilon)) * scale
    return slope, (bias - mean.astype(np.float64) * slope).astype(np.float32)


def _execute_standard(node: NodeProto, tensors: Tensors, opset: int) -> None:
    inputs = {name: tensors[name] for name in node.input if name}
    outputs = [name for name in node.output if name]
    graph = helper.make_graph(
        [node],
        node.op_type,
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), None)
            for name, value in inputs.items()
        ],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
    )
    opsets = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
    found = _session(model.SerializeToString()).run(outputs, inputs)
    tensors.update(zip(outputs, found, strict=True))


@lru_cache(maxsize=64)
def _session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised, not logged
    options.intra_op_num_threads = 1  # sums have the same order on every machine
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run(model: ModelWrapper, inputs: np.ndarray, batch: int = 256) -> np.ndarray:
    """Run samples through a whole graph with one input and one output.

    Args:
        model: Graph for one sample.
        inputs: Samples of the graph's input type, shape (N, ...).
        batch: Samples executed at once.

    Returns:
        The graph's output for each sample, shape (N, ...).
    """
    known, outputs = constants(model), []
    for start in range(0, len(inputs), batch):
        tensors = {**known, model.graph.input[0].name: inputs[start : start + batch]}
        execute(model, model.graph.node, tensors)
        outputs.append(tensors[model.graph.output[0].name])
    return np.concatenate(outputs)
