"""Tidies a QONNX graph, so that the lowering meets each construct in one form only."""

import contextlib
import copy

import numpy as np
from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.general import (
    GiveUniqueParameterTensors,
    MovePadAttributeToTensor,
    RemoveStaticGraphInputs,
    RemoveUnusedTensors,
    SortGraph,
)
from qonnx.transformation.infer_shapes import InferShapes

from zerocross.finn_flows.lowering.canonical.channels_first import write_channels_first
from zerocross.finn_flows.lowering.canonical.dequantizers import share_dequantizers
from zerocross.finn_flows.lowering.canonical.integer_operators import write_between_quantizers
from zerocross.finn_flows.lowering.canonical.rewriting import rewritten
from zerocross.finn_flows.lowering.canonical.straight_through import drop_straight_through
from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.graph.execution import fold_constants
from zerocross.finn_flows.lowering.graph.naming import name_nodes, unique
from zerocross.finn_flows.lowering.graph.padding import own_padding, rounds_up
from zerocross.finn_flows.lowering.graph.products import attributes
from zerocross.finn_flows.lowering.graph.regions import QONNX
from zerocross.finn_flows.lowering.outputs import drop_constant_outputs
from zerocross.finn_flows.lowering.validity import check_input, check_shapes


def tidy(model: ModelWrapper) -> ModelWrapper:
    """Return a tidied and rewritten copy of a graph, as `AbsorbActivations` needs it; see `tidied` and `rewritten`."""
    return rewritten(tidied(model))


def tidied(model: ModelWrapper) -> ModelWrapper:
    """Return a tidied copy of a graph, with the author's own nodes.

    - The graph is for one sample, and its shapes are inferred.
    - Its input is float32; the datatype of an integer input is annotated.
    - Constants are folded, including weight quantizers. Outputs that are constants are dropped.
    - Images are channels first.
    - Operators on integers are written between quantizers, and x + (q(x) - x) is q(x).
    - All readers of a quantized tensor read one DequantizeLinear.
    - Every node has a unique name; names that were already unique stay.
    - Pools have pads instead of a `ceil_mode`, except mean pools with smaller windows at the end.

    Raises:
        LoweringError: If the graph does not have exactly one input, or its input has no shape.
    """
    model = copy.deepcopy(model)
    name_nodes(model.graph.node)
    _forget_unknown_sizes(model)
    write_between_quantizers(model)
    share_dequantizers(model)
    order = _order(model)
    model = model.transform(RemoveStaticGraphInputs())
    names = [each.name for each in model.graph.input]
    if len(names) != 1:
        raise LoweringError(
            f"the graph has the inputs {', '.join(names)}: only networks with one input are supported"
        )
    check_input(model, names[0])
    _take_floats(model)
    for node in model.graph.node:
        if node.op_type in QONNX:
            node.domain = "qonnx.custom_op.general"
    # Constant folding uses the first operator set in the list.
    model.model.opset_import.sort(key=lambda opset: opset.domain not in ("", "ai.onnx"))
    if model.get_tensor_shape(names[0])[0] != 1:
        _take_one_sample(model)
    model = _inferred(model.transform(SortGraph()))
    for step in (GiveUniqueParameterTensors(), MovePadAttributeToTensor()):
        model = model.transform(step)
    drop_straight_through(model)
    _keep_the_sample(model)
    while fold_constants(model):
        model = _inferred(model)
    drop_constant_outputs(model)
    while _writes_a_ceil_mode_out(model):
        _forget_shapes(model)
        model = _inferred(model)
    model = model.transform(RemoveUnusedTensors())
    # qonnx sorts nodes by distance from the input; layers keep the author's order.
    nodes = sorted(model.graph.node, key=lambda node: order.get(node.output[0], 0))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    write_channels_first(model)
    return model.transform(RemoveUnusedTensors(), cleanup=False)  # a cleanup would sort the nodes again


def _inferred(model: ModelWrapper) -> ModelWrapper:
    """Infer the shapes of a graph.

    Raises:
        LoweringError: If they contradict each other, or a tensor is too large.
    """
    try:
        model = model.transform(InferShapes())
    except Exception as error:  # onnx and QONNX's nodes raise many kinds
        raise LoweringError(_contradiction(model, error)) from None
    check_shapes(model)
    return model


def _contradiction(model: ModelWrapper, error: Exception) -> str:
    """Return which tensor has another shape than the file says, or which node cannot have its inputs."""
    declared = {each.name: each for each in (*model.graph.value_info, *model.graph.output)}
    free = copy.deepcopy(model)
    _forget_shapes(free)
    with contextlib.suppress(Exception):
        free = free.transform(InferShapes())
        for name in declared:
            said, found = model.get_tensor_shape(name), free.get_tensor_shape(name)
            if said and found and list(said) != list(found):
                return (
                    f"{name}: the file says that the tensor has the shape {list(said)}, but it has {list(found)}: "
                    "export the network again"
                )
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return f"the shapes of the file do not fit each other ({reason}): export the network again"


def _order(model: ModelWrapper) -> dict[str, int]:
    """Return the position of every node by its outputs; nothing if the nodes are not in topological order."""
    places = {name: index for index, node in enumerate(model.graph.node) for name in node.output}
    for index, node in enumerate(model.graph.node):
        if any(places.get(name, -1) >= index for name in node.input):
            return {}
    return places


def _take_floats(model: ModelWrapper) -> None:
    """Let an input of another type be float32, annotated with its datatype, and cast it for the nodes that read it."""
    value = model.graph.input[0]
    container = value.type.tensor_type.elem_type
    if container == TensorProto.FLOAT:
        return
    number = np.dtype(helper.tensor_dtype_to_np_dtype(container))
    datatype = {"b": "BINARY", "u": f"UINT{8 * number.itemsize}", "i": f"INT{8 * number.itemsize}"}
    if number.kind in datatype and not model.get_tensor_datatype(value.name).is_integer():
        model.set_tensor_datatype(value.name, DataType[datatype[number.kind]])
    value.type.tensor_type.elem_type = TensorProto.FLOAT
    sink = unique(f"{value.name}_cast", [name for node in model.graph.node for name in node.output])
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            if name == value.name:
                node.input[index] = sink
    cast = helper.make_node("Cast", [value.name], [sink], name=sink, to=container)
    model.graph.node.insert(0, cast)


def _forget_unknown_sizes(model: ModelWrapper) -> None:
    """Remove sizes of 0 and shapes without sizes of computed tensors, in place: they are unknown, and will be inferred."""
    made = {name for node in model.graph.node for name in node.output}
    for value in [*model.graph.value_info, *model.graph.output]:
        if value.name in made and not value.type.tensor_type.shape.dim:
            value.type.tensor_type.ClearField("shape")
        for dim in value.type.tensor_type.shape.dim:
            if dim.HasField("dim_value") and dim.dim_value == 0:
                dim.ClearField("dim_value")


def _forget_shapes(model: ModelWrapper) -> None:
    """Remove the shapes of all tensors but the input's, in place."""
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]


def _writes_a_ceil_mode_out(model: ModelWrapper) -> bool:
    """Replace the first `ceil_mode` by pads, in place; return whether there was one.

    onnx infers shapes with windows that begin behind the image, which onnxruntime and torch do not execute. A mean pool
    whose `ceil_mode` adds windows keeps it: they divide by less.
    """
    for node in model.graph.node:
        known = attributes(node)
        if (
            known.get("ceil_mode", 0)
            and len(model.get_tensor_shape(node.input[0]) or ()) == 4
            and (node.op_type == "MaxPool" or not rounds_up(model, node))
        ):
            pads = helper.make_attribute("pads", own_padding(model, node))
            kept = [each for each in node.attribute if each.name not in ("auto_pad", "ceil_mode", "pads")]
            del node.attribute[:]
            node.attribute.extend([*kept, pads])
            return True
    return False


def _take_one_sample(model: ModelWrapper) -> None:
    """Set the batch to 1 in the input and in reshapes of samples, and remove all shapes that depend on it."""
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    _forget_shapes(model)
    computed = _computed_from(model, model.graph.input[0].name)
    for node in model.graph.node:
        shape = model.get_initializer(node.input[1]) if node.op_type == "Reshape" else None
        if shape is not None and shape.size and shape[0] > 1 and node.input[0] in computed:
            own = f"{node.output[0]}_of_one"  # weights may be reshaped by the same constant
            shape = shape.copy()
            shape[0] = 1
            node.input[1] = own
            model.set_initializer(own, shape)


def _keep_the_sample(model: ModelWrapper) -> None:
    """Replace each node that chooses samples by an Identity: the only sample is left."""
    for node in model.graph.node:
        shape = model.get_tensor_shape(node.input[0]) if node.op_type in ("Gather", "Slice") else None
        if not shape or shape[0] != 1 or model.get_tensor_shape(node.output[0]) != shape:
            continue
        if node.op_type == "Gather":
            on_samples = attributes(node).get("axis", 0) == 0
        else:
            axes = model.get_initializer(node.input[3]) if len(node.input) > 3 else None
            on_samples = axes is not None and list(axes) == [0]
        if on_samples:
            node.op_type = "Identity"
            node.input[:] = [node.input[0]]
            del node.attribute[:]


def _computed_from(model: ModelWrapper, source: str) -> set[str]:
    """Return the tensors that depend on a tensor, with itself. Nodes may stand in any order."""
    found, size = {source}, 0
    while size < len(found):
        size = len(found)
        for node in model.graph.node:
            if not found.isdisjoint(node.input):
                found.update(node.output)
    return found
