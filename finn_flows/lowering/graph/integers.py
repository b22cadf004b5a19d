"""Tensors of integers and the real values they represent."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from zerocross.finn_flows.lowering.graph.levels import Levels
from zerocross.finn_flows.network import Grid, level_grid

_SAME = 1e-6  # relative: float32's rounding, a few times over


@dataclass(frozen=True)
class Integers:
    """A tensor of integers x that represent `scale * (x + zero) / divisor + bias` in each channel.

    Scale, zero, divisor and bias stay separate numbers, so that a value is rounded once, where torch rounds it. If the
    scales are powers of two, the value equals torch's to the last bit.

    Attributes:
        tensor: Name in the absorbed graph.
        grid: Integers that x can be.
        scale: Above 0; one number or shape (channels,).
        zero: One number or shape (channels,); a whole number if the real values are multiples of the scale.
        divisor: Number of elements of the windows of mean pools.
        bias: Bias of a product, float32; one number or shape (channels,).
        axis: Axis of the channels.
        is_levels: Whether products and sums may read the tensor; they may not read accumulators.
    """

    tensor: str
    grid: Grid
    scale: np.ndarray
    zero: np.ndarray
    divisor: int = 1
    bias: np.ndarray | float = 0.0
    axis: int = 1
    is_levels: bool = True

    @property
    def is_plain(self) -> bool:
        """Whether the values are the integers themselves."""
        return bool((self.step == 1).all() and (self.zero == 0).all() and not np.any(self.bias))

    @property
    def step(self) -> np.ndarray:
        """Difference of the values of neighbouring integers."""
        return np.asarray(self.scale / self.divisor)

    def level(self, value: float) -> int | None:
        """Return the integer that represents a value in all channels; None if there is none."""
        scale, zero = np.unique(self.scale), np.unique(self.zero)
        if len(scale) != 1 or len(zero) != 1 or np.any(self.bias):
            return None
        level = round(value * self.divisor / float(scale[0]) - float(zero[0]))
        if level not in range(self.grid.low, self.grid.high + 1, self.grid.step):
            return None
        exact = (
            abs(float(self.values(np.array([level]))[0, 0]) - value) <= 1e-5 * float(scale[0]) / self.divisor
        )
        return level if exact else None

    def values(self, integers: np.ndarray) -> np.ndarray:
        """Return the values of integers of shape (T,): float32, shape (T, channels), or (T, 1) if all channels are alike."""
        shifted = integers[:, None] + np.atleast_1d(self.zero)
        return (shifted * self.scale / self.divisor).astype(np.float32) + np.atleast_1d(
            np.asarray(self.bias, np.float32)
        )

    def real(self, tensor: np.ndarray) -> np.ndarray:
        """Return the values of a tensor of integers, float32, of the same shape."""
        shape = [1] * tensor.ndim
        shape[self.axis] = -1
        scale, zero, bias = (np.reshape(each, shape) for each in (self.scale, self.zero, self.bias))
        return ((tensor + zero) * scale / self.divisor).astype(np.float32) + bias.astype(np.float32)


def of_levels(tensor: str, levels: Levels, axis: int = 1) -> Integers:
    """Return a quantizer's output as integers."""
    scale = np.float64(levels.scale)
    return Integers(
        tensor, level_grid(levels.bits), np.asarray(scale), np.asarray(levels.offset / scale), axis=axis
    )


def added(tensor: str, terms: list[Integers]) -> Integers | None:
    """Return the sum of levels; None if their scales differ by more than float32's rounding."""
    first = terms[0]
    if any(abs(term.step - first.step) > _SAME * first.step for term in terms):
        return None
    divisor = first.divisor if all(term.divisor == first.divisor for term in terms) else 1
    zero = np.asarray(sum(term.zero for term in terms))
    scale = first.scale if divisor == first.divisor else first.step
    return Integers(tensor, Grid(0, sum(term.grid.high for term in terms)), scale, zero, divisor)


def joined(tensor: str, terms: Sequence[Integers], channels: Sequence[int]) -> Integers:
    """Return levels, or bits, of several tensors as the channels of one.

    Args:
        tensor: Name of the tensor that holds all channels.
        terms: Tensors that it joins, all of bits or all of levels.
        channels: Channels of each of them.
    """
    grid = max((term.grid for term in terms), key=lambda grid: grid.high)
    divisor = terms[0].divisor if all(term.divisor == terms[0].divisor for term in terms) else 1
    scales = [term.scale if divisor == term.divisor else term.step for term in terms]
    scale, zero = (
        np.concatenate([np.broadcast_to(part, count) for part, count in zip(parts, channels, strict=True)])
        for parts in (scales, [term.zero for term in terms])
    )
    return replace(terms[0], tensor=tensor, grid=grid, scale=scale, zero=zero, divisor=divisor)


def along(levels: Integers, channels: np.ndarray | None) -> Integers:
    """Return levels whose channels were moved: for each channel, the number that it had before; None for the same ones."""
    if channels is None:
        return levels
    scale, zero = (each[channels] if each.size > 1 else each for each in (levels.scale, levels.zero))
    return replace(levels, scale=scale, zero=zero)


def with_one_scale(levels: Integers) -> Integers | None:
    """Return levels with one scale for all channels; None if the channels' scales differ by more than float32's rounding."""
    first = levels.scale.flat[0]
    if (np.abs(levels.scale - first) > _SAME * first).any():
        return None
    zero = levels.zero.flat[0] if (levels.zero == levels.zero.flat[0]).all() else levels.zero
    return replace(levels, scale=np.asarray(first), zero=np.asarray(zero))


def pooled(tensor: str, of: Integers, area: int, is_mean: bool) -> Integers:
    """Return the sums, or the means, of windows of `area` levels."""
    divisor = of.divisor * area if is_mean else of.divisor
    return Integers(tensor, Grid(0, of.grid.high * area), of.scale, of.zero * area, divisor)
