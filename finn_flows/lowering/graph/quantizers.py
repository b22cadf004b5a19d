"""The levels that a quantizer declares: all values that its output can have."""

from collections.abc import Callable

import numpy as np
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.general.intquant import max_int, min_int

from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.graph.execution import RESHAPES
from zerocross.finn_flows.lowering.graph.levels import MOST, Levels, equidistant
from zerocross.finn_flows.lowering.graph.monotone import few_values
from zerocross.finn_flows.lowering.graph.products import attributes
from zerocross.finn_flows.lowering.graph.regions import BY_CHANNEL, ELEMENTWISE, Region, RegionFunction
from zerocross.finn_flows.network import level_grid

_QUANTIZERS = frozenset({"BipolarQuant", "Crossings", "IntQuant", "MultiThreshold", "Quant"})


def declared_bits(model: ModelWrapper, node: NodeProto) -> int | None:
    """Return the bits of a quantizer with one constant scale for all channels; None for other nodes.

    Nodes that together quantize, such as QuantizeLinear, Clip and DequantizeLinear, count as a quantizer at the last one.
    """
    return _own_bits(model, node) if node.op_type in _QUANTIZERS else _bits_by_function(model, node)


def _own_bits(model: ModelWrapper, node: NodeProto) -> int | None:
    """Return the bits of one of QONNX's quantizers; None for other nodes."""
    if node.op_type not in _QUANTIZERS:
        return None
    if node.op_type == "Crossings":
        return int(attributes(node)["bits"])
    if node.op_type == "MultiThreshold":
        thresholds = model.get_initializer(node.input[1])
        return None if thresholds is None else int(thresholds.shape[1]).bit_length()
    parameters = [model.get_initializer(name) for name in node.input[1:]]
    if any(value is None or np.unique(value).size > 1 for value in parameters):
        return None
    return 1 if node.op_type == "BipolarQuant" else int(parameters[2].flat[0])


def _bits_by_function(model: ModelWrapper, node: NodeProto) -> int | None:
    """Return the bits of a tensor of floats with few values, none of whose nodes is a quantizer by name."""
    if node.op_type not in ELEMENTWISE:
        return None
    body, sources = _ahead(model, node.output[0], lambda name: False)
    if len(sources) != 1 or any(each.op_type in _QUANTIZERS for each in body):
        return None
    try:
        values = declared_values(model, node.output[0], strict=False)
    except LoweringError:  # the region that uses the node says why
        return None
    levels = None if values is None else equidistant(values)
    return None if levels is None else levels.bits


def declared_values(model: ModelWrapper, tensor: str, strict: bool = True) -> np.ndarray | None:
    """Return the values that a tensor can have, whatever the samples are.

    They follow from what the nodes ahead of it compute:

    - A quantizer of QONNX declares its levels, and an annotated network input those of its datatype.
    - Other nodes have few values if they round and limit floats: Round and Clip, QuantizeLinear, Sign, comparisons.
    - Elementwise nodes behind such a tensor may compute anything.

    Args:
        model: The graph.
        tensor: Any tensor.
        strict: Whether to refuse a quantizer whose levels are unknown; otherwise it is ignored.

    Returns:
        float32, shape (T, channels), or None if there may be more than 256 values.

    Raises:
        LoweringError: If a quantizer computes its scale, has more than 8 bits, or has one scale for each channel.
    """
    for is_start in (lambda name: _known(model, name) is not None, lambda name: False):
        body, sources = _ahead(model, tensor, is_start)
        if len(sources) != 1:
            continue
        (source,) = sources
        shape, known = model.get_tensor_shape(source), _known(model, source)
        if known is not None and len(shape) < 2:
            raise LoweringError(f"{source} has shape {shape}: give the network's input a batch axis")
        if not shape or len(shape) < 2:
            continue
        region = Region(source, source, tuple(body), tensor)
        if known is None:
            found = few_values(model, region) if body else None
        else:
            columns = np.repeat(known[:, None], shape[1], axis=1).astype(np.float32)
            found = RegionFunction(model, region).stages(columns)[-1]
        if found is None:
            continue
        if strict and known is None and (found != found[:, :1]).any():
            _check_quantizers(model, tensor)
        return found
    if strict:
        _check_quantizers(model, tensor)
    return None


def _ahead(
    model: ModelWrapper, tensor: str, is_start: Callable[[str], bool]
) -> tuple[list[NodeProto], set[str]]:
    """Return the elementwise nodes that a tensor depends on, in the graph's order, and the tensors that they start from."""
    makers = {name: node for node in model.graph.node for name in node.output}
    found: dict[str, NodeProto] = {}
    sources, wanted = set(), [tensor]
    while wanted:
        name = wanted.pop()
        node = makers.get(name)
        if node is None or is_start(name) or not _keeps_channels(model, node):
            sources.add(name)
        elif node.output[0] not in found:
            found[node.output[0]] = node
            wanted += [each for each in node.input if _is_computed(model, each)]
    return [node for node in model.graph.node if node.output[0] in found], sources


def _keeps_channels(model: ModelWrapper, node: NodeProto) -> bool:
    """Return whether a node computes or moves elements without mixing, adding or renumbering channels.

    Nor may its constants vary within a channel.
    """
    if node.op_type in ELEMENTWISE:
        shape = model.get_tensor_shape(node.output[0])
        sizes = [value.size for name in node.input if (value := model.get_initializer(name)) is not None]
        return node.op_type in BY_CHANNEL or not shape or max(sizes, default=1) <= max(shape[1:2], default=1)
    if node.op_type not in RESHAPES:
        return node.op_type == "Transpose"
    before, after = (model.get_tensor_shape(name) for name in (node.input[0], node.output[0]))
    return [size for size in before if size > 1] == [size for size in after if size > 1]


def _known(model: ModelWrapper, tensor: str) -> np.ndarray | None:
    """Return the values of an annotated network input, or of a quantizer's or a Concat's output; None if not declared."""
    node = model.find_producer(tensor)
    if node is not None and node.op_type == "Concat":
        return _joined_values(model, node)
    if node is not None and not 0 < (_own_bits(model, node) or 0) <= 8:
        return None
    return _own_values(model, tensor, node)


def _joined_values(model: ModelWrapper, node: NodeProto) -> np.ndarray | None:
    """Return the values of all channels that a Concat joins; None if some may have more than 256."""
    parts = [declared_values(model, name, strict=False) for name in node.input]
    if any(part is None for part in parts):
        return None
    values = np.unique(np.concatenate([np.ravel(part) for part in parts]))  # type: ignore[arg-type]
    return values if len(values) <= MOST else None


def _check_quantizers(model: ModelWrapper, tensor: str) -> None:
    """Refuse the quantizer ahead of a tensor, with only elementwise nodes in between, whose levels are unknown."""
    while (node := model.find_producer(tensor)) is not None:
        _own_values(model, tensor, node)
        computed = [name for name in node.input if _is_computed(model, name)]
        if node.op_type not in ELEMENTWISE or len(computed) != 1:
            return
        (tensor,) = computed


def declared_levels(model: ModelWrapper, tensor: str, reader: NodeProto, counted: bool) -> Levels:
    """Return the levels of the network's input, which a node reads.

    Raises:
        LoweringError: If the input is not quantized to equidistant levels of one scale.
    """
    name = f"{reader.name} ({reader.op_type})"
    found = declared_values(model, tensor)
    if found is None:
        raise LoweringError(
            f"{name}: its input is not quantized: {_maker(model, tensor)} may have more than {MOST} values: put a "
            "BipolarQuant, a Quant, or a Round and a Clip of up to 8 bits ahead of it, or annotate "
            f"{_annotated(model, tensor)} with an integer datatype"
        )
    levels = equidistant(found, counted=counted)
    if levels is None and (found != found[:, :1]).any():
        raise LoweringError(
            f"{name}: its input has different scales in its channels: quantize it with one scale"
        )
    if levels is None:
        raise LoweringError(
            f"{name}: its input does not have up to {MOST} equidistant levels: use up to 8 bits"
        )
    return levels


def _is_computed(model: ModelWrapper, name: str) -> bool:
    return bool(name) and model.get_initializer(name) is None


def _annotated(model: ModelWrapper, tensor: str) -> str:
    """Return the foremost tensor whose annotation with a datatype would help."""
    while (node := model.find_producer(tensor)) is not None and node.op_type in ELEMENTWISE:
        computed = [name for name in node.input if _is_computed(model, name)]
        if len(computed) != 1:
            break
        tensor = computed[0]
    return tensor


def _maker(model: ModelWrapper, tensor: str) -> str:
    node = model.find_producer(tensor)
    return "it" if node is None else f"{node.name} ({node.op_type})"


def _own_values(model: ModelWrapper, tensor: str, node: NodeProto | None) -> np.ndarray | None:
    """Return the values that a quantizer or an annotated network input can have; None for other tensors."""
    if node is None:
        datatype = model.get_tensor_datatype(tensor)
        if not datatype.is_integer() or datatype.bitwidth() > 8:
            return None
        return np.array(
            [v for v in range(int(datatype.min()), int(datatype.max()) + 1) if datatype.allowed(v)]
        )
    if node.op_type not in _QUANTIZERS:
        return None
    known = attributes(node)
    if node.op_type == "Crossings":
        grid = level_grid(known["bits"])
        return np.arange(grid.low, grid.high + 1, grid.step)
    if node.op_type == "MultiThreshold":
        counts = np.arange(model.get_initializer(node.input[1]).shape[1] + 1)
        return known.get("out_scale", 1.0) * counts + known.get("out_bias", 0.0)
    scale, *rest = (model.get_initializer(name) for name in node.input[1:])
    if scale is None or any(value is None for value in rest):
        raise LoweringError(
            f"{node.name} ({node.op_type}) computes its scale, zero point or width: make them constant"
        )
    if np.unique(scale).size > 1 or any(np.unique(value).size > 1 for value in rest):
        raise LoweringError(
            f"{node.name} ({node.op_type}): the input is quantized with one scale for each channel: use one for all"
        )
    scale = np.float32(scale.flat[0])
    if node.op_type == "BipolarQuant":
        return np.array([-scale, scale])
    zero, bits = (value.flat[0] for value in rest)
    signed, narrow = bool(known.get("signed", 1)), bool(known.get("narrow", 1))
    if bits > 8:
        raise LoweringError(f"{node.name} ({node.op_type}) has {bits:g} bits: quantize the input to up to 8")
    if bits == 1 and signed:
        whole = np.array([-1, 1])
    else:
        whole = np.arange(min_int(signed, narrow, int(bits)), max_int(signed, narrow, int(bits)) + 1)
    return (whole.astype(np.float32) - np.float32(zero)) * scale
