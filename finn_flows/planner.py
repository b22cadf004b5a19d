"""Conversion of a network and its folding to a plan: a design of hardware nodes without numbers. It needs no training.

A plan holds the nodes in the order of the streams, width converters included. It holds no FIFOs, which are sized in
simulation; `cost.py` estimates them.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from zerocross.finn_flows import nodes
from zerocross.finn_flows.errors import FlowError
from zerocross.finn_flows.folding import AnyProduct, Folding, FoldingError, fold_product, fold_stream
from zerocross.finn_flows.network import (
    Activation,
    Add,
    Bias,
    BitPlanes,
    Concat,
    Conv,
    Dense,
    Flatten,
    LabelSelect,
    Layer,
    MaxPool,
    Network,
    Pad,
    Select,
    Sparse,
    SumPool,
    Thermometer,
)
from zerocross.finn_flows.nodes.input_generator import WindowSchedule, generator_interval
from zerocross.finn_flows.nodes.node import HardwareNode, divisors
from zerocross.finn_flows.nodes.select import possible_lanes
from zerocross.finn_flows.nodes.stream import Stream
from zerocross.finn_flows.nodes.width_converter import converter_interval
from zerocross.finn_flows.rtl.design import INPUT, Design, Element, Source

Shape = tuple[int, ...]


class UnsupportedLayer(FlowError):
    """A layer or a network structure without hardware nodes in this flow; the message names it."""


def plan(network: Network, folding: Folding, clock_mhz: float = 100.0) -> Design:
    """Plan a network's hardware.

    Args:
        network: Layers of the network.
        folding: Parallelism of the layers.
        clock_mhz: Clock in MHz, for a folding target in frames per second.

    Raises:
        UnsupportedLayer: If the hardware does not support a layer or the order of layers.
        FoldingError: If the folding is not possible; the message names the layer.
        NetworkError: If layers do not fit together.
    """
    return _Planner(network, folding, clock_mhz).plan()


def least_target(network: Network, target: int) -> int:
    """Return the least number of cycles per image, from a target on, that every layer can meet.

    Lanes must divide the sizes of a layer, so layers of prime sizes may miss any target but a large one.

    Args:
        network: Layers of the network.
        target: Desired cycles per image.

    Raises:
        UnsupportedLayer: See `plan`.
        NetworkError: See `plan`.
    """
    while True:
        try:
            plan(network, Folding(target_cycles=target))
        except FoldingError as error:
            assert error.cycles is not None and error.cycles > target
            target = error.cycles
        else:
            return target


@dataclass(frozen=True)
class _Tensor:
    """The output of a layer.

    Attributes:
        sources: Ports that deliver its words, one for each remaining reader.
        stream: Stream of its words; None for the network's input, which takes the word size of its reader.
        bits: Bits of an element.
        points: Number of values that an element can have.
        product: Product or count that computed it, if its elements are accumulators.
        unregistered: Number of wired layers since the last register.
    """

    sources: tuple[Source, ...]
    stream: Stream | None
    bits: int
    points: int
    product: AnyProduct | nodes.WiredCount | None = None
    unregistered: int = 0

    def words_after(self, words: int) -> int:
        """Return the cycles per image of a conversion to that many words."""
        return words if self.stream is None else converter_interval(self.stream.words, words)

    def as_image(self, shape: tuple[int, ...], lanes: int) -> Stream:
        """Return the stream in the shape and word size in which a node reads it."""
        if self.stream is None:
            return Stream(shape, lanes, self.bits)
        return replace(self.stream, shape=shape, lanes=lanes)


def _merged(network: Network) -> dict[str, Sparse]:
    """Return the sparse layers that one activation of one bit reads, which become one node with it.

    The logit of two classes is not merged with its sign: a certificate compares it.
    """
    found = {}
    for layer in network.layers:
        readers = network.readers(layer.name)
        if not isinstance(layer.operation, Sparse) or len(readers) != 1:
            continue
        is_last = any(isinstance(each.operation, LabelSelect) for each in network.readers(readers[0].name))
        if isinstance(readers[0].operation, Activation) and readers[0].operation.bits == 1 and not is_last:
            found[layer.name] = layer.operation
    return found


class _Planner:
    """Walks over the layers once and keeps the output of each."""

    def __init__(self, network: Network, folding: Folding, clock_mhz: float) -> None:
        self.network, self.folding, self.clock_mhz = network, folding, clock_mhz
        self.shapes = network.shapes()
        network.grids()  # raises for layers whose inputs do not fit
        self.absorbed = set(network.producers().values())
        self.merged = _merged(network)
        self.unfolded = {
            layer.name: self._unfolded(layer)
            for layer in network.layers
            if isinstance(layer.operation, Dense | Conv)
        }
        self.folded = {
            name: fold_product(name, product, folding, clock_mhz) for name, product in self.unfolded.items()
        }
        asked = folding.cycles(clock_mhz)
        self.bound = asked is not None
        slowest = max((product.interval for product in self.folded.values()), default=1)
        self.target = slowest if asked is None else asked
        self.elements: list[Element] = []
        self.names: set[str] = set()
        bits = network.input.bits
        self.input = Stream(network.input.shape, 1, bits)
        self.tensors = {INPUT: _Tensor(((INPUT, "s"),), None, bits, 1 << bits)}
        self.flattened: dict[str, str] = {}  # layers without nodes, and the layer whose tensor they pass on

    def plan(self) -> Design:
        """Return the design of all layers."""
        if (readers := self._readers(INPUT)) > 1:
            self._fork_input(readers)
        for layer in self.network.layers:
            readers = self._readers(layer.name)
            if readers == 0 and layer is not self.network.layers[-1]:
                raise UnsupportedLayer(f"{layer.name}: no layer reads its output: remove the layer")
            if isinstance(layer.operation, Flatten) or layer.name in self.merged or self._is_class(layer):
                self.flattened[layer.name] = self._written_by(layer.inputs[0])
                continue
            found = self._layer(layer, self.shapes[layer.inputs[0]], self.shapes[layer.name])
            self.tensors[layer.name] = self._fork(layer.name, found, readers) if readers > 1 else found
        return Design(self.input, tuple(self.elements))

    def _readers(self, name: str) -> int:
        """Return how many nodes read a tensor. The readers of a flatten count, the flatten itself does not."""
        return sum(
            self._readers(layer.name) if isinstance(layer.operation, Flatten) else layer.inputs.count(name)
            for layer in self.network.readers(name)
        )

    def _is_class(self, layer: Layer) -> bool:
        """Return whether a layer is a label select of one channel: its input is the class already, if it is a bit."""
        if not isinstance(layer.operation, LabelSelect) or math.prod(self.shapes[layer.inputs[0]]) > 1:
            return False
        if not self.network.is_binary(layer.inputs[0]):
            raise UnsupportedLayer(
                f"{layer.name}: {layer.inputs[0]} is a single number, and the largest of one is always class 0: put an "
                "activation of one bit behind it, or use two channels"
            )
        return True

    def _written_by(self, name: str) -> str:
        """Return the layer that writes a tensor: for a flatten, the layer before it."""
        return self.flattened.get(name, name)

    # ---- placing nodes

    def _place(self, layer: str, node: HardwareNode, *reads: str) -> Stream:
        """Append a node and the width converters of its inputs; return the stream that the node writes.

        Args:
            layer: Layer of the node.
            node: Node to append.
            reads: Keys of the tensors that the node reads.
        """
        name, sources = self._name(layer, node.word), list[Source]()
        for port, (tensor, wanted) in enumerate(zip(reads, node.inputs.values(), strict=True)):
            source, stream = self._take(tensor), self.tensors[tensor].stream
            if stream is None:
                self.input = replace(wanted, finn_range=None)
            elif stream.lanes != wanted.lanes:
                between = nodes.WidthConverter(replace(stream, shape=wanted.shape), wanted.lanes)
                converter = f"{name}_converter{port + 1 if port else ''}"
                self.elements.append(Element(converter, layer, between, (source,)))
                source = (converter, "m")
            sources.append(source)
        self.names.add(name)
        self.elements.append(Element(name, layer, node, tuple(sources)))
        return next(iter(node.outputs.values()))

    def _take(self, tensor: str) -> Source:
        """Return the port from which one more reader of a tensor gets its words."""
        source, *rest = self.tensors[tensor].sources
        if rest:
            self.tensors[tensor] = replace(self.tensors[tensor], sources=tuple(rest))
        return source

    def _name(self, layer: str, word: str) -> str:
        """Return a new identifier."""
        name = f"{re.sub(r'[^A-Za-z0-9]+', '_', layer).strip('_')}_{word}"
        name = name if name[0].isalpha() else f"n{name}"
        unique, count = name, 2
        while unique in self.names:
            unique, count = f"{name}_{count}", count + 1
        return unique

    def _written(self, x: _Tensor, stream: Stream, points: int | None = None) -> _Tensor:
        """Return the output of the last element; product and, by default, points are those of its input `x`."""
        source = (self.elements[-1].name, "m")
        return replace(
            x, sources=(source,), stream=stream, bits=stream.bits, points=points or x.points, unregistered=0
        )

    def _between(self, x: _Tensor, stream: Stream, key: str) -> str:
        """Register an intermediate tensor of a layer; return its key."""
        self.tensors[key] = self._written(x, stream)
        return key

    def _fork(self, layer: str, tensor: _Tensor, readers: int) -> _Tensor:
        """Append forks to two readers each, until every reader has a stream."""
        assert tensor.stream is not None
        free, (source,) = list[Source](), tensor.sources
        for number in range(readers - 1):
            name = self._name(layer, nodes.Duplicate.word)
            fork = nodes.Duplicate(tensor.stream, 0 if number else readers)
            self.names.add(name)
            self.elements.append(Element(name, layer, fork, (source,)))
            free.append((name, "a"))
            source = (name, "b")
        return replace(tensor, sources=(*free, source))

    def _fork_input(self, readers: int) -> None:
        """Fork the network's input, in the smallest words that arrive in time."""
        lanes = next(
            (each for each in divisors(self.input.shape[-1]) if self.input.elements // each <= self.target),
            self.input.shape[-1],
        )
        self.input = replace(self.input, lanes=lanes)
        self.tensors[INPUT] = self._fork(INPUT, replace(self.tensors[INPUT], stream=self.input), readers)

    # ---- layers

    def _layer(self, layer: Layer, shape: tuple[int, ...], out: tuple[int, ...]) -> _Tensor:
        source = self._written_by(layer.inputs[0])
        match layer.operation:
            case Dense():
                return self._product(layer.name, source)
            case Conv() as conv:
                return self._conv(layer.name, conv, source, shape)
            case Sparse() as sparse:
                return self._count(layer.name, sparse, source)
            case Pad() as pad:
                return self._pad(layer.name, pad, source, shape)
            case Activation() as activation:
                if layer.inputs[0] in self.merged:
                    return self._wired(layer, activation, source)
                return self._crossings(layer.name, activation, source, shape)
            case Thermometer() as thermometer:
                return self._thermometer(layer.name, thermometer, source, shape)
            case BitPlanes(planes):
                return self._bit_planes(layer.name, planes, source, shape)
            case MaxPool() | SumPool() as pool:
                return self._pool(layer.name, pool, source, shape, out)
            case Add():
                return self._add(layer, out)
            case Concat():
                return self._concat(layer, out)
            case Select(channels):
                return self._select(layer.name, channels, source, shape)
            case Bias() as bias:
                return self._bias(layer.name, bias, source, shape)
            case LabelSelect():
                return self._label_select(layer.name, source, shape)
        raise UnsupportedLayer(
            f"{layer.name}: {type(layer.operation).__name__} layers are not supported in hardware"
        )

    def _unfolded(self, layer: Layer) -> AnyProduct:
        """Return the unfolded node of a product."""
        operation, shape, out = layer.operation, self.shapes[layer.inputs[0]], self.shapes[layer.name]
        assert isinstance(operation, Dense | Conv)
        bits = self.network.bits(layer.inputs[0])
        assert bits is not None
        if isinstance(operation, Dense):
            fan_in, vectors = math.prod(shape), tuple[int, ...]()
        else:
            fan_in, vectors = math.prod(operation.kernel) * shape[-1], out[:2]
            if operation.groups > 1:
                if layer.name not in self.absorbed:  # only crossings absorb an offset of each channel
                    raise UnsupportedLayer(
                        f"{layer.name}: a grouped convolution must be followed by an activation"
                    )
                outs = operation.channels // operation.groups
                return nodes.GroupedProduct(
                    math.prod(operation.kernel),
                    shape[-1] // operation.groups,
                    operation.channels,
                    operation.groups,
                    pe=outs,
                    vectors=vectors,
                    input_bits=bits,
                    weight_bits=operation.weight_bits,
                )
        offsets = layer.name not in self.absorbed and (bits > 1 or operation.weight_bits > 1)
        return nodes.Product(fan_in, operation.channels, 1, 1, vectors, bits, operation.weight_bits, offsets)

    def _conv(self, name: str, conv: Conv, source: str, shape: tuple[int, ...]) -> _Tensor:
        if conv.kernel != (1, 1) or conv.stride != (1, 1):
            source = self._generator(name, conv, source, shape)
        return self._product(name, source)

    def _product(self, name: str, source: str) -> _Tensor:
        x, product = self.tensors[source], self.folded[name]
        slow = x.stream is not None and x.words_after(product.inputs["s"].words) > self.target
        if self.bound and slow and isinstance(product, nodes.Product) and x.stream is not None:
            arriving = x.stream.words
            product = fold_product(name, self.unfolded[name], self.folding, self.clock_mhz, arriving)
        stream = self._place(name, product, source)
        return replace(self._written(x, stream, product.points), product=product)

    def _wired(self, layer: Layer, activation: Activation, source: str) -> _Tensor:
        """Append the node of a sparse layer and its activation. Every n-th one in a row has registers."""
        x, sparse = self.tensors[source], self.merged[layer.inputs[0]]
        row, every = x.unregistered + 1, self.folding.registers
        registered = every > 0 and row >= every
        features = math.prod(self.shapes[source])
        node = nodes.Wired(
            features,
            sparse.channels,
            sparse.fan_in,
            sparse.exact,
            activation.crossings,
            registered,
            indexed=sparse.indexed,
        )
        made = self._written(x, self._place(layer.name, node, source), 2)
        return replace(made, unregistered=0 if registered else row)

    def _count(self, name: str, sparse: Sparse, source: str) -> _Tensor:
        x, features = self.tensors[source], math.prod(self.shapes[source])
        if sparse.indexed:
            raise UnsupportedLayer(
                f"{name}: a layer of tables needs one activation of one bit behind it, and cannot be the last layer"
            )
        node = nodes.WiredCount(features, sparse.channels, sparse.fan_in, sparse.exact)
        return replace(self._written(x, self._place(name, node, source), node.points), product=node)

    def _crossings(self, name: str, activation: Activation, source: str, shape: tuple[int, ...]) -> _Tensor:
        x, vectors = self.tensors[source], math.prod(shape[:-1])
        if x.bits == 1 and x.product is None:
            raise UnsupportedLayer(f"{name}: an activation must follow a product or a layer of levels")
        pe = x.stream.lanes if x.stream is not None else 1
        # After a product the site has the product's lanes; elsewhere it chooses its own.
        if x.product is None or math.prod(x.product.vectors) != vectors:
            elements = math.prod(shape)
            pe = self._lanes(x, shape[-1], elements, lambda lanes: elements // lanes)
        site = nodes.CrossingSite(x.as_image(shape, pe), activation.crossings, x.points, activation.bits)
        stream = self._place(name, site.cheapest(), source)
        return replace(self._written(x, stream, 1 << activation.bits), product=None)

    def _thermometer(self, name: str, thermometer: Thermometer, source: str, shape: Shape) -> _Tensor:
        x = self.tensors[source]
        image, repeats = self._encoded(name, x, shape)
        node = nodes.Thermometer(image, thermometer.thresholds * repeats, thermometer.bits)
        return self._written(x, self._place(name, node.cheapest(), source), 2)

    def _bit_planes(self, name: str, planes: tuple[int, ...], source: str, shape: Shape) -> _Tensor:
        x = self.tensors[source]
        image, _ = self._encoded(name, x, shape)
        return self._written(x, self._place(name, nodes.BitPlanes(image, planes), source), 2)

    def _encoded(self, name: str, x: _Tensor, shape: Shape) -> tuple[Stream, int]:
        """Return the stream that an encoder of levels reads, and how often the channels repeat in it."""
        elements = math.prod(shape)
        if self._is_read_by_wires(name):  # which need the whole image in one word
            return x.as_image((elements,), elements), elements // shape[-1]
        lanes = self._lanes(x, shape[-1], elements, lambda lanes: elements // lanes)
        return x.as_image(shape, lanes), 1

    def _is_read_by_wires(self, name: str) -> bool:
        """Return whether a sparse layer reads a tensor."""
        return any(
            isinstance(layer.operation, Sparse)
            or (isinstance(layer.operation, Flatten) and self._is_read_by_wires(layer.name))
            for layer in self.network.readers(name)
        )

    def _pad(self, name: str, pad: Pad, source: str, shape: tuple[int, ...]) -> _Tensor:
        """Append a padding node. It belongs to the layer that reads it, if there is only one."""
        x, padded = self.tensors[source], math.prod(self.shapes[name])
        readers = self.network.readers(name)
        if len(readers) == 1 and not isinstance(readers[0].operation, Flatten):
            name = readers[0].name
        level = pad.value
        if x.bits == 1:
            level = (pad.value + 1) // 2
        if x.product is not None:  # the least accumulator is 0, unless they are signed
            if x.stream is not None and x.stream.signed:
                raise UnsupportedLayer(
                    f"{name}: signed accumulators cannot be padded: do without the padding"
                )
            level = 0
        lanes = self._lanes(x, shape[2], math.prod(shape), lambda lanes: padded // lanes)
        self._refuse_if_slow(name, "padding", padded // lanes)
        node = nodes.Padding(x.as_image(shape, lanes), pad.amounts, level)
        return self._written(x, self._place(name, node, source))

    def _generator(
        self, name: str, window: Conv | MaxPool | SumPool, source: str, shape: tuple[int, ...]
    ) -> str:
        """Append the input generator of a convolution or of a pool whose windows overlap; return its tensor.

        Pools and grouped convolutions read all window pixels of one channel fold in sequence, which FINN calls `depthwise`.
        """
        x, conv = self.tensors[source], window if isinstance(window, Conv) else None
        product = self.folded[name] if conv is not None else None
        depthwise = product is None or isinstance(product, nodes.GroupedProduct)
        dilation = (1, 1) if conv is None else conv.dilation
        size, channels = (shape[0], shape[1]), shape[2]

        def cycles(lanes: int, parallel: bool = False) -> int:
            folds = channels // lanes
            sizes = size, window.kernel, window.stride, folds, depthwise
            return generator_interval(*sizes, parallel, dilation)

        behind = None
        if product is not None:
            counts = WindowSchedule(size, window.kernel, window.stride, 1, depthwise, dilation).counts
            elements = math.prod(counts) * math.prod(window.kernel) * channels
            behind = elements, product.inputs["s"].words
        lanes = self._lanes(x, channels, math.prod(shape), cycles, behind)
        if isinstance(product, nodes.GroupedProduct):  # the product fixes the order of elements
            lanes = product.inputs["s"].lanes
        slow = self.bound and cycles(lanes) > self.target
        parallel = slow and not depthwise and dilation == (1, 1)
        self._refuse_if_slow(name, "input generator", cycles(lanes, parallel))
        image = x.as_image(shape, lanes)
        node = nodes.InputGenerator(image, window.kernel, window.stride, dilation, depthwise, parallel)
        return self._between(x, self._place(name, node, source), f"{name}/windows")

    def _pool(
        self,
        name: str,
        pool: MaxPool | SumPool,
        source: str,
        shape: tuple[int, ...],
        out: tuple[int, ...],
    ) -> _Tensor:
        if isinstance(pool, SumPool) and out[:2] == (1, 1):
            pool = SumPool(pool.kernel, pool.kernel)  # for a single window, the stride does not matter
        x = self.tensors[source]
        summed = isinstance(pool, SumPool)
        points = (x.points - 1) * math.prod(pool.kernel) + 1 if summed else x.points
        node: HardwareNode
        if pool.kernel == pool.stride:
            elements = math.prod(shape)
            lanes = self._lanes(x, shape[2], elements, lambda lanes: elements // lanes)
            self._refuse_if_slow(name, "pool", elements // lanes)
            image = x.as_image(shape, lanes)
            node = (
                nodes.SumPool(image, pool.kernel, points - 1) if summed else nodes.MaxPool(image, pool.kernel)
            )
        else:
            source = self._generator(name, pool, source, shape)
            windows = self.tensors[source].stream
            assert windows is not None
            node = (
                nodes.WindowSumPool(windows, pool.kernel, points - 1)
                if summed
                else nodes.WindowMaxPool(windows, pool.kernel)
            )
        return self._written(x, self._place(name, node, source), points)

    def _add(self, layer: Layer, out: tuple[int, ...]) -> _Tensor:
        """Append the nodes of a sum: one for each tensor after the first, vectors last."""
        ordered = sorted(layer.inputs, key=lambda name: -len(self.shapes[name]))
        first, elements = self._written_by(ordered[0]), math.prod(out)
        total = self.tensors[first]
        for number, name in enumerate(ordered[1:]):
            second = self._written_by(name)
            x = self.tensors[second]
            slower = max((total, x), key=lambda each: each.stream.words if each.stream else 0)
            lanes = self._lanes(slower, out[-1], elements, lambda lanes: elements // lanes)
            points = total.points + x.points - 1
            kind = nodes.Add if len(self.shapes[name]) == len(out) else nodes.AddVector
            streams = total.as_image(out, lanes), x.as_image(self.shapes[name], lanes)
            stream = self._place(layer.name, kind(*streams, points - 1), first, second)
            total = self._written(total, stream, points)
            first = f"{layer.name}/sum{number}"
            self.tensors[first] = total
        return total

    def _concat(self, layer: Layer, out: tuple[int, ...]) -> _Tensor:
        """Append the nodes of a concat: one for each tensor after the first."""
        first = self._written_by(layer.inputs[0])
        total, channels = self.tensors[first], self.shapes[layer.inputs[0]][-1]
        pixels = math.prod(out[:-1])
        for number, name in enumerate(layer.inputs[1:]):
            second, more = self._written_by(name), self.shapes[name][-1]
            x, common, cycles = self.tensors[second], math.gcd(channels, more), dict[int, int]()
            for lanes in divisors(common):
                words = pixels * channels // lanes, pixels * more // lanes
                cycles[lanes] = max(sum(words), total.words_after(words[0]), x.words_after(words[1]))
            lanes = fold_stream(common, cycles, self.target)
            self._refuse_if_slow(layer.name, "concat", pixels * (channels + more) // lanes)
            streams = total.as_image((*out[:-1], channels), lanes), x.as_image((*out[:-1], more), lanes)
            stream = self._place(layer.name, nodes.Concat(*streams), first, second)
            channels += more
            total = self._written(total, stream, max(total.points, x.points))
            first = f"{layer.name}/concat{number}"
            self.tensors[first] = total
        return total

    def _select(self, name: str, channels: tuple[int, ...], source: str, shape: Shape) -> _Tensor:
        x, elements = self.tensors[source], math.prod(shape)
        cycles = {
            lanes: max(elements // lanes, x.words_after(elements // lanes))
            for lanes in possible_lanes(shape[-1], channels)
        }
        lanes = fold_stream(shape[-1], cycles, self.target)
        self._refuse_if_slow(name, "selection of channels", elements // lanes)
        node = nodes.Select(x.as_image(shape, lanes), channels)
        return self._written(x, self._place(name, node, source))

    def _bias(self, name: str, bias: Bias, source: str, shape: tuple[int, ...]) -> _Tensor:
        x = self.tensors[source]
        assert x.stream is not None and isinstance(x.product, nodes.Product | nodes.WiredCount)
        # A popcount is (a + fan-in) / 2 for the network's accumulator a. The shift and the biases account for that.
        halved = x.product.is_popcount
        from_zero = halved or isinstance(x.product, nodes.WiredCount)
        accumulators = x.as_image(shape, x.stream.lanes)
        low, high = bias.low, bias.high
        if from_zero and bias.has_factors:  # the fan-in counts differently in each channel: biases contain it
            low, high = bias.span(-x.product.fan_in, -x.product.fan_in)
        node = nodes.Bias(accumulators, bias.shift + halved, low, high, bias.least, bias.most)
        return self._written(x, self._place(name, node, source))

    def _label_select(self, name: str, source: str, shape: tuple[int, ...]) -> _Tensor:
        x, labels = self.tensors[source], shape[-1]
        lanes = labels  # of a sparse layer: it delivers all of them in every cycle
        if not isinstance(x.product, nodes.WiredCount):
            lanes = self._lanes(x, labels, labels, lambda lanes: labels // lanes)
        node = nodes.LabelSelect(x.as_image(shape, lanes))
        return self._written(x, self._place(name, node, source))

    # ---- lanes

    def _refuse_if_slow(self, name: str, what: str, cycles: int) -> None:
        """Raise a `FoldingError` if a node with all channels at once misses the requested target."""
        if self.bound and cycles > self.target:
            raise FoldingError(
                f"{name}: its {what} needs at least {cycles} cycles per image, but the target is {self.target}",
                f"Allow {cycles} cycles or make the image smaller",
                cycles,
            )

    def _lanes(
        self,
        x: _Tensor,
        channels: int,
        elements: int,
        cycles: Callable[[int], int],
        behind: tuple[int, int] | None = None,
    ) -> int:
        """Return the fewest lanes with which a node and the width converters around it meet the target.

        Args:
            x: Tensor that the node reads.
            channels: Channels of a pixel.
            elements: Elements of the stream that the node reads.
            cycles: Function from lanes to the node's own cycles.
            behind: Elements that the node writes, and the words in which they are read.
        """

        def slowest(lanes: int) -> int:
            result = max(cycles(lanes), x.words_after(elements // lanes))
            if behind is not None:
                result = max(result, converter_interval(behind[0] // lanes, behind[1]))
            return result

        return fold_stream(channels, {lanes: slowest(lanes) for lanes in divisors(channels)}, self.target)
