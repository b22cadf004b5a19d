"""Execution of a FINN graph in Python, node by node."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from zerocross.finn_flows.errors import FlowError
from zerocross.finn_flows.finn_patches import prepare_finn
from zerocross.finn_flows.rtl.logits import network_logits

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

_BATCH = 32  # samples at once: a convolution's windows take megabytes each


class ExecutionError(FlowError):
    """A graph cannot be executed; the message says why."""


@dataclass(frozen=True)
class Answers:
    """Outputs of a graph.

    Attributes:
        logits: Accumulators of the last product in the integer network's units, (N, labels).
        classes: Classes, (N, 1); None if the graph ends with its logits.
    """

    logits: np.ndarray
    classes: np.ndarray | None


def execute(model: "ModelWrapper", samples: np.ndarray) -> Answers:
    """Execute a FINN graph in Python and return its outputs in the integer network's units.

    Args:
        model: Graph from `dataflow_model`, possibly with FINN's width converters and FIFOs.
        samples: Inputs of `IntegerNetwork.run`, (N, *shape of the input), N >= 1; -1 and +1 if the input is binary.

    Raises:
        ExecutionError: If the graph has no product.
    """
    batches = [samples[start : start + _BATCH] for start in range(0, len(samples), _BATCH)]
    answers = [_answers(model, tensors(model, batch)) for batch in batches]
    classes = [answer.classes for answer in answers if answer.classes is not None]
    return Answers(
        np.concatenate([answer.logits for answer in answers]), np.concatenate(classes) if classes else None
    )


def _answers(model: "ModelWrapper", values: dict[str, np.ndarray]) -> Answers:
    from qonnx.custom_op.registry import getCustomOp

    products = [node for node in model.graph.node if node.op_type in ("ZcProduct_rtl", "ZcWiredCount_rtl")]
    if not products:
        raise ExecutionError("the graph has no product, so it has no logits: use a graph from dataflow_model")
    # The class is the output of a label select, or the bit of a single logit. FINN's FIFOs may follow.
    last = [node for node in model.graph.node if node.op_type.startswith("Zc")][-1]
    labels = [last] if last.op_type in ("ZcLabelSelect_rtl", "ZcCrossingSite_rtl") else []
    logits = values[labels[0].input[0] if labels else model.graph.output[0].name]
    operator = getCustomOp(products[-1])
    product = operator.with_numbers([model.get_initializer(name) for name in products[-1].input[1:]])
    biased = [getCustomOp(node).node for node in model.get_nodes_by_op_type("ZcBias_rtl")]
    found = network_logits(
        logits.reshape(len(logits), -1).astype(np.int64), product, biased[-1] if biased else None
    )
    return Answers(found, values[labels[0].output[0]].astype(np.int64) if labels else None)


def tensors(model: "ModelWrapper", samples: np.ndarray) -> dict[str, np.ndarray]:
    """Execute a FINN graph in Python, node by node. This project's nodes compute all samples at once.

    Args:
        model: Graph from `dataflow_model`, possibly with FINN's width converters and FIFOs.
        samples: See `execute`.

    Returns:
        Every stream by tensor name, (N, *shape of an image), in FINN's units: bits are 0 and 1, and the accumulators of
        binary products are popcounts.
    """
    prepare_finn()
    from finn.transformation.fpgadataflow.set_exec_mode import SetExecMode
    from qonnx.custom_op.registry import getCustomOp

    from zerocross.finn_flows.vendor.operators import NodeOperator, register

    register()
    model = model.transform(SetExecMode("cppsim"))
    name = model.graph.input[0].name
    values = {name: finn_input(samples, model.get_tensor_datatype(name).name)}
    for node in model.graph.node:
        operator = getCustomOp(node)
        streams = [values[tensor] for tensor in node.input if tensor in values]
        if isinstance(operator, NodeOperator):
            parameters = [model.get_initializer(tensor) for tensor in node.input[len(streams) :]]
            results = operator.compute(streams, parameters)
        else:
            results = [_one_by_one(operator, model.graph, streams[0])]
        values.update(zip(node.output, results, strict=True))
    return values


def finn_input(samples: np.ndarray, datatype: str) -> np.ndarray:
    """Convert samples to the form of FINN's graphs and drivers: float32, bits as 0 and 1."""
    values = (np.asarray(samples) + 1) // 2 if datatype == "BINARY" else np.asarray(samples)
    return values.astype(np.float32)


def _one_by_one(operator: Any, graph: Any, values: np.ndarray) -> np.ndarray:
    """Execute one of FINN's own nodes sample by sample."""
    node, results = operator.onnx_node, []
    shape = tuple(operator.get_normal_input_shape())
    empty = np.zeros(tuple(operator.get_normal_output_shape()), np.float32)
    for value in values:
        context = {node.input[0]: value.reshape(shape), node.output[0]: empty}
        operator.execute_node(context, graph)
        results.append(context[node.output[0]][0])
    return np.stack(results)
