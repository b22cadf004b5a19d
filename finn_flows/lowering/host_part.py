"""The part of a network that the host computes: all nodes ahead of the integer network's input.

Usually these are a normalisation and the input's quantizer. A layer without hardware at the front of a file, such as a
convolution with float weights, can be computed by the host too, but only if the user asks for it.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, helper
from qonnx.core.modelwrapper import ModelWrapper

from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.graph.execution import constants, run
from zerocross.finn_flows.lowering.graph.products import PRODUCTS, is_product, read_product
from zerocross.finn_flows.lowering.graph.quantizers import declared_values
from zerocross.finn_flows.lowering.graph.regions import ELEMENTWISE, MOVING
from zerocross.finn_flows.lowering.graph.windows import MEANS

_QUANTIZERS = frozenset({"BipolarQuant", "IntQuant", "MultiThreshold", "Quant", "QuantizeLinear", "Sign"})
_RESCALING = frozenset(["Add", "Cast", "Clip", "DequantizeLinear", "Div", "Identity", "Mul", "Round", "Sub"])
"""Nodes that may complete a quantizer, such as the Clip and the DequantizeLinear behind a QuantizeLinear."""

_BATCHED = ELEMENTWISE | MOVING | PRODUCTS | MEANS
"""Nodes known to compute each sample of a batch by itself."""


@dataclass(frozen=True)
class HostNode:
    """A node of the file that the host computes.

    Attributes:
        name: Name of the node.
        op_type: Its type.
        trained: Why it is more than a normalisation or the input's quantizer, such as "has weights"; "" if it is not.
    """

    name: str
    op_type: str
    trained: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.op_type})"

    @property
    def described(self) -> str:
        """The node, and the reason why it needs the user's consent."""
        return f"{self}: {self.trained}" if self.trained else str(self)


@dataclass(frozen=True)
class HostPart:
    """The nodes between the file's input and the integer network's input.

    Attributes:
        model: Graph from a sample of the file to the integers of the integer network's input, channels first.
        nodes: Nodes of the file in it, in order.
    """

    model: ModelWrapper
    nodes: tuple[HostNode, ...]

    @property
    def trained(self) -> tuple[HostNode, ...]:
        """Nodes that are more than a normalisation or the input's quantizer."""
        return tuple(node for node in self.nodes if node.trained)

    def only(self, names: Collection[str]) -> "HostPart":
        """Return the same part, listing only nodes of these names: the tidying may have added others to the graph."""
        return replace(self, nodes=tuple(node for node in self.nodes if node.name in names))

    def content(self) -> bytes:
        """Return the graph as the content of an ONNX file that needs no other file.

        Raises:
            LoweringError: If ONNX's checker refuses the graph.
        """
        try:
            onnx.checker.check_model(self.model.model)
        except onnx.checker.ValidationError as error:
            reason = str(error).splitlines()[0]
            raise LoweringError(
                f"the host's part cannot be written as an ONNX file of its own: {reason}"
            ) from None
        return self.model.model.SerializeToString()

    def run(self, samples: np.ndarray) -> np.ndarray:
        """Compute the integer network's input.

        Args:
            samples: Inputs of the file, shape (N, ...).

        Returns:
            Integers, shape (N, features) or (N, height, width, channels).
        """
        return run_host_part(self.model, samples)


def load_host_part(path: Path) -> ModelWrapper:
    """Load a graph that `HostPart.content` wrote.

    Raises:
        LoweringError: If the file cannot be read or is no ONNX file.
    """
    try:
        proto = ModelProto.FromString(path.read_bytes())
        onnx.checker.check_model(proto)
    except OSError as error:
        raise LoweringError(f"{path} cannot be read ({error.strerror or error}): build again") from None
    except Exception:  # protobuf's DecodeError, or the checker's ValidationError
        raise LoweringError(f"{path} is not an ONNX file: build again") from None
    return ModelWrapper(proto)


def run_host_part(model: ModelWrapper, samples: np.ndarray) -> np.ndarray:
    """Compute the integer network's input; see `HostPart.run`."""
    kind = helper.tensor_dtype_to_np_dtype(model.graph.input[0].type.tensor_type.elem_type)
    is_batched = all(node.op_type in _BATCHED for node in model.graph.node)
    found = run(model, samples.astype(kind), 256 if is_batched else 1)
    return np.moveaxis(np.rint(found).astype(np.int64), 1, -1)


def takes_pixels_apart(model: ModelWrapper) -> bool:
    """Return whether every integer of the input depends on one number of the sample, as without layers on the host."""
    return all(node.op_type in ELEMENTWISE | MOVING for node in model.graph.node)


def host_part(
    original: ModelWrapper, front: ModelWrapper | None, absorbed: ModelWrapper, tensor: str
) -> HostPart:
    """Return the host's part of a lowered graph.

    Args:
        original: Tidied graph of the whole file.
        front: Graph that `split` took off the front; None if it was not split.
        absorbed: Graph with absorbed activations, behind the split.
        tensor: The integer network's input, a tensor of the absorbed graph.
    """
    ahead = list(front.graph.node) if front is not None else []
    nodes = [*ahead, *_ancestors(absorbed, tensor)]
    known = {**(constants(front) if front is not None else {}), **constants(absorbed)}
    model = _graph(original, nodes, known, absorbed, tensor)
    own = {node.name for node in original.graph.node}
    return HostPart(model, tuple(_described([node for node in nodes if node.name in own], model)))


def split(model: ModelWrapper) -> tuple[ModelWrapper, ModelWrapper] | None:
    """Take the products that the hardware cannot compute off the front of a graph.

    Args:
        model: Tidied graph.

    Returns:
        The graph of these products and everything ahead of them, and the graph of all other nodes, which reads its output;
        None if there are no such products, or no single tensor separates them from the rest.
    """
    front, lacking = _front(model)
    if not lacking:
        return None
    places = {node.output[0]: index for index, node in enumerate(model.graph.node)}
    last = places[lacking[-1].output[0]]
    for node in front:
        cut = node.output[0]
        if places[cut] < last or not _separates(model, cut):
            continue
        ahead = _ancestors(model, cut)
        taken = {each.output[0] for each in ahead}
        rest = [each for each in model.graph.node if each.output[0] not in taken]
        if not any(is_product(each) for each in rest):
            return None
        known = constants(model)
        behind = _graph(model, rest, known, model, model.graph.output[0].name, start=cut)
        return _graph(model, ahead, known, model, cut), behind
    return None


def refusal(part: HostPart) -> LoweringError:
    """Return the error for a host's part that holds more than a normalisation and the input's quantizer."""
    reasons = ", ".join(f"{node} {node.trained}" for node in part.trained)
    names = ", ".join(map(str, part.nodes))
    return LoweringError(
        f"the hardware begins only behind {part.nodes[-1]}, and the host would compute more than a normalisation and a "
        f"quantizer: {reasons}. Use --host-part to have the host compute {names}, or replace what has no hardware"
    )


def _front(model: ModelWrapper) -> tuple[list[NodeProto], list[NodeProto]]:
    """Return the nodes ahead of the first products with hardware, and the products without hardware among them."""
    computed, front = {model.graph.input[0].name}, list[NodeProto]()
    lacking = []
    made = {name for node in model.graph.node for name in node.output}
    for node in model.graph.node:
        read = [name for name in node.input if name in computed or name in made]
        if not read or any(name not in computed for name in read):
            continue
        if is_product(node):
            if _has_hardware(model, node):
                continue
            lacking.append(node)
        front.append(node)
        computed.update(node.output)
    return front, lacking


def _has_hardware(model: ModelWrapper, node: NodeProto) -> bool:
    tensor = node.input[0]
    while (maker := model.find_producer(tensor)) is not None and maker.op_type in MOVING:
        tensor = maker.input[0]
    try:
        read_product(model, node)
        return declared_values(model, tensor, strict=False) is not None
    except LoweringError:
        return False


def _separates(model: ModelWrapper, cut: str) -> bool:
    """Return whether every path from the graph's input to its output passes a tensor."""
    reached = {model.graph.input[0].name}
    for node in model.graph.node:
        if not reached.isdisjoint(node.input):
            reached.update(name for name in node.output if name != cut)
    return model.graph.output[0].name not in reached


def _ancestors(model: ModelWrapper, tensor: str) -> list[NodeProto]:
    needed, nodes = {tensor}, list[NodeProto]()
    for node in reversed(model.graph.node):
        if needed & set(node.output):
            needed.update(node.input)
            nodes.insert(0, node)
    return nodes


def _graph(
    original: ModelWrapper,
    nodes: list[NodeProto],
    known: dict[str, np.ndarray],
    shaped: ModelWrapper,
    end: str,
    start: str | None = None,
) -> ModelWrapper:
    """Return a graph of its own, with copies of the nodes and the constants that they read.

    Args:
        original: Graph whose input and operator sets the new one has.
        nodes: Nodes in topological order.
        known: Constants by name.
        shaped: Graph that knows the shapes of the nodes' tensors, besides `original`.
        end: Output of the new graph.
        start: Input of the new graph; None takes the input of `original`.
    """

    def info(name: str) -> onnx.ValueInfoProto:
        found = next((v for m in (shaped, original) if (v := m.get_tensor_valueinfo(name)) is not None), None)
        return found or helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)

    read = {name for node in nodes for name in node.input if name in known}
    tensors = [name for node in nodes for name in node.output if name and name != end]
    graph = helper.make_graph(
        nodes,
        "host",
        [info(start or original.graph.input[0].name)],
        [info(end)],
        [onnx.numpy_helper.from_array(np.asarray(known[name]), name) for name in sorted(read)],
        value_info=[value for name in tensors if (value := info(name)).type.tensor_type.HasField("shape")],
    )
    versions = {opset.domain: opset.version for m in (shaped, original) for opset in m.model.opset_import}
    domains = {node.domain for node in nodes} | {""}
    opsets = [helper.make_opsetid(domain, versions.get(domain, 1)) for domain in sorted(domains)]
    version = min(original.model.ir_version, 10)
    made = ModelWrapper(helper.make_model(graph, opset_imports=opsets, ir_version=version))
    for name in [start or original.graph.input[0].name, *tensors, end]:
        for source in (shaped, original):
            if source.get_tensor_valueinfo(name) is not None:
                made.set_tensor_datatype(name, source.get_tensor_datatype(name))
                break
    return made


def _described(nodes: Iterable[NodeProto], model: ModelWrapper) -> Iterable[HostNode]:
    """Describe nodes in topological order."""
    behind: dict[str, str] = {}  # tensors computed from quantized ones, with the quantizer's name
    for node in nodes:
        quantizer = next((behind[name] for name in node.input if name in behind), "")
        why = _has_weights(node, model)
        if not why and quantizer and not _completes(node):
            why = f"stands behind the quantizer {quantizer}"
        if not quantizer and node.op_type in _QUANTIZERS:
            quantizer = node.name
        if quantizer:
            behind.update(dict.fromkeys(node.output, quantizer))
        yield HostNode(node.name, node.op_type, why)


def _completes(node: NodeProto) -> bool:
    """Return whether a node behind a quantizer may be a part of it: it moves, rescales or quantizes levels."""
    return node.op_type in MOVING | _RESCALING | _QUANTIZERS


def _has_weights(node: NodeProto, model: ModelWrapper) -> str:
    """Return "has weights" and their shape if a node has more parameters than one for each channel, else ""."""
    shapes = [model.get_tensor_shape(name) for name in (*node.input, *node.output)]
    channels = max((shape[1] for shape in shapes if shape and len(shape) > 1), default=1)
    for name in node.input:
        value = model.get_initializer(name)
        if value is None or value.dtype.kind != "f" or node.op_type == "MultiThreshold":
            continue
        if value.size > channels or node.op_type in PRODUCTS:
            return f"has weights ({' x '.join(map(str, value.shape))})"
    return ""
