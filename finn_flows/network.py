"""What the hardware needs to know of a network: its layers, their shapes and their crossings.

A `Network` is a small record without weights. It is what the cost models price, and it says nothing about
who trained the network or how. Layouts are FINN's: images are (height, width, channels).
"""

from dataclasses import dataclass, replace


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
    """An activation and its sign, as crossings of the accumulator in front of it.

    Attributes:
        crossings: how many crossings each channel has; 0 for a constant channel, 1 for an ordinary threshold.
    """

    crossings: tuple[int, ...]


@dataclass(frozen=True)
class MaxPool:
    """A max-pool over bits: an OR of each window."""

    kernel: tuple[int, int] = (2, 2)
    stride: tuple[int, int] = (2, 2)


@dataclass(frozen=True)
class Flatten:
    """(height, width, channels) to (features,), in that order. Free in hardware."""


@dataclass(frozen=True)
class LabelSelect:
    """The index of the largest of the last layer's accumulators."""


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
                replace(layer, operation=Activation(crossings[layer.name])) if layer.name in crossings else layer
                for layer in self.layers
            ),
        )
