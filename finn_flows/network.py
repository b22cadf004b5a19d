"""What the hardware needs to know of a network: its layers, their shapes and their crossings.

A `Network` is a small record without weights. It is what the cost models price, and it says nothing about
who trained the network or how. Layouts are FINN's: images are (height, width, channels).
"""

import math
from dataclasses import dataclass, replace

from finn_flows.errors import FlowError


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
    """A fully connected product with binary weights; the fan-in is its input's size."""

    channels: int


@dataclass(frozen=True)
class Conv:
    """A 2-d convolution with binary weights.

    Attributes:
        channels: output channels.
        kernel: (height, width).
        stride: (vertical, horizontal).
        padding: (vertical, horizontal), the same on both sides; bit 0 (that is -1) for binary inputs.
        groups: input channels are split in as many groups; the fan-in is `kernel area * input channels / groups`.
    """

    channels: int
    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    groups: int = 1


@dataclass(frozen=True)
class Activation:
    """An activation and its quantizer, as crossings of the accumulator in front of it.

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
    """The largest of each window; over bits an OR."""

    kernel: tuple[int, int] = (2, 2)
    stride: tuple[int, int] = (2, 2)


@dataclass(frozen=True)
class Flatten:
    """(height, width, channels) to (features,), in that order. Free in hardware."""


@dataclass(frozen=True)
class LabelSelect:
    """The index of the largest of the last layer's accumulators."""


@dataclass(frozen=True)
class Grid:
    """The integers an accumulator can be: low, low + step, ..., high.

    A binary product of fan-in K has the grid -K, -K + 2, ..., K; its i-th point is popcount i.
    """

    low: int
    high: int
    step: int = 1

    def __len__(self) -> int:
        return (self.high - self.low) // self.step + 1


class NetworkError(FlowError):
    """A network whose layers do not fit together; the message names the layer."""


Operation = Dense | Conv | Activation | MaxPool | Flatten | LabelSelect


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
            shapes[layer.name] = _output_shape(layer, shapes[layer.inputs[0]])
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
        """Return, for every activation by name, the product whose accumulators it reads.

        Raises:
            NetworkError: if there is something between them that is not on the accumulator's grid.
        """
        layers = {layer.name: layer for layer in self.layers}
        found = {}
        for layer in self.layers:
            if isinstance(layer.operation, Activation):
                source = layers.get(layer.inputs[0])
                # The largest of some accumulators is one of them: a pool keeps the grid.
                while source is not None and isinstance(source.operation, MaxPool | Flatten):
                    source = layers.get(source.inputs[0])
                if source is None or not isinstance(source.operation, Dense | Conv):
                    raise NetworkError(
                        f"{layer.name}: an activation must follow a dense or convolution layer"
                    )
                found[layer.name] = source.name
        return found

    def bits(self, name: str) -> int | None:
        """Return the bits of the elements of a tensor: the input's or an activation's; None for accumulators."""
        if name == "input":
            return self.input.bits
        layer = next(layer for layer in self.layers if layer.name == name)
        if isinstance(layer.operation, MaxPool | Flatten):
            return self.bits(layer.inputs[0])
        return layer.operation.bits if isinstance(layer.operation, Activation) else None

    def is_binary(self, name: str) -> bool:
        """Tell whether the tensor of a name holds bits (-1 or +1): the others hold integers."""
        return self.bits(name) == 1

    def grids(self) -> dict[str, Grid]:
        """Return the accumulator grid of every product by name, for any weights."""
        fan_ins = self.fan_ins()
        grids = {}
        for layer in self.layers:
            if layer.name in fan_ins:
                fan_in, bits = fan_ins[layer.name], self.bits(layer.inputs[0])
                if bits is None:
                    raise NetworkError(
                        f"{layer.name}: reads accumulators: an activation must stand before it"
                    )
                if bits == 1:
                    grids[layer.name] = Grid(-fan_in, fan_in, 2)
                else:
                    reach = fan_in * (2**bits - 1)
                    grids[layer.name] = Grid(-reach, reach, 1)
        return grids


def _output_shape(layer: Layer, shape: tuple[int, ...]) -> tuple[int, ...]:
    match layer.operation:
        case Dense(channels):
            if len(shape) != 1:
                raise NetworkError(
                    f"{layer.name}: a dense layer takes (features,), not {shape}: flatten first"
                )
            return (channels,)
        case Conv(channels, kernel, stride, padding, groups):
            if len(shape) != 3 or shape[2] % groups or channels % groups:
                raise NetworkError(
                    f"{layer.name}: {groups} groups do not divide {shape} to {channels} channels"
                )
            size = [
                (side + 2 * pad - k) // by + 1
                for side, k, by, pad in zip(shape[:2], kernel, stride, padding, strict=True)
            ]
            if min(size) < 1:
                raise NetworkError(f"{layer.name}: kernel {kernel} is larger than its input {shape}")
            return (*size, channels)
        case MaxPool(kernel, stride):
            if len(shape) != 3:
                raise NetworkError(f"{layer.name}: a max-pool takes an image, not {shape}")
            size = [(side - k) // by + 1 for side, k, by in zip(shape[:2], kernel, stride, strict=True)]
            if min(size) < 1:
                raise NetworkError(f"{layer.name}: kernel {kernel} is larger than its input {shape}")
            return (*size, shape[2])
        case Activation(crossings, bits):
            if len(crossings) != shape[-1] * bits:
                raise NetworkError(
                    f"{layer.name}: {len(crossings)} crossing counts for {shape[-1]} channels of {bits} bits"
                )
            return shape
        case Flatten():
            return (math.prod(shape),)
        case LabelSelect():
            return (1,)
