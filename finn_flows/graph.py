"""From a network and its folding to a plan, without weights and without a trained network.

`hardware_nodes` gives the nodes in the order of the streams. Of a chain they are what FINN's own flow would make of the
same network (`stock_flow.py`), width converters and FIFOs included.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from zerocross.finn_flows import schedule, structural
from zerocross.finn_flows.accumulators import accumulator_type, integer_type, threshold_type, type_bits
from zerocross.finn_flows.errors import FlowError
from zerocross.finn_flows.folding import Folding, FoldingError, Product, divisors, fold_product, fold_stream
from zerocross.finn_flows.latency import waiting_words
from zerocross.finn_flows.network import (
    Activation,
    Add,
    Conv,
    Dense,
    Flatten,
    LabelSelect,
    Layer,
    MaxPool,
    Network,
    SumPool,
)
from zerocross.finn_flows.plan import (
    DEFAULT_FIFO_DEPTH,
    INPUT,
    Attributes,
    Node,
    Stream,
    converter,
    fifo,
    generator_interval,
)
from zerocross.finn_flows.structural import Price


class UnsupportedLayer(FlowError):
    """A layer or a shape of network that this flow has no hardware nodes for; the message names it."""


def hardware_nodes(
    network: Network, folding: Folding, clock_mhz: float = 100.0, streams: bool = True
) -> tuple[Node, ...]:
    """Return a network's hardware nodes, each behind those it reads.

    Args:
        network: the layers.
        folding: how parallel it is to be.
        clock_mhz: the clock, for a target in frames a second.
        streams: with width converters and FIFOs, as FINN would insert them.

    Raises:
        UnsupportedLayer: for layers in an order no hardware exists for.
        FoldingError: where the folding cannot be done; the message names the layer.
        NetworkError: for layers that do not fit together.
    """
    nodes = _Builder(network, folding, clock_mhz).nodes()
    if streams:
        nodes = _with_fifos(_with_converters(nodes))
    return _named(nodes)


@dataclass(frozen=True)
class _Tensor:
    """What a layer gives.

    Attributes:
        writer: the node that writes it.
        stream: in which words; None for the network's input, which comes as its reader takes it.
        datatype: of an element.
        points: how many values an element can have, in hardware.
        product: whose accumulators they are, if any.
    """

    writer: str
    stream: Stream | None
    datatype: str
    points: int
    product: Product | None = None


class _Builder:
    """Walks the layers once, keeping what each gives."""

    def __init__(self, network: Network, folding: Folding, clock_mhz: float) -> None:
        self.network, self.folding, self.clock_mhz = network, folding, clock_mhz
        self.shapes = network.shapes()
        self.products = _products(network, self.shapes)
        self.folds = {
            name: fold_product(name, product, folding, clock_mhz) for name, product in self.products.items()
        }
        asked = folding.cycles(clock_mhz)
        self.bound = asked is not None
        slowest = max((p.cycles(*self.folds[name]) for name, p in self.products.items()), default=1)
        self.target = slowest if asked is None else asked
        self.made: list[Node] = []
        first = network.input
        self.tensors = {INPUT: _Tensor(INPUT, None, _unsigned(first.bits), 1 << first.bits)}

    def nodes(self) -> list[Node]:
        """Return the nodes of all layers, without converters and FIFOs."""
        if self._readers(INPUT) > 1:
            names = " and ".join(layer.name for layer in self.network.readers(INPUT))
            raise UnsupportedLayer(f"{names}: read the network's input: one layer may, and fork behind it")
        for layer in self.network.layers:
            found = self._layer(layer, self.shapes[layer.inputs[0]], self.shapes[layer.name])
            readers = self._readers(layer.name)
            if readers == 0 and layer is not self.network.layers[-1]:
                raise UnsupportedLayer(f"{layer.name}: nothing reads it")
            if readers > 1 and not isinstance(layer.operation, Flatten):
                found = self._fork(layer.name, found, readers)
            self.tensors[layer.name] = found
        return self.made

    def _readers(self, name: str) -> int:
        """Return how many nodes read a tensor; a flatten is none, but those behind it are."""
        return sum(
            self._readers(layer.name) if isinstance(layer.operation, Flatten) else layer.inputs.count(name)
            for layer in self.network.readers(name)
        )

    def _place(
        self,
        layer: str,
        op_type: str,
        attributes: Attributes,
        sources: Sequence[tuple[_Tensor, Stream]],
        sink: Stream,
        price: Price,
    ) -> _Tensor:
        """Append a node; return what it writes, with the points of what it reads."""
        name = f"#{len(self.made)}"
        (first, stream), *rest = sources
        writers = tuple(tensor.writer for tensor, _ in sources)
        others = tuple(other for _, other in rest)
        self.made.append(Node(layer, op_type, attributes, stream, sink, price, name, writers, others))
        return _Tensor(name, sink, sink.datatype, first.points, first.product)

    def _fork(self, layer: str, tensor: _Tensor, readers: int) -> _Tensor:
        assert tensor.stream is not None
        stream = tensor.stream
        attributes = (
            ("NumChannels", stream.shape[-1]),
            ("PE", stream.lanes),
            ("NumOutputStreams", readers),
            ("inputDataType", stream.datatype),
            ("numInputVectors", stream.shape[:-1]),
            ("outFIFODepths", (DEFAULT_FIFO_DEPTH,) * readers),
        )
        price = structural.duplicate(readers)
        return self._place(layer, "DuplicateStreams_hls", attributes, [(tensor, stream)], stream, price)

    def _layer(self, layer: Layer, shape: tuple[int, ...], out: tuple[int, ...]) -> _Tensor:
        x = self.tensors[layer.inputs[0]]
        match layer.operation:
            case Dense():
                return self._product(layer.name, x, (1,))
            case Conv() as conv:
                return self._conv(layer.name, conv, x, shape, out)
            case Activation() as activation:
                return self._thresholds(layer.name, activation, x, shape)
            case MaxPool() | SumPool() as pool:
                return self._pool(layer.name, pool, x, shape, out)
            case Add():
                return self._add(layer, out)
            case Flatten():
                return x
            case LabelSelect():
                return self._label_select(layer.name, x, shape)
        raise UnsupportedLayer(f"{layer.name}: {type(layer.operation).__name__} has no hardware node")

    def _conv(
        self, name: str, conv: Conv, x: _Tensor, shape: tuple[int, ...], out: tuple[int, ...]
    ) -> _Tensor:
        height, width, channels = shape
        if any(conv.padding):
            height, width = height + 2 * conv.padding[0], width + 2 * conv.padding[1]
            x = self._padding(name, conv.padding, x, shape, (height, width, channels))
        if conv.kernel != (1, 1) or conv.stride != (1, 1) or any(conv.padding):
            x = self._generator(name, conv, x, (height, width, channels), out)
        if conv.groups > 1:
            return self._grouped_product(name, conv, x, out)
        return self._product(name, x, (1, *out[:2]))

    def _grouped_product(self, name: str, conv: Conv, x: _Tensor, out: tuple[int, ...]) -> _Tensor:
        """Place a product in groups: FINN's for channels that are a group each, and as it would be for others."""
        product = self.products[name]
        pe, simd = self.folds[name]
        accumulator = accumulator_type(product.fan_in, product.input_bits, product.weight_bits)
        vectors, groups = (1, *out[:2]), conv.groups * pe // product.channels
        source = Stream((*vectors, product.fan_in * conv.groups), groups * simd, x.datatype)
        sink = Stream((*vectors, product.channels), pe, accumulator)
        attributes = (
            ("PE", pe),
            ("SIMD", simd),
            ("Dim", out[:2]),
            ("Channels", product.channels),
            ("Kernel", (product.area, product.fan_in // product.area)),
            ("inputDataType", "BIPOLAR" if x.datatype == "BINARY" else x.datatype),
            ("weightDataType", f"INT{product.weight_bits}" if product.weight_bits > 1 else "BIPOLAR"),
            ("outputDataType", accumulator),
            ("accDataType", accumulator),
            ("noActivation", 1),
        )
        found = self._place(name, "VVAU_hls", attributes, [(x, source)], sink, product.price(pe, simd))
        return replace(found, points=product.levels, product=product)

    def _product(self, name: str, x: _Tensor, vectors: tuple[int, ...]) -> _Tensor:
        if x.product is not None:
            raise UnsupportedLayer(f"{name}: reads accumulators; an activation must stand before a product")
        product = self.products[name]
        pe, simd = self.folds[name]
        if self.bound and x.stream is not None and _converted(x, product.words(pe, simd)) > self.target:
            pe, simd = fold_product(name, product, self.folding, self.clock_mhz, x.stream.words)
        binary, wide = x.datatype == "BINARY", product.weight_bits > 1
        accumulator = accumulator_type(product.fan_in, product.input_bits, product.weight_bits)
        source = Stream((*vectors, product.fan_in), simd, x.datatype)
        sink = Stream((*vectors, product.channels), pe, accumulator)
        weights = f"INT{product.weight_bits}" if wide else "BINARY" if binary else "BIPOLAR"
        attributes = (
            ("PE", pe),
            ("SIMD", simd),
            ("MW", product.fan_in),
            ("MH", product.channels),
            ("inputDataType", "BIPOLAR" if binary and wide else x.datatype),
            ("weightDataType", weights),
            ("outputDataType", accumulator),
            ("accDataType", accumulator),
            ("binaryXnorMode", int(binary and not wide)),
            ("noActivation", 1),
            ("numInputVectors", vectors),
        )
        found = self._place(name, "MVAU_hls", attributes, [(x, source)], sink, product.price(pe, simd))
        return replace(found, points=product.levels, product=product)

    def _thresholds(self, name: str, activation: Activation, x: _Tensor, shape: tuple[int, ...]) -> _Tensor:
        if x.stream is None or x.datatype == "BINARY":
            raise UnsupportedLayer(f"{name}: an activation needs accumulators or levels before it")
        channels, vectors = shape[-1], (1, *shape[:-1])
        pe = x.stream.lanes
        # Behind a product it has the product's lanes; elsewhere its own decide.
        if x.product is None or x.product.vectors != math.prod(vectors):
            elements = math.prod(shape)
            pe = self._lanes(x, channels, elements, lambda lanes: elements // lanes)
        product = x.product
        attributes = (
            ("PE", pe),
            ("NumChannels", channels),
            ("numSteps", max(1, *activation.crossings, 2**activation.bits - 1)),
            ("inputDataType", x.datatype),
            (
                "weightDataType",
                threshold_type(product.fan_in, product.input_bits, product.weight_bits)
                if product is not None
                else integer_type(0, x.points),
            ),
            ("outputDataType", _unsigned(activation.bits)),
            ("numInputVectors", vectors),
        )
        source = Stream((*vectors, channels), pe, x.datatype)
        sink = replace(source, datatype=_unsigned(activation.bits))
        price = _crossing_site(activation.crossings, pe * activation.bits, x.points)
        found = self._place(name, "Thresholding_rtl", attributes, [(x, source)], sink, price)
        return replace(found, points=1 << activation.bits, product=None)

    def _padding(
        self,
        name: str,
        padding: tuple[int, int],
        x: _Tensor,
        shape: tuple[int, ...],
        padded: tuple[int, ...],
    ) -> _Tensor:
        simd = self._lanes(x, shape[2], math.prod(shape), lambda lanes: math.prod(padded) // lanes)
        self._refuse_if_slow(name, "padding", math.prod(padded) // simd)
        attributes = (
            ("ImgDim", shape[:2]),
            ("Padding", (*padding, *padding)),
            ("NumChannels", shape[2]),
            ("SIMD", simd),
            ("inputDataType", x.datatype),
        )
        source = Stream((1, *shape), simd, x.datatype)
        sink = replace(source, shape=(1, *padded))
        price = structural.padding(source.width, padded[0], padded[1], shape[2] // simd)
        return self._place(name, "FMPadding_rtl", attributes, [(x, source)], sink, price)

    def _generator(
        self,
        name: str,
        window: Conv | MaxPool | SumPool,
        x: _Tensor,
        shape: tuple[int, ...],
        out: tuple[int, ...],
    ) -> _Tensor:
        """Place the input generator of a convolution, or of a pool.

        Of a pool and of groups it gives each fold's pixels together (`depthwise`, FINN calls it).
        """
        conv = window if isinstance(window, Conv) else None
        grouped = conv is not None and conv.groups > 1
        pool = conv is None
        apart = pool or grouped
        dilation = (1, 1) if conv is None else conv.dilation
        reach = window.kernel if conv is None else conv.reach
        channels, area = shape[2], math.prod(window.kernel)
        size = shape[0], shape[1]

        def cycles(lanes: int, parallel: bool = False) -> int:
            folds = channels // lanes
            if pool and window.kernel == window.stride:
                return math.prod(size) * folds
            return generator_interval(size, window.kernel, window.stride, folds, apart, parallel, dilation)

        behind = None
        if not pool:
            behind = math.prod(out[:2]) * area * channels, self.products[name].words(*self.folds[name])
        simd = self._lanes(x, channels, math.prod(shape), cycles, behind)
        if grouped:  # the product's own order
            assert conv is not None
            pe, inputs = self.folds[name]
            simd = conv.groups * pe // conv.channels * inputs
        parallel = self.bound and cycles(simd) > self.target and not apart and dilation == (1, 1)
        self._refuse_if_slow(name, "input generator", cycles(simd, parallel))
        attributes = (
            ("ConvKernelDim", window.kernel),
            ("IFMChannels", channels),
            ("IFMDim", shape[:2]),
            ("OFMDim", out[:2]),
            ("SIMD", simd),
            ("Stride", window.stride),
            ("Dilation", dilation),
            ("inputDataType", x.datatype),
            ("outputDataType", x.datatype),
            ("depthwise", int(apart)),
            ("parallel_window", int(parallel)),
            ("is1D", int(1 in shape[:2])),
        )
        source = Stream((1, *shape), simd, x.datatype)
        lanes = simd * (area if parallel else 1)
        sink = Stream((1, *out[:2], area * channels), lanes, x.datatype)
        folds = channels // simd
        if pool and window.kernel == window.stride:
            price = structural.line_buffer(source.width, out[1] * folds)
        elif parallel or area == 1:
            depth = ((reach[0] - 1) * shape[1] + reach[1]) * folds
            price = structural.parallel_generator(source.width, depth, window.kernel[0])
        else:
            places = schedule.Windows(size, window.kernel, window.stride, folds, apart, dilation).places
            price = structural.input_generator(source.width, places)
        return self._place(name, "ConvolutionInputGenerator_rtl", attributes, [(x, source)], sink, price)

    def _pool(
        self, name: str, pool: MaxPool | SumPool, x: _Tensor, shape: tuple[int, ...], out: tuple[int, ...]
    ) -> _Tensor:
        if pool.kernel[0] < pool.stride[0] or pool.kernel[1] < pool.stride[1]:
            raise UnsupportedLayer(f"{name}: a pool's stride {pool.stride} exceeds its kernel {pool.kernel}")
        summed = isinstance(pool, SumPool)
        if isinstance(pool, MaxPool) and any(pool.padding):
            if x.product is not None:
                raise UnsupportedLayer(
                    f"{name}: pads accumulators, which have no zero: pool behind the activation"
                )
            padded = shape[0] + 2 * pool.padding[0], shape[1] + 2 * pool.padding[1], shape[2]
            x, shape = self._padding(name, pool.padding, x, shape, padded), padded
        if summed and out[:2] == (1, 1):
            pool = SumPool(pool.kernel, pool.kernel)  # one window has no stride
        windows = self._generator(name, pool, x, shape, out)
        assert windows.stream is not None
        pe, area = windows.stream.lanes, math.prod(pool.kernel)
        points = (x.points - 1) * area + 1 if summed else x.points
        datatype = integer_type(0, points - 1) if summed else x.datatype
        attributes = (
            ("Channels", shape[2]),
            ("PE", pe),
            ("KernelSize", pool.kernel),
            ("Function", "AccPool" if summed else "MaxPool"),
            ("OutImgDims", out[:2]),
            ("InputDataType", x.datatype),
            ("OutputDataType", datatype),
            *((("AccumBits", type_bits(datatype)),) if summed else ()),
        )
        sink, bits = Stream((1, *out), pe, datatype), type_bits(datatype)
        if not summed:
            price = structural.max_pool(pe, bits)
        elif pool.kernel == pool.stride:  # the line of sums is in the price; the generator's is narrower
            price = structural.sum_pool(pe, bits, math.prod(out[1:]) // pe)
            self.made[-1] = replace(self.made[-1], price=Price(0.0, way=structural.LINE_BUFFER))
        else:
            price = structural.window_sum(pe, bits)
        found = self._place(name, "Pool_hls", attributes, [(windows, windows.stream)], sink, price)
        return replace(found, points=points)

    def _add(self, layer: Layer, out: tuple[int, ...]) -> _Tensor:
        """Place a sum; of more than two tensors one node after the other, vectors last."""
        ordered = sorted(layer.inputs, key=lambda name: -len(self.shapes[name]))
        total = self.tensors[ordered[0]]
        elements = math.prod(out)
        for name in ordered[1:]:
            x = self.tensors[name]
            slower = max((total, x), key=lambda each: each.stream.words if each.stream else 0)
            pe = self._lanes(slower, out[-1], elements, lambda lanes: elements // lanes)
            points = total.points + x.points - 1
            datatype = integer_type(0, points - 1)
            shapes = (1, *out), (1, *self.shapes[name])
            attributes = (
                ("lhs_dtype", total.datatype),
                ("rhs_dtype", x.datatype),
                ("out_dtype", datatype),
                ("lhs_shape", shapes[0]),
                ("rhs_shape", (1,) * (len(out) + 1 - len(shapes[1])) + shapes[1]),
                ("out_shape", shapes[0]),
                ("PE", pe),
            )
            sources = [(total, Stream(shapes[0], pe, total.datatype)), (x, Stream(shapes[1], pe, x.datatype))]
            sink, bits = Stream(shapes[0], pe, datatype), type_bits(datatype)
            price = structural.add(pe, bits)
            if shapes[0] != shapes[1]:
                price = structural.add_vector(pe, bits, type_bits(x.datatype), out[-1] // pe)
            found = self._place(layer.name, "ElementwiseAdd_hls", attributes, sources, sink, price)
            total = replace(found, points=points)
        return total

    def _label_select(self, name: str, x: _Tensor, shape: tuple[int, ...]) -> _Tensor:
        labels, bits = shape[-1], type_bits(x.datatype)
        pe = self._lanes(x, labels, labels, lambda lanes: labels // lanes)
        index_bits = 8 * math.ceil(type_bits(integer_type(0, labels - 1)) / 8)
        attributes = (
            ("Labels", labels),
            ("PE", pe),
            ("K", 1),
            ("inputDataType", x.datatype),
            ("outputDataType", f"UINT{index_bits}"),
            ("numInputVectors", (1,)),
        )
        source, sink = Stream((1, labels), pe, x.datatype), Stream((1, 1), 1, f"UINT{index_bits}")
        price = structural.label_select(labels, pe, bits)
        return self._place(name, "LabelSelect_hls", attributes, [(x, source)], sink, price)

    def _refuse_if_slow(self, name: str, what: str, cycles: int) -> None:
        """Raise if a node with all channels at once misses a target that was asked for."""
        if self.bound and cycles > self.target:
            raise FoldingError(
                f"{name}: its {what} takes {cycles} cycles an image at best, "
                f"and {self.target} were asked for; allow {cycles} cycles or make the image smaller"
            )

    def _lanes(
        self,
        x: _Tensor,
        channels: int,
        elements: int,
        cycles: Callable[[int], int],
        behind: tuple[int, int] | None = None,
    ) -> int:
        """Return the fewest channels at a time that keep up with the target, width converters included.

        Args:
            x: what is read.
            channels: of a pixel.
            elements: of the stream that is read.
            cycles: the node's own, by lanes.
            behind: the elements it writes, and the words in which they are read.
        """

        def slowest(lanes: int) -> int:
            result = max(cycles(lanes), _converted(x, elements // lanes))
            if behind is not None:
                result = max(result, schedule.converter_interval(behind[0] // lanes, behind[1]))
            return result

        return fold_stream(channels, {lanes: slowest(lanes) for lanes in divisors(channels)}, self.target)


def _converted(x: _Tensor, words: int) -> int:
    """Return the cycles an image takes to become so many words, from those that flow."""
    return words if x.stream is None else schedule.converter_interval(x.stream.words, words)


def _unsigned(bits: int) -> str:
    return "BINARY" if bits == 1 else f"UINT{bits}"


def _products(network: Network, shapes: dict[str, tuple[int, ...]]) -> dict[str, Product]:
    """Return every product's sizes, by layer name."""
    products = {}
    for layer in network.layers:
        operation, shape, out = layer.operation, shapes[layer.inputs[0]], shapes[layer.name]
        bits = network.bits(layer.inputs[0]) or 1  # accumulators are refused where nodes are made
        if isinstance(operation, Conv):
            area = math.prod(operation.kernel)
            fan_in, vectors, groups = area * shape[-1] // operation.groups, out[0] * out[1], operation.groups
        elif isinstance(operation, Dense):
            fan_in, vectors, groups, area = math.prod(shape), 1, 1, 1
        else:
            continue
        products[layer.name] = Product(
            fan_in, operation.channels, vectors, bits, operation.weight_bits, groups, area
        )
    return products


@lru_cache(maxsize=65536)
def _crossing_site(crossings: tuple[int, ...], pe: int, levels: int) -> Price:
    return structural.crossing_site(crossings, pe, levels)


def _with_converters(nodes: list[Node]) -> list[Node]:
    """Put a width converter between nodes whose words differ."""
    written = {node.name: node for node in nodes}
    result: list[Node] = []
    for node in nodes:
        inputs: list[str] = []
        for name, source in zip(node.inputs, node.sources, strict=True):
            before = written.get(name)
            if before is None or before.sink.lanes == source.lanes:
                inputs.append(name)
                continue
            inputs.append(f"{node.name}<{len(inputs)}")
            between = converter(node.layer, before.sink, source)
            result.append(replace(between, name=inputs[-1], inputs=(name,)))
        result.append(replace(node, inputs=tuple(inputs)))
    return result


def _with_fifos(nodes: list[Node]) -> list[Node]:
    """Put a FIFO on every stream.

    FINN has a FIFO between a product and what takes its accumulators too, and one at either end. This project has
    none there, and between others where the schedule asks for one. Where two ways of different length meet, the
    shorter one's is as deep as the longer one is slow.
    """
    if not nodes:
        return nodes
    none = structural.NO_FIFO
    written = {node.name: node for node in nodes}
    depths = waiting_words(nodes)
    result: list[Node] = []
    for node in nodes:
        inputs: list[str] = []
        for port, (name, source) in enumerate(zip(node.inputs, node.sources, strict=True)):
            before = written.get(name)
            if before is None:
                made = replace(fifo(node.layer, source), price=none)
            elif before.op_type == "StreamingDataWidthConverter_rtl":
                # FINN folds what leaves a converter by the shape of what enters it.
                folded = replace(before.source, lanes=source.lanes).folded
                made = _planned(before.sink, node, depths.get((node.name, port), 0), folded)
            else:
                made = _planned(before.sink, node, depths.get((node.name, port), 0))
                fused = before.op_type == "MVAU_hls" and before.sink == source
                made = replace(made, price=none) if fused else made
            result.append(replace(made, name=f"{node.name}={port}", inputs=(name,)))
            inputs.append(result[-1].name)
        result.append(replace(node, inputs=tuple(inputs)))
    last = nodes[-1]
    behind = replace(fifo(last.layer, last.sink), price=none, name="=", inputs=(last.name,))
    return [*result, behind]


def _planned(stream: Stream, reader: Node, waiting: int, folded: tuple[int, ...] | None = None) -> Node:
    """Return a FIFO with the price that is expected of it before FIFOs are sized.

    Args:
        stream: what it holds.
        reader: the node behind it.
        waiting: words that wait for another stream, where the reader is a sum.
        folded: see `fifo`.
    """
    if waiting > DEFAULT_FIFO_DEPTH:
        return fifo(reader.layer, stream, folded, depth=waiting)
    converted = reader.op_type == "StreamingDataWidthConverter_rtl"
    between = "image" if len((reader.sink if converted else reader.source).shape) > 2 else "vector"
    if between == "image" and reader.op_type in ("MVAU_hls", "VVAU_hls"):
        between = "windows"
    price = structural.planned_fifo(stream.width, between)
    return replace(fifo(reader.layer, stream, folded), price=price)


def _named(nodes: list[Node]) -> tuple[Node, ...]:
    """Number nodes of a type from 0, as FINN's GiveUniqueNodeNames does."""
    counts: dict[str, int] = {}
    names = {INPUT: INPUT}
    named = []
    for node in nodes:
        count = counts.get(node.op_type, 0)
        counts[node.op_type] = count + 1
        names[node.name] = f"{node.op_type}_{count}"
        inputs = tuple(names[name] for name in node.inputs)
        named.append(replace(node, name=names[node.name], inputs=inputs))
    return tuple(named)
