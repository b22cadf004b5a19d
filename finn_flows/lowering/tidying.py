"""Tidying a QONNX graph, so that the lowering meets one form of everything."""

import copy

from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.general import (
    GiveUniqueParameterTensors,
    MovePadAttributeToTensor,
    RemoveStaticGraphInputs,
    RemoveUnusedTensors,
    SortGraph,
)
from qonnx.transformation.infer_shapes import InferShapes

from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.execution import fold_constants
from zerocross.finn_flows.lowering.naming import name_nodes


def tidy(model: ModelWrapper) -> ModelWrapper:
    """Return a graph as the lowering takes it; the one given is left alone.

    The returned graph is for one sample. Its shapes are inferred, its constants are folded, weight quantizers too, and
    every node has a name of its own: a name that the author gave only once stays.

    Raises:
        LoweringError: if the graph has not one input, or does not say its shape.
    """
    order = _order(model)
    model = copy.deepcopy(model)
    name_nodes(model.graph.node)
    model = model.transform(RemoveStaticGraphInputs())
    names = [each.name for each in model.graph.input]
    if len(names) != 1:
        raise LoweringError(
            f"the graph has the inputs {', '.join(names)}: only networks with one input have hardware"
        )
    if not model.get_tensor_shape(names[0]):
        raise LoweringError(f"{names[0]}: the graph does not say its input's shape")
    for node in model.graph.node:
        if node.op_type in ("Quant", "BipolarQuant", "Trunc"):
            node.domain = "qonnx.custom_op.general"
    # Constants are folded by the first operator set that is named.
    model.model.opset_import.sort(key=lambda opset: opset.domain not in ("", "ai.onnx"))
    if model.get_tensor_shape(names[0])[0] != 1:
        _take_one_sample(model)
    for step in (SortGraph(), InferShapes(), GiveUniqueParameterTensors(), MovePadAttributeToTensor()):
        model = model.transform(step)
    while fold_constants(model):
        model = model.transform(InferShapes())
    model = model.transform(RemoveUnusedTensors())
    # qonnx sorts by distance from the input; layers stand in the order in which the graph's author wrote them.
    nodes = sorted(model.graph.node, key=lambda node: order.get(node.output[0], 0))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def _order(model: ModelWrapper) -> dict[str, int]:
    """Return the places of nodes by their first outputs; nothing if they are in no topological order."""
    places = {name: index for index, node in enumerate(model.graph.node) for name in node.output}
    for index, node in enumerate(model.graph.node):
        if any(places.get(name, -1) >= index for name in node.input):
            return {}
    return places


def _take_one_sample(model: ModelWrapper) -> None:
    """Set the batch to 1, in the input and in what reshapes, and forget all shapes that follow from it."""
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]
    for node in model.graph.node:
        shape = model.get_initializer(node.input[1]) if node.op_type == "Reshape" else None
        if shape is not None and shape.size and shape[0] > 1:
            shape = shape.copy()
            shape[0] = 1
            model.set_initializer(node.input[1], shape)
