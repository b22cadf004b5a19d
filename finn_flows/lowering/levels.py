"""Quantization levels: a few equidistant values, and the integers that stand for them in hardware."""

from dataclasses import dataclass

import numpy as np

MOST = 256
"""Levels of the widest quantizer: 8 bits."""

NOISE = 4 * float(np.finfo(np.float32).eps)
"""Relative: what rounding to float32 may move a value by."""


@dataclass(frozen=True)
class Levels:
    """Values `scale * x + offset` of integers x: -1 and +1 with one bit, 0..2**bits - 1 with more.

    Attributes:
        bits: 1..8.
        scale: above 0.
        offset: the value of x = 0.
    """

    bits: int
    scale: float = 1.0
    offset: float = 0.0

    @property
    def low(self) -> int:
        """The least integer x."""
        return -1 if self.bits == 1 else 0

    @property
    def high(self) -> int:
        """The largest integer x."""
        return 1 if self.bits == 1 else 2**self.bits - 1

    @property
    def step(self) -> int:
        """The difference of neighbouring integers x."""
        return 2 if self.bits == 1 else 1

    def value(self, x: int) -> float:
        """Return the value an integer stands for."""
        return self.scale * x + self.offset

    def index(self, values: np.ndarray) -> np.ndarray:
        """Return which level each value is, counted from 0, as int64."""
        return np.rint((values - self.value(self.low)) / (self.scale * self.step)).astype(np.int64)


def equidistant(values: np.ndarray, from_zero: bool = False, counted: bool = False) -> Levels | None:
    """Find the levels that some values are.

    A quantizer is, here, whatever leaves no more than 256 equidistant values: Quant and BipolarQuant, but also a
    Sign, a Floor behind a Clip, or a comparison.

    Args:
        values: all that occur, in any order.
        from_zero: spend a bit more to have 0 and one value above it as 0 and 1 instead of -1 and +1.
        counted: have any two values as 0 and 1, as sums need them.

    Returns:
        Levels that hold all the values, or None if there are none with up to 8 bits.
    """
    found = np.unique(values.astype(np.float64))
    if not np.isfinite(found).all():
        return None
    if len(found) == 1:  # any second value will do; the opposite one makes an ordinary sign of it
        found = np.array([-abs(found[0]), abs(found[0])]) if found[0] else np.array([0.0, 1.0])
    reach = found[-1] - found[0]
    steps = np.arange(1, MOST)[:, None]  # how many there may be between the least and the largest value
    places = (found - found[0]) / reach * steps
    off = (np.abs(places - np.rint(places)) / steps).max(axis=1) * reach
    fits = np.flatnonzero(off <= NOISE * np.abs(found).max())
    if not len(fits):
        return None
    count = int(steps[fits[0], 0]) + 1
    step = snapped(found, reach / (count - 1))
    if count == 2 and not counted and not (from_zero and found[0] == 0):
        return Levels(1, step / 2, multiple((found[0] + found[-1]) / 2, step / 2, found))
    return Levels(max(2, (count - 1).bit_length()), step, multiple(found[0], step, found))


def multiple(offset: float, scale: float, values: np.ndarray) -> float:
    """Return an offset as a whole multiple of the scale, where it is one but for float32's rounding."""
    whole = float(np.rint(offset / scale)) * scale
    return whole if abs(whole - offset) <= NOISE * np.abs(values).max() else float(offset)


def snapped(values: np.ndarray, step: float) -> float:
    """Return the float32 near a step whose multiples hit the most values: rounding hides in the last digits."""
    rough = np.float32(step)
    near = [rough, np.nextafter(rough, np.float32(np.inf)), np.nextafter(rough, np.float32(-np.inf))]
    return float(max(near, key=lambda each: _hits(values, float(each))))


def _hits(values: np.ndarray, step: float) -> int:
    return int((np.float32(step * np.rint(values / step)) == values).sum())
