"""Absorbing activations: what stands between two products becomes one node with its crossings.

    product -> BatchNormalization, Sin, Mul, ..., Quant -> product      becomes
    product -> Crossings -> product

The region is executed, in float32, at every integer its product can come to, and nothing is approximated. What it
gives are the next product's levels. Scales and biases of a product, and scales and offsets of the levels it reads,
are part of the region behind it, so that every product is one of integers with weights of -1 and +1 afterwards.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.general.intquant import max_int, min_int
from qonnx.transformation.base import Transformation

from finn_flows.crossings import CrossingTable
from finn_flows.lowering.errors import LoweringError
from finn_flows.lowering.levels import MOST, Levels, equidistant
from finn_flows.lowering.ops import DOMAIN, make_crossings
from finn_flows.lowering.products import Product, attributes, conv_padding, is_product, read_product
from finn_flows.lowering.regions import ELEMENTWISE, MOVING, Region, Response, find_region, pad_value
from finn_flows.lowering.tidying import tidy
from finn_flows.network import Grid

_CHUNK = 1 << 20  # values evaluated at once: 4 MB a tensor of float32


class AbsorbActivations(Transformation):
    """Replace every activation and quantizer by a Crossings node, and make every product one of integers.

    Takes a cleaned QONNX graph for one sample: shapes inferred, constants folded, weight quantizers too (see
    `finn_flows.lowering.tidying.tidy`). The graph computes what it did before.

    Raises:
        LoweringError: for a region that cannot be absorbed, naming the node and the reason.
    """

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """Absorb the first region that is left, in qonnx's form: (model, whether it changed)."""
        for node in model.graph.node:
            if is_product(node):
                site = _read_site(model, node)
                if not site.is_absorbed:
                    _absorb(model, site)
                    return model, True
        return model, False


def step_absorb_activations(model: ModelWrapper, cfg: Any) -> ModelWrapper:
    """Tidy a graph and absorb its activations: a custom step for FINN's builder; `cfg` is not read."""
    del cfg
    return tidy(model).transform(AbsorbActivations())


@dataclass(frozen=True)
class Source:
    """Where a product's input comes from.

    Attributes:
        tensor: its quantized values.
        crossings: the node that makes them; None for the network's input.
        levels: what they are.
        movers: the moving nodes between them and the product, in order.
    """

    tensor: str
    crossings: NodeProto | None
    levels: Levels
    movers: tuple[NodeProto, ...]


@dataclass(frozen=True)
class _Site:
    """A product, what it reads and what stands behind it."""

    product: Product
    source: Source
    region: Region

    @property
    def is_absorbed(self) -> bool:
        """Whether nothing is left to do."""
        body = self.region.body
        crossed = sum(node.op_type == "Crossings" for node in body) == 1 == _count_elementwise(body)
        return self.product.is_plain and self.source.levels.is_integer and (crossed or not self.region.reader)


def _count_elementwise(nodes: tuple[NodeProto, ...]) -> int:
    return sum(node.op_type in ELEMENTWISE for node in nodes)


def _read_site(model: ModelWrapper, node: NodeProto) -> _Site:
    return _Site(read_product(model, node), find_source(model, node), find_region(model, node))


def find_source(model: ModelWrapper, product: NodeProto) -> Source:
    """Go back from a product to the quantized tensor it reads.

    Raises:
        LoweringError: if there is none.
    """
    tensor = product.input[0]
    movers: list[NodeProto] = []
    while (node := model.find_producer(tensor)) is not None and node.op_type in MOVING:
        movers.insert(0, node)
        tensor = node.input[0]
    if node is not None and node.op_type == "Crossings":
        return Source(tensor, node, model.get_customop_wrapper(node).levels, tuple(movers))
    return Source(tensor, None, _input_levels(model, product, tensor), tuple(movers))


def _input_levels(model: ModelWrapper, product: NodeProto, tensor: str) -> Levels:
    """Return the levels of the network's quantized input: its quantizer's, or those of an integer datatype."""
    behind: list[NodeProto] = []
    start = tensor
    while (values := _declared(model, start)) is None:
        node = model.find_producer(start)
        dynamic = (
            [name for name in node.input if model.get_initializer(name) is None] if node is not None else []
        )
        if node is None or node.op_type not in ELEMENTWISE or len(dynamic) != 1:
            raise LoweringError(
                f"{product.name} ({product.op_type}): its input is not quantized: put a BipolarQuant or a Quant of up to "
                f"8 bits ahead of it, or annotate {start} with an integer datatype"
            )
        behind.insert(0, node)
        start = dynamic[0]
    shape = model.get_tensor_shape(start)
    if len(shape) < 2:
        raise LoweringError(f"{start} has shape {shape}: give the network's input a batch axis")
    # The nodes behind the quantizer, such as a scale, as a region of their own.
    front = Region(helper.make_node("Input", [], [start], name=start), tuple(behind), (), tensor, None)
    columns = np.repeat(values[:, None], shape[1], axis=1).astype(np.float32)
    found = Response(model, front).stages(columns)[-1]
    if (found != found[:, :1]).any():
        raise LoweringError(
            f"{product.name} ({product.op_type}): its input has another scale from channel to channel: quantize it "
            "with one scale"
        )
    levels = equidistant(found)
    if levels is None:
        raise LoweringError(
            f"{product.name} ({product.op_type}): its input has no {MOST} equidistant levels: use up to 8 bits"
        )
    return levels


def _declared(model: ModelWrapper, tensor: str) -> np.ndarray | None:
    """Return the values a quantizer or an annotated network input can have, None for other tensors."""
    node = model.find_producer(tensor)
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
    if node.op_type == "MultiThreshold":
        thresholds, known = model.get_initializer(node.input[1]), attributes(node)
        counts = np.arange(thresholds.shape[1] + 1)
        return known.get("out_scale", 1.0) * counts + known.get("out_bias", 0.0)
    if node.op_type not in ("BipolarQuant", "Quant", "IntQuant"):
        return None
    scale, *rest = (model.get_initializer(name) for name in node.input[1:])
    if scale is None or any(value is None for value in rest):
        raise LoweringError(
            f"{node.name} ({node.op_type}) computes its scale, zero point or width: make them constant"
        )
    if np.unique(scale).size > 1 or any(np.unique(value).size > 1 for value in rest):
        raise LoweringError(
            f"{node.name} ({node.op_type}): the input is quantized with a scale for each channel: use one for all"
        )
    scale = np.float32(scale.flat[0])
    if node.op_type == "BipolarQuant":
        return np.array([-scale, scale])
    zero, bits = (value.flat[0] for value in rest)
    known = attributes(node)
    signed, narrow = bool(known.get("signed", 1)), bool(known.get("narrow", 1))
    if bits > 8:
        raise LoweringError(f"{node.name} (Quant) has {bits:g} bits: the input may have up to 8")
    if bits == 1 and signed:
        whole = np.array([-1, 1])
    else:
        whole = np.arange(min_int(signed, narrow, int(bits)), max_int(signed, narrow, int(bits)) + 1)
    return (whole.astype(np.float32) - np.float32(zero)) * scale


def _absorb(model: ModelWrapper, site: _Site) -> None:
    """Make a site one of integers: its product, and its region by crossings."""
    real = _Accumulator(site)  # before anything is rewritten
    _check_padding(model, site)
    if site.region.reader is None:
        _rescale_logits(model, site, real)
        _rewrite_product(model, site)
    else:
        _cross(model, site, real)
        _rewrite_product(model, site)
    _settle_source(model, site)


class _Accumulator:
    """The real value of a product's output, as a function of its integer accumulator."""

    def __init__(self, site: _Site) -> None:
        product, levels = site.product, site.source.levels
        flat = product.signs.reshape(product.channels, -1).astype(np.int64)
        self.scale = product.scale * levels.scale
        self.offset = product.scale * levels.offset * flat.sum(axis=1)
        self.bias = product.bias
        if levels.bits == 1:
            self.grid = Grid(-flat.shape[1], flat.shape[1], 2)
        else:
            reach = [int((side * flat > 0).sum(axis=1).max()) * levels.high for side in (-1, 1)]
            self.grid = Grid(-reach[0], reach[1])

    def values(self, integers: np.ndarray) -> np.ndarray:
        """Return the product's output, float32 of shape (T, channels), at integers of shape (T,)."""
        sums = integers[:, None] * self.scale + self.offset
        return sums.astype(np.float32) + self.bias


@dataclass(frozen=True)
class _Steps:
    """A function of few values on a grid, channel by channel: where it changes and what it changes to.

    `channel`, `place` and `value` are the changes, sorted by channel, then place; each channel begins with one at
    place 0.
    """

    grid: Grid
    channel: np.ndarray
    place: np.ndarray
    value: np.ndarray

    def table(self, levels: Levels) -> CrossingTable:
        """Return the crossings of every bit plane of the level's number."""
        index, bits = levels.index(self.value), levels.bits
        first, rows, places = [], [], []
        begins = self.place == 0
        for plane in range(bits):
            bit = (index >> plane) & 1
            flips = np.flatnonzero((bit[1:] != bit[:-1]) & ~begins[1:]) + 1
            first.append(bit[begins])
            rows.append(self.channel[flips] * bits + plane)
            places.append(self.place[flips])
        row, place = np.concatenate(rows), np.concatenate(places)
        order = np.lexsort((place, row))
        offsets = np.searchsorted(row[order], np.arange(bits * int(begins.sum()) + 1))
        starts = np.stack(first, axis=1).reshape(-1)
        return CrossingTable(
            self.grid, starts.astype(np.uint8), offsets.astype(np.int64), place[order].astype(np.int64)
        )


def _cross(model: ModelWrapper, site: _Site, real: _Accumulator) -> None:
    """Evaluate a region and put a Crossings node in its place."""
    region, reader = site.region, site.region.reader
    assert reader is not None
    response = Response(model, region)
    steps, stages = _evaluate(response, real)
    padding = {node.name: value for node, value in response.padding()}
    if reader.op_type == "Conv" and any(conv_padding(reader)):
        padding[reader.name] = 0.0
    last = find_region(model, reader).reader is None  # logits take up no offset
    levels = equidistant(np.concatenate([np.unique(steps.value), list(padding.values())]), from_zero=last)
    if levels is None:
        raise _not_quantized(region)
    position = _position(response, stages)
    _replace_body(model, site, response, position, padding, (steps.table(levels), levels))


def _not_quantized(region: Region) -> LoweringError:
    reader = region.reader
    assert reader is not None
    return LoweringError(
        f"{reader.name} ({reader.op_type}): its input, from {region.product.name}, does not have up to "
        f"{MOST} equidistant levels: put a BipolarQuant, or a Quant of up to 8 bits and one scale, ahead of it"
    )


def _evaluate(response: Response, real: _Accumulator) -> tuple[_Steps, list[np.ndarray]]:
    """Evaluate a region at every integer of its grid.

    Returns:
        Where its output changes, and, if there are pools in it, all values at all stages.
    """
    grid = real.grid
    length = max(1, _CHUNK // max(response.channels, len(real.scale)))
    pools = any(node.op_type == "MaxPool" for node in response.movers)
    kept: list[list[np.ndarray]] = []
    changes: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    before: np.ndarray | None = None
    for start in range(0, len(grid), length):
        indices = np.arange(start, min(start + length, len(grid)))
        stages = response.stages(real.values(grid.low + grid.step * indices))
        found = stages[-1]
        if pools:
            kept.append(stages)
        changed = np.empty(found.shape, bool)
        changed[0] = True if before is None else found[0] != before
        np.not_equal(found[1:], found[:-1], out=changed[1:])
        place, channel = np.nonzero(changed)
        value = found[place, channel]
        changes.append((channel, place + start, value))
        before = found[-1]
        if len(np.unique(value)) > MOST:
            raise _not_quantized(response.region)
    channel, place, value = (np.concatenate(each) for each in zip(*changes, strict=True))
    order = np.lexsort((place, channel))
    whole = [np.concatenate(each) for each in zip(*kept, strict=True)]
    return _Steps(grid, channel[order], place[order], value[order]), whole


def _position(response: Response, stages: list[np.ndarray]) -> int:
    """Return ahead of which of the body's moving nodes the crossings may stand, so that every pool pools the same.

    A pool of accumulators is right where what stands ahead of it never falls; a pool of levels is right where
    what stands behind it never falls on the values it sees. The earliest place is taken: levels are narrower.
    """
    movers = response.movers
    spreads = [index for index, segment in enumerate(response.segments) if segment.spread is not None]
    pads = [index for index, node in enumerate(movers) if node.op_type == "Pad"]
    least, most = (spreads or [0])[-1], (pads or [len(movers)])[0]
    pools = [index for index, node in enumerate(movers) if node.op_type == "MaxPool"]
    for position in range(least, most + 1):
        if all(
            _never_falls(stages[pool]) if pool < position else _never_falls_on(stages[pool], stages[-1])
            for pool in pools
        ):
            return position
    worst = movers[pools[0] if pools else pads[0]]
    raise LoweringError(
        f"{worst.name} ({worst.op_type}) stands inside the activation of {response.region.product.name}, where it cannot "
        "be exchanged with it: put it directly behind the product or behind the quantizer"
    )


def _never_falls(values: np.ndarray) -> bool:
    return bool((np.diff(values, axis=0) >= 0).all())


def _never_falls_on(arguments: np.ndarray, values: np.ndarray) -> bool:
    order = np.argsort(arguments, axis=0, kind="stable")
    return _never_falls(np.take_along_axis(values, order, axis=0))


def _replace_body(
    model: ModelWrapper,
    site: _Site,
    response: Response,
    position: int,
    padding: dict[str, float],
    found: tuple[CrossingTable, Levels],
) -> None:
    """Put a Crossings node ahead of one of the body's moving nodes and take the computing ones out."""
    region, product = site.region, site.product.node
    computing = [node for node in region.body if node.op_type in ELEMENTWISE]
    axis = response.segments[position].axis
    tensor = product.output[0]
    before: NodeProto = product
    for mover in response.movers[:position]:
        mover.input[0] = tensor
        before, tensor = mover, mover.output[0]
        model.set_tensor_datatype(tensor, DataType["INT32"])
    sink = f"{product.output[0]}_crossed"
    operations = [node.op_type for node in computing]
    node = make_crossings(f"{product.name}_crossings", tensor, sink, *found, axis, operations)
    model.set_tensor_shape(sink, model.get_tensor_shape(tensor))
    model.set_opset_import(DOMAIN, 1)
    tensor = sink
    for mover in response.movers[position:]:
        if mover.op_type == "Pad":
            _set_pad_value(model, mover, padding[mover.name])
        mover.input[0] = tensor
        tensor = mover.output[0]
    for old in computing:
        model.graph.node.remove(old)
    model.graph.node.insert(model.get_node_index(before) + 1, node)
    for reader in [*region.tail, region.reader]:
        for index, name in enumerate(reader.input):
            if name == region.end:
                reader.input[index] = tensor
    # The levels' values until the next product takes up their scale.
    for name in (sink, *(mover.output[0] for mover in (*response.movers[position:], *region.tail))):
        model.set_tensor_datatype(name, DataType["FLOAT32"])


def _rewrite_product(model: ModelWrapper, site: _Site) -> None:
    """Give a product its signs as weights, and nothing else."""
    product, node = site.product, site.product.node
    name = f"{node.output[0]}_signs"
    signs = product.signs.astype(np.float32)
    model.set_initializer(name, signs if node.op_type == "Conv" else np.ascontiguousarray(signs.T))
    model.set_tensor_datatype(name, DataType["BIPOLAR"])
    inputs = [node.input[0], name]
    del node.input[:]
    node.input.extend(inputs)
    if node.op_type == "Gemm":
        node.op_type = "MatMul"
        del node.attribute[:]
    # Annotations of the float product would have integers rounded to them.
    model.set_tensor_datatype(node.output[0], DataType["INT32"])


def _rescale_logits(model: ModelWrapper, site: _Site, real: _Accumulator) -> None:
    """Put the last product's scales and biases behind it, as nodes."""
    node = site.product.node
    output, shape = node.output[0], model.get_tensor_shape(node.output[0])
    parts = [("Mul", "scale", real.scale, 1.0), ("Add", "offset", real.offset + real.bias, 0.0)]
    parts = [part for part in parts if (part[2] != part[3]).any()]
    if not parts:
        return
    tensors = [f"{output}_accumulators", *(f"{output}_{word}d" for _, word, _, _ in parts[:-1]), output]
    place = model.get_node_index(node) + 1
    node.output[0] = tensors[0]
    for index, (op_type, word, numbers, _) in enumerate(parts):
        same = (numbers == numbers[0]).all()
        value = numbers[0] if same else numbers.reshape(1, -1, *[1] * (len(shape) - 2))
        parameter = f"{output}_{word}"
        model.set_initializer(parameter, np.asarray(value, np.float32))
        scaled = helper.make_node(
            op_type, [tensors[index], parameter], [tensors[index + 1]], name=f"{node.name}_{word}"
        )
        model.graph.node.insert(place + index, scaled)
        model.set_tensor_shape(tensors[index], shape)
    model.set_tensor_datatype(output, DataType["FLOAT32"])


def _check_padding(model: ModelWrapper, site: _Site) -> None:
    """Refuse a padding that is not the input's lowest level, which is what hardware pads with."""
    node, levels = site.product.node, site.source.levels
    values = [(each, pad_value(model, each)) for each in site.source.movers if each.op_type == "Pad"]
    if node.op_type == "Conv" and any(conv_padding(node)):
        values.append((node, 0.0))
    lowest = levels.value(levels.low)
    for each, value in values:
        if abs(value - lowest) > 1e-5 * levels.scale:
            raise LoweringError(
                f"{each.name} ({each.op_type}) pads with {value:g}, which is not the lowest level of its input, "
                f"{lowest:g}: pad with {lowest:g} (a Pad node ahead of the convolution)"
            )


def _settle_source(model: ModelWrapper, site: _Site) -> None:
    """Let the tensor a product reads hold integers, and pad with the lowest of them."""
    source, node = site.source, site.product.node
    integers = [mover.output[0] for mover in source.movers]
    if source.crossings is not None:
        op = model.get_customop_wrapper(source.crossings)
        op.set_nodeattr("out_scale", 1.0)
        op.set_nodeattr("out_bias", 0.0)
        integers.append(source.tensor)
    elif not source.levels.is_integer:
        integers.append(_integer_input(model, source, node))
    low = source.levels.low
    for mover in source.movers:
        if mover.op_type == "Pad":
            _set_pad_value(model, mover, low)
    if node.op_type == "Conv" and any(conv_padding(node)) and low != 0:
        _pad_explicitly(model, node, low)
    datatype = DataType["BIPOLAR" if source.levels.bits == 1 else f"UINT{source.levels.bits}"]
    for name in integers:
        model.set_tensor_datatype(name, datatype)


def _integer_input(model: ModelWrapper, source: Source, product: NodeProto) -> str:
    """Put what makes integers of the network's quantized input behind its quantizer; return their tensor."""
    tensor = source.tensor
    readers = source.movers[:1] or (product,)
    place = model.get_node_index(readers[0])
    for op_type, value in {"Sub": source.levels.offset, "Div": source.levels.scale, "Round": None}.items():
        output = f"{source.tensor}_{op_type.lower()}"
        inputs = [tensor]
        if value is not None:
            model.set_initializer(f"{output}_param", np.array(value, np.float32))
            inputs.append(f"{output}_param")
        node = helper.make_node(op_type, inputs, [output], name=output)
        model.graph.node.insert(place, node)
        model.set_tensor_shape(output, model.get_tensor_shape(source.tensor))
        tensor, place = output, place + 1
    for reader in readers:
        reader.input[0] = tensor
    return tensor


def _set_pad_value(model: ModelWrapper, pad: NodeProto, value: float) -> None:
    name = f"{pad.output[0]}_value"
    model.set_initializer(name, np.array(value, np.float32))
    rest = list(pad.input[3:])
    inputs = [pad.input[0], pad.input[1], name, *rest]
    del pad.input[:]
    pad.input.extend(inputs)


def _pad_explicitly(model: ModelWrapper, conv: NodeProto, value: float) -> None:
    """Move a convolution's zero padding into a Pad node of another value."""
    top, left = conv_padding(conv)
    source, output = conv.input[0], f"{conv.output[0]}_padded"
    shape = model.get_tensor_shape(source)
    model.set_initializer(f"{output}_pads", np.array([0, 0, top, left, 0, 0, top, left], np.int64))
    model.set_initializer(f"{output}_value", np.array(value, np.float32))
    inputs = [source, f"{output}_pads", f"{output}_value"]
    pad = helper.make_node("Pad", inputs, [output], name=f"{conv.name}_pad")
    model.graph.node.insert(model.get_node_index(conv), pad)
    model.set_tensor_shape(output, [*shape[:2], shape[2] + 2 * top, shape[3] + 2 * left])
    model.set_tensor_datatype(output, DataType["BIPOLAR"])
    conv.input[0] = output
    for attribute in list(conv.attribute):
        if attribute.name in ("pads", "auto_pad"):
            conv.attribute.remove(attribute)
