"""The levels that a quantizer declares: all values that its output can have."""

import numpy as np
from onnx import NodeProto, TensorProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.general.intquant import max_int, min_int

from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.levels import MOST, Levels, equidistant
from zerocross.finn_flows.lowering.products import attributes
from zerocross.finn_flows.lowering.regions import ELEMENTWISE, Region, RegionFunction
from zerocross.finn_flows.network import level_grid

_QUANTIZERS = frozenset({"BipolarQuant", "Crossings", "IntQuant", "MultiThreshold", "Quant"})


def declared_bits(model: ModelWrapper, node: NodeProto) -> int | None:
    """Return the bits of a quantizer with one constant scale for all channels; None for other nodes."""
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


def declared_values(model: ModelWrapper, tensor: str, strict: bool = True) -> np.ndarray | None:
    """Return the values that a tensor can have according to the quantizer or the integer datatype ahead of it.

    Args:
        model: The graph.
        tensor: Tensor behind a quantizer or an annotated network input, with only elementwise nodes in between.
        strict: Whether to refuse a quantizer whose levels are unknown; otherwise it is ignored.

    Returns:
        float32, shape (T, channels), or None if there is no quantizer.

    Raises:
        LoweringError: If the quantizer computes its scale, has more than 8 bits, or has one scale for each channel.
    """
    behind: list[NodeProto] = []
    start = tensor
    while True:
        node = model.find_producer(start)
        known = strict or node is None or (declared_bits(model, node) or MOST) <= 8
        values = _own_values(model, start, node) if known else None
        if values is not None:
            break
        computed = [] if node is None else [name for name in node.input if _is_computed(model, name)]
        if node is None or node.op_type not in ELEMENTWISE or len(computed) != 1:
            return None
        behind.insert(0, node)
        start = computed[0]
    shape = model.get_tensor_shape(start)
    if len(shape) < 2:
        raise LoweringError(f"{start} has shape {shape}: give the network's input a batch axis")
    front = Region(start, start, tuple(behind), tensor)
    columns = np.repeat(values[:, None], shape[1], axis=1).astype(np.float32)
    return RegionFunction(model, front).stages(columns)[-1]


def declared_levels(model: ModelWrapper, tensor: str, reader: NodeProto, counted: bool) -> Levels:
    """Return the levels of the network's input, which a node reads.

    Raises:
        LoweringError: If the input is not quantized to equidistant levels, the same in all channels.
    """
    name = f"{reader.name} ({reader.op_type})"
    found = declared_values(model, tensor)
    if found is None:
        raise LoweringError(
            f"{name}: its input is not quantized: put a BipolarQuant or a Quant of up to 8 bits ahead of it, or "
            f"annotate {_annotated(model, tensor)} with an integer datatype"
        )
    if (found != found[:, :1]).any():
        raise LoweringError(
            f"{name}: its input has different scales in its channels: quantize it with one scale"
        )
    levels = equidistant(found, counted=counted)
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


def _own_values(model: ModelWrapper, tensor: str, node: NodeProto | None) -> np.ndarray | None:
    """Return the values that a quantizer or an annotated network input can have; None for other tensors."""
    if node is None:
        datatype = model.get_tensor_datatype(tensor)
        container = model.get_tensor_valueinfo(tensor).type.tensor_type.elem_type
        if container == TensorProto.UINT8:
            return np.arange(256)
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
        raise LoweringError(f"{node.name} (Quant) has {bits:g} bits: quantize the input to up to 8")
    if bits == 1 and signed:
        whole = np.array([-1, 1])
    else:
        whole = np.arange(min_int(signed, narrow, int(bits)), max_int(signed, narrow, int(bits)) + 1)
    return (whole.astype(np.float32) - np.float32(zero)) * scale
