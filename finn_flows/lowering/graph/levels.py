"""Quantization levels: a few equidistant values and the integers that represent them in hardware."""

from dataclasses import dataclass

import numpy as np

MOST = 256
"""Number of levels of the widest quantizer: 8 bits."""

NOISE = 4 * float(np.finfo(np.float32).eps)
"""Largest relative error that rounding to float32 may cause."""

_LEAST, _MOST_STEP = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Levels:
    """Values `scale * x + offset` of integers x: -1 and +1 with one bit, 0..2**bits - 1 with more.

    Attributes:
        bits: 1..8.
        scale: Above 0.
        offset: Value of x = 0.
    """

    bits: int
    scale: float = 1.0
    offset: float = 0.0

    @property
    def low(self) -> int:
        """Least integer x."""
        return -1 if self.bits == 1 else 0

    @property
    def high(self) -> int:
        """Largest integer x."""
        return 1 if self.bits == 1 else 2**self.bits - 1

    @property
    def step(self) -> int:
        """Difference of neighbouring integers x."""
        return 2 if self.bits == 1 else 1

    def value(self, x: int) -> float:
        """Return the value that an integer represents."""
        return self.scale * x + self.offset

    def index(self, values: np.ndarray) -> np.ndarray:
        """Return the number of each value's level, counted from 0, as int64."""
        return np.rint((values - self.value(self.low)) / (self.scale * self.step)).astype(np.int64)


def equidistant(values: np.ndarray, from_zero: bool = False, counted: bool = False) -> Levels | None:
    """Find the levels of a set of values.

    Any node that makes no more than 256 equidistant values counts as a quantizer: Quant and BipolarQuant, but also a Sign,
    a Floor behind a Clip, or a comparison.

    Args:
        values: All values that occur, in any order.
        from_zero: Whether to represent 0 and one value above it as 0 and 1 with two bits, instead of -1 and +1 with one.
        counted: Whether to represent any two values as 0 and 1, which sums need.

    Returns:
        Levels that hold all the values; None if 8 bits do not suffice, or if their distance is no normal float32.
    """
    found = np.unique(values.astype(np.float64))
    if not np.isfinite(found).all():
        return None
    if len(found) == 1:  # any second value will do; the opposite one makes it an ordinary sign
        found = np.array([-abs(found[0]), abs(found[0])]) if found[0] else np.array([0.0, 1.0])
    with np.errstate(over="ignore"):
        reach = found[-1] - found[0]
    if not _LEAST <= reach <= _MOST_STEP:
        return None
    steps = np.arange(1, MOST)[:, None]  # candidates for the number of steps between least and largest value
    places = (found - found[0]) / reach * steps
    off = (np.abs(places - np.rint(places)) / steps).max(axis=1) * reach
    fits = np.flatnonzero(off <= NOISE * np.abs(found).max())
    if not len(fits):
        return None
    count = int(steps[fits[0], 0]) + 1
    step = snapped(found, reach / (count - 1))
    if step < _LEAST:
        return None
    if count == 2 and not counted and not (from_zero and found[0] == 0):
        return Levels(1, step / 2, multiple((found[0] + found[-1]) / 2, step / 2, found))
    return Levels(max(2, (count - 1).bit_length()), step, multiple(found[0], step, found))


def multiple(offset: float, scale: float, values: np.ndarray) -> float:
    """Return the nearest multiple of the scale if the offset differs from it only by float32's rounding, else the offset."""
    whole = float(np.rint(offset / scale)) * scale
    return whole if abs(whole - offset) <= NOISE * np.abs(values).max() else float(offset)


def snapped(values: np.ndarray, step: float) -> float:
    """Return the float32 near a step whose multiples equal the most values; it undoes rounding in the last bit."""
    rough = np.float32(step)
    near = [rough, np.nextafter(rough, np.float32(np.inf)), np.nextafter(rough, np.float32(-np.inf))]
    return float(max(near, key=lambda each: _hits(values, float(each))))


def _hits(values: np.ndarray, step: float) -> int:
    return int((np.float32(step * np.rint(values / step)) == values).sum())
