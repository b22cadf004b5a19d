"""Tensors of integers, and the real values they stand for."""

from dataclasses import dataclass

import numpy as np

from zerocross.finn_flows.lowering.levels import Levels
from zerocross.finn_flows.network import Grid, level_grid

_SAME = 1e-6  # relative: float32's rounding, a few times over


@dataclass(frozen=True)
class Integers:
    """A tensor of integers x that stand for `scale * (x + zero) / divisor + bias`, channel by channel.

    Scale, zero, divisor and bias are kept as separate numbers, so that a value is rounded once, where torch rounds it.
    With scales that are powers of two it is torch's value to the last bit.

    Attributes:
        tensor: its name in the absorbed graph.
        grid: what x can be.
        scale: above 0, one number or shape (channels,).
        zero: likewise; whole where the real values are multiples of the scale.
        divisor: elements of the windows of mean pools.
        bias: float32, likewise; of a product.
        axis: where the channels are.
        is_levels: whether products and sums may read it; accumulators they may not.
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
        """What one more integer adds to the value."""
        return np.asarray(self.scale / self.divisor)

    @property
    def lowest(self) -> float:
        """The value of the least integer of levels, which is what hardware pads with."""
        return float(self.values(np.array([self.grid.low]))[0, 0])

    def values(self, integers: np.ndarray) -> np.ndarray:
        """Return the values of integers of shape (T,): float32, shape (T, channels), or (T, 1) if they are all alike."""
        shifted = integers[:, None] + np.atleast_1d(self.zero)
        return (shifted * self.scale / self.divisor).astype(np.float32) + np.atleast_1d(
            np.asarray(self.bias, np.float32)
        )


def of_levels(tensor: str, levels: Levels, axis: int = 1) -> Integers:
    """Return a quantizer's output as integers."""
    scale = np.float64(levels.scale)
    return Integers(
        tensor, level_grid(levels.bits), np.asarray(scale), np.asarray(levels.offset / scale), axis=axis
    )


def added(tensor: str, terms: list[Integers]) -> Integers | None:
    """Return the sum of levels; None where their scales differ by more than float32's rounding."""
    first = terms[0]
    if any(abs(term.step - first.step) > _SAME * first.step for term in terms):
        return None
    divisor = first.divisor if all(term.divisor == first.divisor for term in terms) else 1
    zero = np.asarray(sum(term.zero for term in terms))
    scale = first.scale if divisor == first.divisor else first.step
    return Integers(tensor, Grid(0, sum(term.grid.high for term in terms)), scale, zero, divisor)


def pooled(tensor: str, of: Integers, area: int, is_mean: bool) -> Integers:
    """Return the sums of windows of so many levels, as means or as they are."""
    divisor = of.divisor * area if is_mean else of.divisor
    return Integers(tensor, Grid(0, of.grid.high * area), of.scale, of.zero * area, divisor)
