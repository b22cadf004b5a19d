"""A network as the hardware sees it: its layers, their shapes and their numbers of crossings.

A `Network` is a small record without weights, which the cost models price. It is independent of training. Layouts are
FINN's: images are (height, width, channels).

A tensor between layers holds one of three kinds of elements:

- *bits* (-1 and +1): the output of a sign;
- *levels*, integers from 0: the output of an activation of several bits, or a sum of levels;
- *accumulators*, integers of either sign: the output of a product, which only an activation, a bias or the label select
  may read, possibly through a max-pool or flatten.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from zerocross.finn_flows.errors import FlowError

MOST_INDEXED = 6
"""Most inputs of a channel that is any function of them: those of one lookup table."""


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
    """A fully connected product; its fan-in is the size of its input.

    Attributes:
        channels: Number of outputs.
        weight_bits: 1 for weights of -1 and +1; W up to 8 for integers of -2**(W-1) to 2**(W-1).
    """

    channels: int
    weight_bits: int = 1


@dataclass(frozen=True)
class Sparse:
    """A fully connected layer of few inputs: a channel adds some of the bits, with signs, and ignores the others.

    Its hardware is wired: it computes all channels at once, and each input is a wire.

    An *indexed* layer has the weights 1, 2, 4, ..., one for each input, with signs. Every combination of a channel's inputs
    has a sum of its own, so the activation behind it is any function of them: a table that the sum indexes.

    Attributes:
        channels: Number of outputs.
        fan_in: Number of inputs that a channel reads.
        exact: Whether every channel reads exactly `fan_in` inputs; else it reads at most as many.
        indexed: Whether weights are powers of two instead of -1, 0 and +1.
    """

    channels: int
    fan_in: int
    exact: bool = True
    indexed: bool = False

    @property
    def weight_bits(self) -> int:
        """Bits of the weights, as for `Dense`."""
        return sparse_weight_bits(self.fan_in, self.indexed)

    @property
    def reach(self) -> int:
        """The largest sum."""
        return sparse_reach(self.fan_in, self.indexed)

    @property
    def grid(self) -> "Grid":
        """The sums that its channels can have."""
        return Grid(-self.reach, self.reach, 2 if self.exact else 1)


@dataclass(frozen=True)
class Conv:
    """A 2-d convolution.

    Attributes:
        channels: Output channels.
        kernel: (height, width).
        stride: (vertical, horizontal).
        groups: Number of groups of input channels; the fan-in is `kernel area * input channels / groups`.
        dilation: (vertical, horizontal) distance between the pixels under a kernel.
        weight_bits: See `Dense`.
    """

    channels: int
    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    groups: int = 1
    dilation: tuple[int, int] = (1, 1)
    weight_bits: int = 1

    @property
    def reach(self) -> tuple[int, int]:
        """Height and width that the dilated kernel spans."""
        (height, width), (down, along) = self.kernel, self.dilation
        return (height - 1) * down + 1, (width - 1) * along + 1


@dataclass(frozen=True)
class Activation:
    """An activation and its quantizer, as crossings of the integers it reads: accumulators or levels.

    An output of 2**bits levels has `bits` rows per channel, one for each bit plane of the level.

    Attributes:
        crossings: Number of crossings of each row: 0 for a constant, 1 for an ordinary threshold. Row c * bits + j is
            plane j of channel c; plane 0 is the lowest bit.
        bits: 1 for a sign (-1 or +1), up to 8 for levels 0..2**bits - 1.
    """

    crossings: tuple[int, ...]
    bits: int = 1


@dataclass(frozen=True)
class Thermometer:
    """Compares each level with several thresholds: a bit is +1 where the level is at least the threshold.

    Each channel becomes `bits` channels. The thresholds are part of the layer, because data determine them, not a training.

    Attributes:
        thresholds: Threshold of each output channel, 0 or more; channel c * bits + i is bit i of channel c.
        bits: Bits of a channel.
    """

    thresholds: tuple[int, ...]
    bits: int


@dataclass(frozen=True)
class BitPlanes:
    """Bits of each level as channels of their own, -1 and +1. In hardware they are wires.

    Attributes:
        planes: Numbers of the bits, 0 for the lowest; channel c * len(planes) + i is bit planes[i] of channel c.
    """

    planes: tuple[int, ...]

    @property
    def bits(self) -> int:
        """Bits of a channel."""
        return len(self.planes)


@dataclass(frozen=True)
class Pad:
    """Surrounds an image with pixels of one integer, the same in all channels.

    Convolutions and pools have no padding of their own: they read a padded image.

    Attributes:
        amounts: Rows above, columns left, rows below, columns right, each 0 or more.
        value: One of the integers that the image can hold: -1 or +1 for bits, a level, or the least accumulator. Only
            max-pools may read padded accumulators: the least one changes no maximum.
    """

    amounts: tuple[int, int, int, int]
    value: int


@dataclass(frozen=True)
class MaxPool:
    """Max-pooling; for bits, an OR."""

    kernel: tuple[int, int] = (2, 2)
    stride: tuple[int, int] = (2, 2)


@dataclass(frozen=True)
class SumPool:
    """The sum of each window of levels. It replaces a mean; the following activation accounts for the scale."""

    kernel: tuple[int, int]
    stride: tuple[int, int]


@dataclass(frozen=True)
class Add:
    """The elementwise sum of two or more tensors of levels, such as a residual stream and its update.

    A vector (channels,) is added to every pixel of an image, such as a threshold that depends on the sample.
    """


@dataclass(frozen=True)
class Concat:
    """The channels of two or more tensors, one tensor after the other: all of bits, or all of levels."""


@dataclass(frozen=True)
class Select:
    """Some channels of a tensor, in any order.

    Attributes:
        channels: Channels of the output, by their numbers in the input.
    """

    channels: tuple[int, ...]


@dataclass(frozen=True)
class Bias:
    """A line of the accumulators per channel, for the label select: (factor * accumulator << shift) + bias.

    The shift allows biases that are finer than a step of the accumulators. Factors allow a scale for each class.

    Attributes:
        shift: Left shift of the accumulators, 0 or more.
        low: Least bias.
        high: Largest bias.
        least: Least factor.
        most: Largest factor; without factors, both are 1.
    """

    shift: int
    low: int
    high: int
    least: int = 1
    most: int = 1

    @property
    def has_factors(self) -> bool:
        """Whether channels have factors other than 1."""
        return (self.least, self.most) != (1, 1)

    def span(self, low: int, high: int) -> tuple[int, int]:
        """Return the least and the largest result for accumulators of low to high."""
        scaled = [factor * end for factor in (self.least, self.most) for end in (low, high)]
        return (min(scaled) << self.shift) + self.low, (max(scaled) << self.shift) + self.high


@dataclass(frozen=True)
class Flatten:
    """Reshapes (height, width, channels) to (features,) in that order. It needs no hardware."""


@dataclass(frozen=True)
class LabelSelect:
    """The class: the index of the last layer's largest accumulator; of a single channel, its bit."""


@dataclass(frozen=True)
class Grid:
    """The integers that a tensor can hold: low, low + step, ..., high.

    A binary product of fan-in K has the grid -K, -K + 2, ..., K, whose index is the popcount. Levels of B bits have the grid
    0, 1, ..., 2**B - 1.
    """

    low: int
    high: int
    step: int = 1

    def __len__(self) -> int:
        return (self.high - self.low) // self.step + 1


class NetworkError(FlowError):
    """The layers of a network do not fit together; the message names the layer."""


Operation = (
    Dense
    | Sparse
    | Conv
    | Activation
    | Thermometer
    | BitPlanes
    | Pad
    | MaxPool
    | SumPool
    | Add
    | Concat
    | Select
    | Bias
    | Flatten
    | LabelSelect
)


@dataclass(frozen=True)
class Layer:
    """An operation and the names of the layers it reads; "input" is the network's input."""

    name: str
    operation: Operation
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Network:
    """Layers in topological order. The output of the last one is the network's output."""

    input: Input
    layers: tuple[Layer, ...]

    def with_crossings(self, crossings: dict[str, tuple[int, ...]]) -> "Network":
        """Return the network with new numbers of crossings for the activations of given names."""
        return self._with_numbers(Activation, "crossings", crossings)

    def with_thresholds(self, thresholds: dict[str, tuple[int, ...]]) -> "Network":
        """Return the network with new thresholds for the thermometers of given names."""
        return self._with_numbers(Thermometer, "thresholds", thresholds)

    def _with_numbers(self, kind: type, field: str, numbers: dict[str, tuple[int, ...]]) -> "Network":
        """Return the network with another value in a field of the operations of a kind, by name of their layer."""

        def changed(layer: Layer) -> Layer:
            if not isinstance(layer.operation, kind) or layer.name not in numbers:
                return layer
            values: dict[str, Any] = {field: numbers[layer.name]}
            return replace(layer, operation=replace(layer.operation, **values))

        return replace(self, layers=tuple(map(changed, self.layers)))

    def inputs(self) -> dict[str, Input | Layer]:
        """Return the input and all layers, by name."""
        return {"input": self.input, **{layer.name: layer for layer in self.layers}}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the output shape of the input and of every layer, by name.

        Raises:
            NetworkError: If a layer cannot read its input's shape.
        """
        shapes: dict[str, tuple[int, ...]] = {"input": self.input.shape}
        for layer in self.layers:
            shapes[layer.name] = _output_shape(layer, [shapes[name] for name in layer.inputs])
        return shapes

    def fan_ins(self) -> dict[str, int]:
        """Return each product's weights per output, by name. In a sparse layer, most of them are 0."""
        shapes = self.shapes()
        fan_ins = {}
        for layer in self.layers:
            shape, operation = shapes[layer.inputs[0]], layer.operation
            if isinstance(operation, Dense | Sparse):
                fan_ins[layer.name] = math.prod(shape)
            elif isinstance(operation, Conv):
                fan_ins[layer.name] = math.prod(operation.kernel) * shape[-1] // operation.groups
        return fan_ins

    def producers(self) -> dict[str, str]:
        """Map each activation to the layer, or the input, that it reads; skip paddings, max-pools and flattens.

        Raises:
            NetworkError: If an activation reads bits.
        """
        layers = {layer.name: layer for layer in self.layers}
        found = {}
        for layer in self.layers:
            if isinstance(layer.operation, Activation):
                source = layer.inputs[0]
                # A padding and a maximum are among the integers that they read, so the grid stays the same.
                while source in layers and isinstance(layers[source].operation, Pad | MaxPool | Flatten):
                    source = layers[source].inputs[0]
                if self.is_binary(source):
                    raise NetworkError(
                        f"{layer.name}: an activation must follow a dense or convolution layer, or a layer of levels"
                    )
                found[layer.name] = source
        return found

    def weight_bits(self, name: str) -> int:
        """Return the bits of a product's weights."""
        found = {layer.name: layer.operation for layer in self.layers}.get(name)
        if not isinstance(found, Dense | Sparse | Conv):
            raise NetworkError(f"{name} is not a product")
        return found.weight_bits

    def readers(self, name: str) -> list[Layer]:
        """Return the layers that read a tensor, in order."""
        return [layer for layer in self.layers if name in layer.inputs]

    def bits(self, name: str) -> int | None:
        """Return the bits of a tensor's elements; None for accumulators."""
        return self._bits[name]

    def is_binary(self, name: str) -> bool:
        """Return whether a tensor holds bits (-1 or +1) instead of integers."""
        return self.bits(name) == 1

    def grids(self) -> dict[str, Grid]:
        """Return the possible integers of every tensor except the label, by name, for any weights.

        Raises:
            NetworkError: If a layer reads an unsupported kind of elements, such as accumulators in place of levels.
        """
        return dict(self._grids)

    @cached_property
    def _bits(self) -> dict[str, int | None]:
        bits: dict[str, int | None] = {"input": self.input.bits}
        for layer in self.layers:
            source = layer.inputs[0]
            match layer.operation:
                case Pad() | MaxPool() | Flatten() | Select():
                    bits[layer.name] = bits[source]
                case Concat():
                    bits[layer.name] = max((bits[each] for each in layer.inputs), key=lambda each: each or 0)
                case Activation(_, own):
                    bits[layer.name] = own
                case Thermometer() | BitPlanes():
                    bits[layer.name] = 1
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
                raise NetworkError(
                    f"{name}: reads {layer.inputs[0]}, a bias, which only a label select can read"
                )
            if isinstance(operation, Bias) and not unfit:
                raise NetworkError(f"{name}: a bias must read accumulators, but it reads {layer.inputs[0]}")
            if unfit and isinstance(
                operation,
                Dense | Sparse | Conv | Thermometer | BitPlanes | Add | SumPool | Concat | Select,
            ):
                raise NetworkError(
                    f"{name}: reads accumulators of {unfit[0]}: put an activation between them"
                )
            match operation:
                case Dense() | Conv():
                    grids[name] = product_grid(fan_ins[name], grid, operation.weight_bits)
                    accumulators.add(name)
                case Sparse():
                    grids[name] = _sparse_grid(name, operation, fan_ins[name], grid)
                    accumulators.add(name)
                case Activation(_, bits):
                    grids[name] = level_grid(bits)
                case Thermometer() | BitPlanes():
                    _check_encoder(name, operation, grid)
                    grids[name] = level_grid(1)
                case Add() | SumPool():
                    sources = [grids[source] for source in layer.inputs]
                    if any(source.low != 0 for source in sources):
                        raise NetworkError(f"{name}: a sum must read levels, but it reads bits")
                    times = math.prod(operation.kernel) if isinstance(operation, SumPool) else 1
                    grids[name] = Grid(0, times * sum(source.high for source in sources))
                case Concat():
                    sources = [grids[source] for source in layer.inputs]
                    if any(source.low != sources[0].low for source in sources):
                        raise NetworkError(
                            f"{name}: joins bits with levels: let all its inputs be bits, or all levels"
                        )
                    grids[name] = max(sources, key=lambda source: source.high)
                case Pad() | MaxPool() | Flatten() | Select():
                    if isinstance(operation, Pad):
                        self._check_pad(layer, operation, grid, bool(unfit))
                    grids[name] = grid
                    accumulators |= {name} if unfit else set()
                    biased |= {name} if layer.inputs[0] in biased else set()
                case Bias(shift, low, high) as bias:
                    step = grid.step << shift if low == high and not bias.has_factors else 1
                    grids[name] = Grid(*bias.span(grid.low, grid.high), step)
                    accumulators.add(name)
                    biased.add(name)
                case LabelSelect():
                    pass
        return grids

    def _check_pad(self, layer: Layer, pad: Pad, grid: Grid, is_of_accumulators: bool) -> None:
        source = layer.inputs[0]
        if pad.value not in range(grid.low, grid.high + 1, grid.step):
            steps = f" in steps of {grid.step}" if grid.step > 1 else ""
            raise NetworkError(
                f"{layer.name}: pads {source} with {pad.value}, but it holds only {grid.low} to {grid.high}{steps}"
            )
        if is_of_accumulators and (
            pad.value != grid.low
            or not all(isinstance(reader.operation, MaxPool) for reader in self.readers(layer.name))
        ):
            raise NetworkError(
                f"{layer.name}: pads the accumulators of {source}: put an activation between them, or pad only for a "
                f"max-pool, and with their least value, {grid.low}"
            )


def level_grid(bits: int) -> Grid:
    """Return the grid of an activation's output: -1 and +1 for one bit, 0 to 2**bits - 1 for more."""
    return Grid(-1, 1, 2) if bits == 1 else Grid(0, 2**bits - 1)


def is_indexed(layer: Input | Layer) -> bool:
    """Return whether a layer is a layer of tables."""
    return isinstance(layer, Layer) and isinstance(layer.operation, Sparse) and layer.operation.indexed


def sparse_reach(inputs: int, indexed: bool) -> int:
    """Return the largest sum of a channel of a sparse layer that reads so many inputs."""
    return (1 << inputs) - 1 if indexed else inputs


def sparse_weight_bits(fan_in: int, indexed: bool) -> int:
    """Return the bits of a sparse layer's weights, as for `Dense`."""
    return max(2, fan_in) if indexed else 2


def _sparse_grid(name: str, sparse: Sparse, features: int, inputs: Grid) -> Grid:
    if inputs != level_grid(1):
        raise NetworkError(f"{name}: a sparse layer must read bits, but it reads levels")
    if not 1 <= sparse.fan_in <= features:
        raise NetworkError(
            f"{name}: a channel cannot read {sparse.fan_in} inputs of {features}: choose 1 to {features}"
        )
    if sparse.indexed and sparse.fan_in > MOST_INDEXED:
        raise NetworkError(f"{name}: a table reads at most {MOST_INDEXED} inputs, not {sparse.fan_in}")
    return sparse.grid


def product_grid(fan_in: int, inputs: Grid, weight_bits: int = 1) -> Grid:
    """Return the grid of a product's accumulators for any weights.

    Weights of several bits are integers of -2**(weight_bits - 1) to 2**(weight_bits - 1).
    """
    reach = fan_in * inputs.high * (1 if weight_bits == 1 else 1 << (weight_bits - 1))
    return Grid(-reach, reach, inputs.step if weight_bits == 1 else 1)


def _check_encoder(name: str, encoder: Thermometer | BitPlanes, grid: Grid) -> None:
    """Raise a `NetworkError` if an encoder cannot read what its source holds."""
    if grid.low != 0:
        raise NetworkError(f"{name}: an encoder must read levels, but it reads bits")
    if isinstance(encoder, BitPlanes):
        planes = encoder.planes
        if not planes or min(planes) < 0 or 1 << max(planes) > grid.high:
            raise NetworkError(f"{name}: levels of 0 to {grid.high} do not have the bits {list(planes)}")


def _output_shape(layer: Layer, sources: list[tuple[int, ...]]) -> tuple[int, ...]:
    shape = sources[0]
    if len(sources) != 1 and not isinstance(layer.operation, Add | Concat):
        raise NetworkError(
            f"{layer.name}: reads {len(sources)} tensors, but only a sum or a concat reads more than one"
        )
    match layer.operation:
        case Dense() | Sparse():
            if len(shape) != 1:
                raise NetworkError(
                    f"{layer.name}: a {type(layer.operation).__name__.lower()} layer reads (features,), not {shape}: "
                    "flatten first"
                )
            return (layer.operation.channels,)
        case Conv(channels, kernel, stride, groups) as conv:
            if len(shape) != 3 or shape[2] % groups or channels % groups:
                raise NetworkError(
                    f"{layer.name}: a convolution of {groups} groups cannot map shape {shape} to {channels} channels: "
                    f"it needs an image, and multiples of {groups} channels in and out"
                )
            return (*_places(layer.name, shape[:2], conv.reach, stride, kernel), channels)
        case Pad((top, left, bottom, right)):
            if len(shape) != 3 or min(top, left, bottom, right) < 0:
                raise NetworkError(
                    f"{layer.name}: padding needs an image and amounts of 0 or more, not {shape} and "
                    f"{(top, left, bottom, right)}"
                )
            return (top + shape[0] + bottom, left + shape[1] + right, shape[2])
        case MaxPool(kernel, stride) | SumPool(kernel, stride):
            if len(shape) != 3:
                raise NetworkError(f"{layer.name}: a pool reads an image, not {shape}")
            return (*_places(layer.name, shape[:2], kernel, stride, kernel), shape[2])
        case Add():
            return _sum_shape(layer, sources)
        case Concat():
            return _concat_shape(layer, sources)
        case Select(channels):
            if not channels or min(channels) < 0 or max(channels) >= shape[-1]:
                raise NetworkError(f"{layer.name}: selects channels {channels} of {shape[-1]}")
            return (*shape[:-1], len(channels))
        case Activation(crossings, bits):
            if len(crossings) != shape[-1] * bits:
                raise NetworkError(
                    f"{layer.name}: {len(crossings)} numbers of crossings do not fit {shape[-1]} channels of {bits} bits"
                )
            return shape
        case Thermometer(thresholds, bits):
            if bits < 1 or len(thresholds) != shape[-1] * bits:
                raise NetworkError(
                    f"{layer.name}: {len(thresholds)} thresholds do not fit {shape[-1]} channels of {bits} bits"
                )
            return (*shape[:-1], len(thresholds))
        case BitPlanes(planes):
            return (*shape[:-1], shape[-1] * len(planes))
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
    """Return the number of window positions, (vertical, horizontal)."""
    down, along = ((side - k) // by + 1 for side, k, by in zip(image, reach, stride, strict=True))
    if min(down, along) < 1:
        raise NetworkError(f"{name}: kernel {kernel} is larger than its input {image}")
    return down, along


def _sum_shape(layer: Layer, sources: list[tuple[int, ...]]) -> tuple[int, ...]:
    largest = max(sources, key=len)
    for name, shape in zip(layer.inputs, sources, strict=True):
        if shape not in (largest, largest[-1:]):
            raise NetworkError(f"{layer.name}: {name} of shape {shape} cannot be added to shape {largest}")
    if len(sources) < 2:
        raise NetworkError(f"{layer.name}: a sum must read two tensors or more")
    return largest


def _concat_shape(layer: Layer, sources: list[tuple[int, ...]]) -> tuple[int, ...]:
    first = sources[0]
    for name, shape in zip(layer.inputs, sources, strict=True):
        if shape[:-1] != first[:-1]:
            raise NetworkError(f"{layer.name}: {name} of shape {shape} cannot be joined to shape {first}")
    if len(sources) < 2:
        raise NetworkError(f"{layer.name}: a concat must read two tensors or more")
    return (*first[:-1], sum(shape[-1] for shape in sources))
