"""Whether an ONNX file is a valid graph: the checks before the lowering, each with a message that names the node or tensor.

- `check_file`: of the file as it is: names, constants, operator sets, attributes.
- `check_shapes`: of the sizes of all tensors, once they are inferred.
- `check_values`: of a tidied graph: its constants are numbers, and every node makes the shape that the graph says.
"""

import copy
import math
from collections import Counter
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter

import numpy as np
import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp, is_custom_op

from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.graph.execution import Tensors, constants, execute
from zerocross.finn_flows.lowering.graph.naming import called, name_nodes
from zerocross.finn_flows.lowering.graph.products import attributes, is_product
from zerocross.finn_flows.lowering.graph.regions import QONNX

MOST_ELEMENTS = 1 << 28
"""Most elements of a tensor of one sample."""

_STANDARD = frozenset({"", "ai.onnx"})
_ANNOTATION = "finn_datatype"

_INPUTS = {"BipolarQuant": 2, "IntQuant": 4, "MultiThreshold": 2, "Quant": 4, "Trunc": 5}
"""Inputs that QONNX's quantizers need."""

_TYPES = {"f": "FLOAT", "i": "INT", "s": "STRING"}
"""Types of the attributes of QONNX's nodes."""

_MOST_ZERO = 1 << 20
"""The largest zero point, so that levels of few bits beside it are exact in float32."""

_FINITE = QONNX - {"MultiThreshold"} | {"BatchNormalization", "DequantizeLinear", "QuantizeLinear"}
"""Nodes whose constants are finite, beside products. A threshold may be infinite, and so may a limit of a Clip."""


def check_file(proto: ModelProto) -> None:
    """Check a file's graph. Its nodes may be in any order.

    Raises:
        LoweringError: If the graph is not valid.
    """
    graph = proto.graph
    nodes = [copy.deepcopy(node) for node in graph.node]
    name_nodes(nodes)
    if graph.sparse_initializer:
        name = graph.sparse_initializer[0].values.name
        raise LoweringError(
            f"{name}: it is stored as a sparse tensor, which is not supported: store it as a plain one"
        )
    _check_opsets(proto)
    known = _check_constants(graph.initializer)
    makers = _check_tensors(graph, nodes, known)
    _check_cycles(nodes, makers)
    _check_outputs(graph, known, makers)
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in nodes:
        _check_node(proto, node)
        _check_numbers(node, values)
    for value in [*graph.value_info, *graph.output]:
        sizes = [each.dim_value for each in value.type.tensor_type.shape.dim]
        if min(sizes, default=0) < 0:
            raise LoweringError(
                f"{value.name}: the file says that it has the shape {sizes}: export the network again"
            )
        _check_size(value.name, sizes)
    for note in graph.quantization_annotation:
        for entry in note.quant_parameter_tensor_names:
            if entry.key == _ANNOTATION and not _is_datatype(entry.value):
                raise LoweringError(
                    f"{note.tensor_name}: it is annotated with the datatype {entry.value!r}, which does not exist: remove "
                    "the annotation, or use one of QONNX, such as INT8"
                )


def check_input(model: ModelWrapper, name: str) -> None:
    """Check that a network's input is a tensor of numbers with a known shape.

    Raises:
        LoweringError: If it is not.
    """
    value = next(each for each in model.graph.input if each.name == name)
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        raise LoweringError(f"{name}: the input is not a tensor: give it the type of one in the file")
    tensor = value.type.tensor_type
    if _numpy(tensor.elem_type) is None:
        raise LoweringError(
            f"{name}: the input has no type of numbers: use float32, or integers of up to 8 bits"
        )
    if not tensor.HasField("shape") or not tensor.shape.dim:
        raise LoweringError(f"{name}: the input has no shape: give it one in the file")
    sizes = [each.dim_value for each in tensor.shape.dim[1:]]
    written = ", ".join(str(each.dim_param or each.dim_value or "?") for each in tensor.shape.dim)
    if any(size < 1 for size in sizes) or tensor.shape.dim[0].dim_value < 0:
        raise LoweringError(
            f"{name}: the input has the shape ({written}): only the batch, the first size, may be open: export the network "
            "with fixed sizes of at least 1"
        )
    _check_size(name, sizes)


def check_shapes(model: ModelWrapper) -> None:
    """Check that no tensor of a graph is too large to compute with.

    Raises:
        LoweringError: If one has more than `MOST_ELEMENTS` elements.
    """
    for value in [*model.graph.value_info, *model.graph.output]:
        _check_size(value.name, [each.dim_value for each in value.type.tensor_type.shape.dim])


def check_values(model: ModelWrapper) -> None:
    """Check the constants of a tidied graph, and compute one sample of zeros node by node.

    Raises:
        LoweringError: If a constant is not a number, a node cannot be computed, or has another shape than the graph says.
    """
    known = constants(model)
    for node in model.graph.node:
        _check_numbers(node, known)
        _check_parameters(node, known)
    start = model.graph.input[0].name
    tensors: Tensors = {**known, "": None}  # type: ignore[dict-item]  # QONNX's nodes look omitted inputs up
    tensors[start] = np.zeros(model.get_tensor_shape(start), np.float32)
    for node in model.graph.node:
        if all(name in tensors for name in node.input) and _is_known(node):
            execute(model, [node], tensors, own_shapes=True)
            _check_made(model, node, tensors)


# ---- the file as it is


def _check_opsets(proto: ModelProto) -> None:
    newest = onnx.defs.onnx_opset_version()
    own = [opset.version for opset in proto.opset_import if opset.domain in _STANDARD]
    has_own = any(node.domain in _STANDARD for node in proto.graph.node)
    if has_own and len(own) != 1:
        found = "no version" if not own else f"the versions {' and '.join(map(str, own))}"
        raise LoweringError(f"the file names {found} of ONNX's operator set (opset_import): export it again")
    if has_own and not 1 <= own[0] <= newest:
        raise LoweringError(
            f"the file needs version {own[0]} of ONNX's operator set, and this onnx knows 1 to {newest}: export it with "
            "an older opset_version"
        )


def _check_constants(tensors: Iterable[TensorProto]) -> set[str]:
    """Return the names of constants."""
    names = Counter(tensor.name for tensor in tensors)
    for tensor in tensors:
        if not tensor.name or names[tensor.name] > 1:
            which = (
                f"{tensor.name}: the file holds this constant {names[tensor.name]} times"
                if tensor.name
                else "a constant has no name"
            )
            raise LoweringError(f"{which}: export the network again")
        _check_constant(tensor.name, tensor)
    return set(names)


def _check_constant(name: str, tensor: TensorProto) -> None:
    if _numpy(tensor.data_type) is None:
        raise LoweringError(f"{name}: the constant does not hold numbers: store it as float32 or integers")
    if any(size < 0 for size in tensor.dims) or math.prod(tensor.dims) > MOST_ELEMENTS:
        raise LoweringError(
            f"{name}: the constant has the shape {list(tensor.dims)}: export the network again"
        )
    try:
        numpy_helper.to_array(tensor)
    except Exception as error:  # numpy and onnx raise many kinds
        raise LoweringError(
            f"{name}: the constant does not hold numbers of its shape {list(tensor.dims)} ({_first_line(error)}): export "
            "the network again"
        ) from None


def _check_tensors(graph: GraphProto, nodes: list[NodeProto], known: set[str]) -> dict[str, NodeProto]:
    """Return the nodes that make tensors, by these; each tensor is made once, and all that are read exist."""
    makers: dict[str, NodeProto] = {}
    given = {value.name for value in graph.input}
    if len(given) < len(graph.input) or "" in given:
        raise LoweringError(
            "two inputs of the graph have the same name, or one has none: export the network again"
        )
    for node in nodes:
        if not any(node.output):
            raise LoweringError(f"{called(node)} has no output: remove the node, or export the network again")
        for name in filter(None, node.output):
            if name in makers or name in known | given:
                other = called(makers[name]) if name in makers else "the file"
                raise LoweringError(
                    f"{called(node)} makes the tensor {name}, which {other} holds too: export the network again"
                )
            makers[name] = node
    for node in nodes:
        for name in filter(None, node.input):
            if name not in makers and name not in known and name not in given:
                raise LoweringError(
                    f"{called(node)} reads the tensor {name}, which the file does not hold: export the network again"
                )
    return makers


def _check_cycles(nodes: Iterable[NodeProto], makers: dict[str, NodeProto]) -> None:
    places = {id(node): node for node in nodes}
    order = {key: [id(makers[name]) for name in node.input if name in makers] for key, node in places.items()}
    try:
        TopologicalSorter(order).prepare()
    except CycleError as error:
        around = list(dict.fromkeys(called(places[key]) for key in error.args[1]))
        names = " and ".join(around[:3]) + (" and others" if len(around) > 3 else "")
        alone = "reads its own output" if len(around) == 1 else "read each other's outputs in a circle"
        raise LoweringError(f"{names} {alone}: export the network again") from None


def _check_outputs(graph: GraphProto, known: set[str], makers: dict[str, NodeProto]) -> None:
    names = [value.name for value in graph.output]
    if not names:
        raise LoweringError("the graph has no output: export the network again")
    given = {value.name for value in graph.input}
    for name in names:
        if name in given:
            raise LoweringError(f"the graph's output {name} is its input too: export the network again")
        if name not in makers and (name not in known or len(names) == 1):
            raise LoweringError(
                f"no node makes the graph's output {name or 'without a name'}: export the network again"
            )
    if len(set(names)) < len(names):
        raise LoweringError(
            f"the graph has the outputs {', '.join(names)}, one of them twice: export the network again"
        )


def _check_node(proto: ModelProto, node: NodeProto) -> None:
    named = called(node)
    if not node.op_type:
        raise LoweringError(f"{named} has no operator: export the network again")
    for attribute in node.attribute:
        if attribute.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS) or attribute.HasField("g"):
            raise LoweringError(
                f"{named} holds a graph of its own ({attribute.name}), which is not supported: export without control flow"
            )
        if attribute.type == AttributeProto.TENSOR:
            _check_constant(f"{named}, {attribute.name}", attribute.t)
    if (node.domain, node.op_type) in {(function.domain, function.name) for function in proto.functions}:
        raise LoweringError(
            f"{named} is a function of the file, which is not supported: replace it by its nodes, with "
            "onnx.inliner.inline_local_functions"
        )
    if node.op_type in QONNX:
        _check_quantizer(node, named)
    elif is_custom_op(node.domain) and not is_custom_op(node.domain, node.op_type):
        raise LoweringError(f"{named} does not exist in its domain {node.domain}: export the network again")
    elif node.domain in _STANDARD and onnx.defs.has(node.op_type):
        _check_standard(proto, node, named)
    elif node.domain not in {
        *_STANDARD,
        *(opset.domain for opset in proto.opset_import),
    } and not is_custom_op(node.domain):
        raise LoweringError(
            f"{named} is of the domain {node.domain}, whose version the file does not name (opset_import): export the "
            "network again"
        )


def _check_standard(proto: ModelProto, node: NodeProto, named: str) -> None:
    context = onnx.checker.C.CheckerContext()
    context.ir_version = onnx.IR_VERSION
    context.opset_imports = {
        "": next(each.version for each in proto.opset_import if each.domain in _STANDARD)
    }
    plain = NodeProto()
    plain.CopyFrom(node)
    plain.domain = ""
    try:
        onnx.checker.check_node(plain, context)
    except Exception as error:  # the checker's ValidationError, or protobuf's for text that is no UTF-8
        raise LoweringError(f"{named} is not valid: {_first_line(error)}: export the network again") from None
    if attributes(node).get("training_mode", 0) != 0:
        raise LoweringError(f"{named} is in training mode: export the network after model.eval()")


def _check_quantizer(node: NodeProto, named: str) -> None:
    if len(node.output) > 1:
        raise LoweringError(
            f"{named} has {len(node.output)} outputs, and makes only one: export the network again"
        )
    needed = _INPUTS.get(node.op_type, 1)
    if len(node.input) < needed or not all(node.input[:needed]):
        raise LoweringError(
            f"{named} has {len([*filter(None, node.input)])} inputs and needs {needed}: export the network again"
        )
    plain = NodeProto()
    plain.CopyFrom(node)
    plain.domain = "qonnx.custom_op.general"
    operator = getCustomOp(plain)
    types = {
        attribute.name: AttributeProto.AttributeType.Name(attribute.type) for attribute in node.attribute
    }
    for name, (letter, *_) in operator.get_nodeattr_types().items():
        try:
            operator.get_nodeattr(name)
            if types.get(name, _TYPES.get(letter)) != _TYPES.get(letter):
                raise ValueError(f"it is of type {types[name]}, not {_TYPES[letter]}")
        except Exception as error:  # qonnx raises many kinds
            raise LoweringError(
                f"{named} has no valid {name} ({_first_line(error)}): export the network again"
            ) from None


# ---- tidied graphs


def _check_numbers(node: NodeProto, known: Tensors) -> None:
    for place, name in enumerate(node.input):
        value = known.get(name)
        if value is None or value.dtype.kind != "f":
            continue
        is_finite = node.op_type in _FINITE or (is_product(node) and place > 0)
        found = (
            "NaN"
            if np.isnan(value).any()
            else "infinite numbers"
            if is_finite and np.isinf(value).any()
            else ""
        )
        if found:
            raise LoweringError(
                f"{called(node)}: its constant {name} holds {found}: the training has diverged, train again"
            )


def _check_parameters(node: NodeProto, known: Tensors) -> None:
    named, given = called(node), [known.get(name) for name in node.input]
    if node.op_type == "BatchNormalization":
        shapes = {value.shape for value in given[1:] if value is not None}
        if len(shapes) > 1 or any(len(shape) != 1 for shape in shapes):
            raise LoweringError(
                f"{named} has constants of the shapes {sorted(shapes)}: give each one number for each channel"
            )
    if node.op_type == "Dropout" and len(given) > 2 and given[2] is not None and given[2].any():
        raise LoweringError(f"{named} is in training mode: export the network after model.eval()")
    if (
        node.op_type in ("BipolarQuant", "IntQuant", "Quant")
        and given[1] is not None
        and (given[1] == 0).any()
    ):
        raise LoweringError(f"{named} has a scale of 0: give it another one")
    if node.op_type in ("IntQuant", "Quant"):
        zero, bits = given[2], given[3]
        if bits is not None and ((bits < 1) | (bits != np.rint(bits))).any():
            raise LoweringError(f"{named} has {bits.min():g} bits: give it a whole number of at least 1")
        if zero is not None and (np.abs(zero) > _MOST_ZERO).any():
            raise LoweringError(
                f"{named} has a zero point of {np.abs(zero).max():g}: float32 cannot tell its levels apart: at most "
                f"{_MOST_ZERO:,} is supported"
            )


def _is_known(node: NodeProto) -> bool:
    if is_custom_op(node.domain):
        return is_custom_op(node.domain, node.op_type)
    return node.domain in _STANDARD and onnx.defs.has(node.op_type)


def _check_made(model: ModelWrapper, node: NodeProto, tensors: Tensors) -> None:
    for name in filter(tensors.__contains__, node.output):
        declared = model.get_tensor_shape(name)
        if declared is None:
            raise LoweringError(
                f"{called(node)}: onnx cannot infer the shape of its output, so it is not valid: export the network again"
            )
        said, made = list(declared), list(tensors[name].shape)
        if said and (
            len(said) != len(made) or any(size not in (0, own) for size, own in zip(said, made, strict=True))
        ):
            raise LoweringError(
                f"{called(node)} makes a tensor of shape {made}, but the file says {list(said)}: export the network again"
            )


# ---- small tools


def _check_size(name: str, sizes: list[int]) -> None:
    if math.prod(max(size, 1) for size in sizes) > MOST_ELEMENTS:
        raise LoweringError(
            f"{name}: a tensor of {' x '.join(map(str, sizes))} numbers is too large: at most {MOST_ELEMENTS:,}"
        )


def _numpy(kind: int) -> np.dtype | None:
    """Return the type of numbers of a tensor; None if it does not hold real numbers."""
    try:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind))
    except Exception:  # KeyError, or others for unknown types
        return None
    return (
        dtype if dtype.kind in "biufV" or dtype.name.startswith(("bfloat", "float", "int", "uint")) else None
    )


def _is_datatype(name: str) -> bool:
    try:
        DataType[name]
    except Exception:  # qonnx parses parts of names
        return False
    return True


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(" .:")
