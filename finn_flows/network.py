"""What the hardware needs to know of a network: its layers, their shapes and their crossings.

A `Network` is a small record without weights. It is what the cost models price, and it says nothing about
who trained the network or how. Layouts are FINN's: images are (height, width, channels).

What flows between layers is one of three: *bits* (-1 and +1), which a sign makes; *levels*, integers that count from 0,
which an activation of several bits makes, and sums of levels; and *accumulators*, integers of either sign, which
products make and only an activation or the label select may read.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property

from zerocross.finn_flows.errors import FlowError


@dataclass(frozen=True)
class Input:
    """The network's input stream.

    Attributes:
        shape: (features,) or (height, width, channels).
        bits: 1 for bipolar inputs (-1 or +1, one bit each), 8 for unsigned bytes.
    """

    shape: tuple[int, ...]
    bits: int = 8


@dataclass(frozen=True)
class Dense:
    """A fully connected product; the fan-in is its input's size.

    Attributes:
        channels: outputs.
        weight_bits: 1 for weights of -1 and +1; W up to 8 for integers of -2**(W-1) to 2**(W-1).
    """

    channels: int
    weight_bits: int = 1


@dataclass(frozen=True)
class Conv:
    """A 2-d convolution.

    Attributes:
        channels: output channels.
        kernel: (height, width).
        stride: (vertical, horizontal).
        padding: (vertical, horizontal), the same on both sides; bit 0 (that is -1) for binary inputs, level 0 for others.
        groups: input channels are split in as many groups; the fan-in is `kernel area * input channels / groups`.
        dilation: (vertical, horizontal) distance of the pixels under a kernel.
        weight_bits: as of `Dense`.
    """

    channels: int
    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    groups: int = 1
    dilation: tuple[int, int] = (1, 1)
    weight_bits: int = 1

    @property
    def reach(self) -> tuple[int, int]:
        """Height and width of what a dilated kernel covers."""
        (height, width), (down, along) = self.kernel, self.dilation
        return (height - 1) * down + 1, (width - 1) * along + 1


@dataclass(frozen=True)
class Activation:
    """An activation and its quantizer, as crossings of the integers it reads: accumulators or levels.

    An output of 2**bits levels is `bits` rows of bits, the planes of the level's number.

    Attributes:
        crossings: how many crossings each row has; 0 for a constant one, 1 for an ordinary threshold. Row
            c * bits + j is plane j of channel c, plane 0 the lowest.
        bits: 1 for a sign (-1 or +1), up to 8 for levels 0..2**bits - 1.
    """

    crossings: tuple[int, ...]
    bits: int = 1


@dataclass(frozen=True)
class MaxPool:
    """The largest of each window; over bits an OR.

    Attributes:
        kernel: (height, width).
        stride: (vertical, horizontal).
        padding: (vertical, horizontal), the same on both sides, with the least value there is, which is never the largest.
    """

    kernel: tuple[int, int] = (2, 2)
    stride: tuple[int, int] = (2, 2)
    padding: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class SumPool:
    """The sum of each window of levels; a mean but for its scale, which the activation behind knows."""

    kernel: tuple[int, int]
    stride: tuple[int, int]


@dataclass(frozen=True)
class Add:
    """The sum of two or more tensors of levels, element by element: a residual stream and what is added to it.

    A vector (channels,) among images is added to every pixel: a threshold that depends on the sample.
    """


@dataclass(frozen=True)
class Bias:
    """An integer for each channel added to accumulators ahead of the label select: (accumulator << shift) + bias.

    The shift makes room for differences finer than a step of the accumulators.

    Attributes:
        shift: places that accumulators are shifted up by, 0 or more.
        low: least bias.
        high: largest bias.
    """

    shift: int
    low: int
    high: int


@dataclass(frozen=True)
class Flatten:
    """(height, width, channels) to (features,), in that order. Free in hardware."""


@dataclass(frozen=True)
class LabelSelect:
    """The index of the largest of the last layer's accumulators."""


@dataclass(frozen=True)
class Grid:
    """The integers a tensor can hold: low, low + step, ..., high.

    A binary product of fan-in K has the grid -K, -K + 2, ..., K; its i-th point is popcount i. Levels of B bits have the
    grid 0, 1, ..., 2**B - 1.
    """

    low: int
    high: int
    step: int = 1

    def __len__(self) -> int:
        return (self.high - self.low) // self.step + 1


class NetworkError(FlowError):
    """A network whose layers do not fit together; the message names the layer."""


Operation = Dense | Conv | Activation | MaxPool | SumPool | Add | Bias | Flatten | LabelSelect


@dataclass(frozen=True)
class Layer:
    """One operation and the layers it reads; the name "input" stands for the network's input."""

    name: str
    operation: Operation
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Network:
    """Layers in topological order; the last one's output is the network's."""

    input: Input
    layers: tuple[Layer, ...]

    def with_crossings(self, crossings: dict[str, tuple[int, ...]]) -> "Network":
        """Return the same network with the crossings of its activation layers replaced, by layer name."""
        return replace(
            self,
            layers=tuple(
                replace(layer, operation=replace(layer.operation, crossings=crossings[layer.name]))
                if isinstance(layer.operation, Activation) and layer.name in crossings
                else layer
                for layer in self.layers
            ),
        )

    def inputs(self) -> dict[str, Input | Layer]:
        """Return what every name stands for: the input, and each layer."""
        return {"input": self.input, **{layer.name: layer for layer in self.layers}}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the output shape of the input and of every layer, by name.

        Raises:
            NetworkError: if a layer cannot take its input's shape.
        """
        shapes: dict[str, tuple[int, ...]] = {"input": self.input.shape}
        for layer in self.layers:
            shapes[layer.name] = _output_shape(layer, [shapes[name] for name in layer.inputs])
        return shapes

    def fan_ins(self) -> dict[str, int]:
        """Return K, the number of weights of one output, for every product by name."""
        shapes = self.shapes()
        fan_ins = {}
        for layer in self.layers:
            shape, operation = shapes[layer.inputs[0]], layer.operation
            if isinstance(operation, Dense):
                fan_ins[layer.name] = math.prod(shape)
            elif isinstance(operation, Conv):
                fan_ins[layer.name] = math.prod(operation.kernel) * shape[-1] // operation.groups
        return fan_ins

    def producers(self) -> dict[str, str]:
        """Return, for every activation by name, the layer whose integers it reads, pools and flattens left out.

        Raises:
            NetworkError: if it reads bits or the input.
        """
        layers = {layer.name: layer for layer in self.layers}
        found = {}
        for layer in self.layers:
            if isinstance(layer.operation, Activation):
                source = layers.get(layer.inputs[0])
                # The largest of some integers is one of them: a pool keeps the grid.
                while source is not None and isinstance(source.operation, MaxPool | Flatten):
                    source = layers.get(source.inputs[0])
                if source is None or self.is_binary(source.name):
                    raise NetworkError(
                        f"{layer.name}: an activation must follow a dense or convolution layer, or levels"
                    )
                found[layer.name] = source.name
        return found

    def weight_bits(self, name: str) -> int:
        """Return the bits of the weights of a product."""
        found = {layer.name: layer.operation for layer in self.layers}.get(name)
        if not isinstance(found, Dense | Conv):
            raise NetworkError(f"{name} is no product")
        return found.weight_bits

    def readers(self, name: str) -> list[Layer]:
        """Return the layers that read a tensor, in order."""
        return [layer for layer in self.layers if name in layer.inputs]

    def bits(self, name: str) -> int | None:
        """Return the bits of the elements of a tensor: the input's, an activation's, a sum's; None for accumulators."""
        return self._bits[name]

    def is_binary(self, name: str) -> bool:
        """Tell whether the tensor of a name holds bits (-1 or +1): the others hold integers."""
        return self.bits(name) == 1

    def grids(self) -> dict[str, Grid]:
        """Return the integers that every tensor but the label can hold, by name, for any weights.

        Raises:
            NetworkError: where a layer reads what it cannot: accumulators, bits or a bias in the place of levels, say.
        """
        return dict(self._grids)

    @cached_property
    def _bits(self) -> dict[str, int | None]:
        bits: dict[str, int | None] = {"input": self.input.bits}
        for layer in self.layers:
            source = layer.inputs[0]
            match layer.operation:
                case MaxPool() | Flatten():
                    bits[layer.name] = bits[source]
                case Activation(_, own):
                    bits[layer.name] = own
                case Add() | SumPool():
                    bits[layer.name] = self._grids[layer.name].high.bit_length()
                case _:
                    bits[layer.name] = None
        return bits

    @cached_property
    def _grids(self) -> dict[str, Grid]:
        grids = {"input": level_grid(self.input.bits)}
        accumulators: set[str] = set()
        biased: set[str] = set()
        fan_ins = self.fan_ins()
        for layer in self.layers:
            grid, name, operation = grids[layer.inputs[0]], layer.name, layer.operation
            unfit = [source for source in layer.inputs if source in accumulators]
            if layer.inputs[0] in biased and not isinstance(operation, Flatten | LabelSelect):
                raise NetworkError(f"{name}: reads {layer.inputs[0]}, a bias: only the label select may")
            if isinstance(operation, Bias) and not unfit:
                raise NetworkError(f"{name}: a bias is added to accumulators, and it reads {layer.inputs[0]}")
            if unfit and isinstance(operation, Dense | Conv | Add | SumPool):
                raise NetworkError(
                    f"{name}: reads accumulators, of {unfit[0]}: an activation must stand before it"
                )
            match operation:
                case Dense() | Conv():
                    grids[name] = product_grid(fan_ins[name], grid, operation.weight_bits)
                    accumulators.add(name)
                case Activation(_, bits):
                    grids[name] = level_grid(bits)
                case Add() | SumPool():
                    sources = [grids[source] for source in layer.inputs]
                    if any(source.low != 0 for source in sources):
                        raise NetworkError(f"{name}: sums are of levels, and it reads bits")
                    times = math.prod(operation.kernel) if isinstance(operation, SumPool) else 1
                    grids[name] = Grid(0, times * sum(source.high for source in sources))
                case MaxPool() | Flatten():
                    grids[name] = grid
                    accumulators |= {name} if unfit else set()
                    biased |= {name} if layer.inputs[0] in biased else set()
                case Bias(shift, low, high):
                    step = grid.step << shift if low == high else 1
                    grids[name] = Grid((grid.low << shift) + low, (grid.high << shift) + high, step)
                    accumulators.add(name)
                    biased.add(name)
                case LabelSelect():
                    pass
        return grids


def level_grid(bits: int) -> Grid:
    """Return the grid of bits, -1 and +1, or of levels of several bits, from 0."""
    return Grid(-1, 1, 2) if bits == 1 else Grid(0, 2**bits - 1)


def product_grid(fan_in: int, inputs: Grid, weight_bits: int = 1) -> Grid:
    """Return what a product of so many inputs can come to, whatever its weights.

    Weights of several bits reach 2**(weight_bits - 1) both ways.
    """
    reach = fan_in * inputs.high * (1 if weight_bits == 1 else 1 << (weight_bits - 1))
    return Grid(-reach, reach, inputs.step if weight_bits == 1 else 1)


def _output_shape(layer: Layer, sources: list[tuple[int, ...]]) -> tuple[int, ...]:
    shape = sources[0]
    if len(sources) != 1 and not isinstance(layer.operation, Add):
        raise NetworkError(f"{layer.name}: reads {len(sources)} tensors; only a sum reads more than one")
    match layer.operation:
        case Dense():
            if len(shape) != 1:
                raise NetworkError(
                    f"{layer.name}: a dense layer takes (features,), not {shape}: flatten first"
                )
            return (layer.operation.channels,)
        case Conv(channels, kernel, stride, padding, groups) as conv:
            if len(shape) != 3 or shape[2] % groups or channels % groups:
                raise NetworkError(
                    f"{layer.name}: {groups} groups do not divide {shape} to {channels} channels"
                )
            padded = tuple(side + 2 * pad for side, pad in zip(shape[:2], padding, strict=True))
            return (*_places(layer.name, padded, conv.reach, stride, kernel), channels)
        case MaxPool(kernel, stride) | SumPool(kernel, stride):
            if len(shape) != 3:
                raise NetworkError(f"{layer.name}: a pool takes an image, not {shape}")
            padding = layer.operation.padding if isinstance(layer.operation, MaxPool) else (0, 0)
            padded = tuple(side + 2 * pad for side, pad in zip(shape[:2], padding, strict=True))
            return (*_places(layer.name, padded, kernel, stride, kernel), shape[2])
        case Add():
            return _sum_shape(layer, sources)
        case Activation(crossings, bits):
            if len(crossings) != shape[-1] * bits:
                raise NetworkError(
                    f"{layer.name}: {len(crossings)} crossing counts for {shape[-1]} channels of {bits} bits"
                )
            return shape
        case Bias():
            return shape
        case Flatten():
            return (math.prod(shape),)
        case LabelSelect():
            return (1,)


def _places(
    name: str,
    image: tuple[int, ...],
    reach: tuple[int, int],
    stride: tuple[int, int],
    kernel: tuple[int, int],
) -> tuple[int, int]:
    """Return how many places windows have, down and along."""
    down, along = ((side - k) // by + 1 for side, k, by in zip(image, reach, stride, strict=True))
    if min(down, along) < 1:
        raise NetworkError(f"{name}: kernel {kernel} is larger than its input {image}")
    return down, along


def _sum_shape(layer: Layer, sources: list[tuple[int, ...]]) -> tuple[int, ...]:
    largest = max(sources, key=len)
    for name, shape in zip(layer.inputs, sources, strict=True):
        if shape not in (largest, largest[-1:]):
            raise NetworkError(f"{layer.name}: {name} has shape {shape}, which does not add to {largest}")
    if len(sources) < 2:
        raise NetworkError(f"{layer.name}: a sum reads two tensors or more")
    return largest
