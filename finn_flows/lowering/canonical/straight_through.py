"""Undoes the straight-through estimator of a training, which exporters write out: x + (q(x) - x) becomes q(x).

The floats of the sum differ from q(x) by rounding, so that they would be no levels.
"""

from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper


def drop_straight_through(model: ModelWrapper) -> None:
    """Replace each Add of x and a Sub of q and x by an Identity of q, in place; shapes are known."""
    makers = {node.output[0]: node for node in model.graph.node}
    for node in model.graph.node:
        quantized = _quantized(node, makers)
        if quantized and model.get_tensor_shape(quantized) == model.get_tensor_shape(node.output[0]):
            node.op_type = "Identity"
            node.input[:] = [quantized]
    needed = {each.name for each in model.graph.output} | {
        name for node in model.graph.node for name in node.input
    }
    kept = [node for node in model.graph.node if node.op_type != "Sub" or node.output[0] in needed]
    del model.graph.node[:]
    model.graph.node.extend(kept)


def _quantized(node: NodeProto, makers: dict[str, NodeProto]) -> str:
    """Return q if a node adds x and q - x, else ""."""
    if node.op_type != "Add":
        return ""
    for x, difference in (node.input, reversed(node.input)):
        maker = makers.get(difference)
        if maker is not None and maker.op_type == "Sub" and maker.input[1] == x:
            return str(maker.input[0])
    return ""
