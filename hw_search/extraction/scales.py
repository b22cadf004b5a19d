"""The scale of every tensor of a network, which converts the hardware's integers to torch's values."""

from dataclasses import dataclass

import numpy as np
from torch import nn

from zerocross.finn_flows.network import (
    Activation,
    Add,
    BitPlanes,
    Conv,
    Dense,
    Flatten,
    LabelSelect,
    Layer,
    MaxPool,
    Network,
    Pad,
    Sparse,
    SumPool,
    Thermometer,
)
from zerocross.hw_search.extraction.weights import integer_weights
from zerocross.models.errors import ModelError
from zerocross.models.layers import StreamSlot

_EXACT = 1 << 24
"""Largest integer up to which float32 is exact."""


class UnsupportedModule(ModelError):
    """A part of a topology that has no hardware. The message names the part and the remedy."""


@dataclass(frozen=True)
class Scale:
    """The scale of a tensor: torch's value is step * (integer - zero) / divisor.

    Attributes:
        step: A power of two.
        zero: Integer of value 0, int64, shape (), or (channels,) after products of levels.
        divisor: Odd integer. It is 1 except after a mean over a window whose size is not a power of two.
    """

    step: float
    zero: np.ndarray
    divisor: int = 1

    def values(self, integers: np.ndarray) -> np.ndarray:
        """Return torch's values.

        Args:
            integers: Integers, shape (T,).

        Returns:
            float32, shape (T,), or (T, channels) if each channel has its own zero.
        """
        shifted = integers[:, None] - self.zero if self.zero.ndim else integers - self.zero
        # One rounding, as in torch: the float64 quotient rounds to the same float32 as the exact quotient.
        return (shifted * self.step / self.divisor).astype(np.float32)

    def integers(self, values: np.ndarray) -> np.ndarray:
        """Return the integers of torch's values, shape (..., channels)."""
        return np.rint(values.astype(np.float64) * self.divisor / self.step).astype(np.int64) + self.zero


_WHOLE = Scale(1.0, np.int64(0) * np.ones((), np.int64))


def scales(network: Network, modules: dict[str, nn.Module]) -> dict[str, Scale]:
    """Return the scales of the input and of every layer's output except the label, by name.

    Args:
        network: Layers, shapes and bits.
        modules: torch modules of the layers, by name.

    Raises:
        UnsupportedModule: If integers cannot represent torch's computation, or float32 is not exact.
    """
    found = {"input": _WHOLE}
    for layer in network.layers:
        source = found[layer.inputs[0]]
        match layer.operation:
            case Dense() | Sparse() | Conv():
                found[layer.name] = _product(layer, network, source, modules[layer.name])
            case Thermometer() | BitPlanes():
                found[layer.name] = _WHOLE
            case Activation():
                module = modules[layer.name]
                found[layer.name] = (
                    Scale(module.grid.step, np.array(-module.grid.low, np.int64))
                    if isinstance(module, StreamSlot)
                    else _WHOLE
                )
            case SumPool(kernel):
                found[layer.name] = _mean(layer, source, kernel[0] * kernel[1])
            case Add():
                found[layer.name] = _sum(layer, [found[name] for name in layer.inputs])
            case Pad() | MaxPool() | Flatten():
                found[layer.name] = source
            case LabelSelect():
                _check_logits(layer, source)
    _check_exact(network, found)
    return found


def _product(layer: Layer, network: Network, source: Scale, module: nn.Module) -> Scale:
    _check_whole(layer, source)
    integers, step = integer_weights(module)
    flat = integers.reshape(len(integers), -1).astype(np.int64)
    grid = network.grids()[layer.inputs[0]]
    reach = np.abs(flat).sum(axis=1).max() * max(
        abs(grid.low - int(source.zero)), abs(grid.high - int(source.zero))
    )
    if reach >= _EXACT:
        raise UnsupportedModule(
            f"{layer.name} reaches {reach:,}, but float32 is exact only up to {_EXACT:,}: use fewer inputs or bits"
        )
    zero = source.zero * flat.sum(axis=1) if source.zero else source.zero
    return Scale(source.step * step, np.asarray(zero, np.int64))


def _mean(layer: Layer, source: Scale, area: int) -> Scale:
    _check_whole(layer, source)
    twos = area & -area
    return Scale(source.step / twos, source.zero * area, area // twos)


def _sum(layer: Layer, sources: list[Scale]) -> Scale:
    for source in sources:
        _check_whole(layer, source)
    steps = sorted({source.step for source in sources})
    if len(steps) > 1:
        raise UnsupportedModule(
            f"{layer.name} adds values on the scales {' and '.join(f'{step:g}' for step in steps)}: "
            "use StreamSlots before it to give both terms the same scale"
        )
    return Scale(steps[0], sum((source.zero for source in sources), np.zeros((), np.int64)))


def _check_whole(layer: Layer, source: Scale) -> None:
    if source.divisor != 1:
        raise UnsupportedModule(
            f"{layer.name} reads a mean over a window whose size is not a power of two: insert a StreamSlot before it"
        )


def _check_logits(layer: Layer, source: Scale) -> None:
    if source.zero.ndim and len(set(source.zero.tolist())) > 1:
        raise UnsupportedModule(
            "the classifier reads signed levels, which give every class a different offset: insert a StreamSlot with "
            "signed=False before it"
        )


def _check_exact(network: Network, found: dict[str, Scale]) -> None:
    """Reject sums of levels that are too large to be exact in float32."""
    grids = network.grids()
    for layer in network.layers:
        if isinstance(layer.operation, Add | SumPool) and grids[layer.name].high >= _EXACT:
            raise UnsupportedModule(
                f"{layer.name} reaches {grids[layer.name].high:,}, but float32 is exact only up to {_EXACT:,}: use fewer "
                "bits or smaller windows"
            )
