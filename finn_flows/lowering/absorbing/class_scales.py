"""Logits with a scale for each class: real numbers in the file become integers that give the same class.

The logit of class i is `s[i] * a[i] + b[i]` for its accumulator a[i]. Hardware computes `m[i] * a[i] + o[i]` with integers
m and o. They give the same class if they order every two classes alike, at all accumulators that the two classes can have
together. For two classes these are points of a lattice; a line divides them into those where the first class is chosen and
those where the second is. Only the corners of the convex hulls of the two sets matter.

- The factors m are the scales times a common number, rounded to integers.
- For given factors, each pair of classes i, j allows a range of o[j] - o[i]. Ranges of differences have a common solution,
  or none, which the shortest paths between the classes show.
- The common number is the least for which there is a solution.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

import numpy as np

from zerocross.finn_flows.network import Grid

MOST_BITS = 20
"""Bits of the largest factor that is tried."""

_FAR = 1 << 50  # more than any difference of two logits
_FIRST, _LONGEST = 64, 1 << 14  # factors tried at once


@dataclass(frozen=True)
class Progression:
    """The integers low, low + step, ..., high."""

    low: int
    high: int
    step: int


@dataclass(frozen=True)
class Reach:
    """The accumulators that classes can have: sums of `times` products of their weights with any inputs.

    Attributes:
        weights: Integers, shape (classes, fan-in), int64.
        inputs: Grid of each input.
        times: Number of products that an accumulator adds: the area of a pool behind the product.
    """

    weights: np.ndarray
    inputs: Grid
    times: int = 1

    def of(self, row: np.ndarray) -> Progression:
        """Return the sums of a row of weights."""
        low = int(np.where(row > 0, row * self.inputs.low, row * self.inputs.high).sum()) * self.times
        high = int(np.where(row > 0, row * self.inputs.high, row * self.inputs.low).sum()) * self.times
        return Progression(low, high, max(1, self.inputs.step * int(np.gcd.reduce(np.abs(row)))))

    def together(self, i: int, j: int) -> "Together":
        """Return the accumulators that two classes can have together."""
        one, other = self.weights[i], self.weights[j]
        return Together(self.of(one), self.of(other), self.of(one - other), self.of(one + other))


@dataclass(frozen=True)
class Together:
    """The accumulators that two classes can have together: a superset that is exact in each of the four numbers.

    Attributes:
        one: Accumulators of the first class.
        other: Accumulators of the second class.
        difference: Their difference, the first minus the second.
        total: Their sum.
    """

    one: Progression
    other: Progression
    difference: Progression
    total: Progression

    def rows(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
        """Return accumulators of the second class; with each, the least and the largest of the first; and their step."""
        x = np.arange(self.other.low, self.other.high + 1, self.other.step, dtype=np.int64)
        low = np.maximum(np.maximum(self.one.low, x + self.difference.low), self.total.low - x)
        high = np.minimum(np.minimum(self.one.high, x + self.difference.high), self.total.high - x)
        if self.difference.step % self.one.step == 0:
            step, start = self.difference.step, x + self.difference.low
        else:
            step, start = self.one.step, np.full_like(x, self.one.low)
        low, high = low + (start - low) % step, high - (high - start) % step
        some = low <= high
        return x[some], low[some], high[some], step


@dataclass(frozen=True)
class _Border:
    """The accumulators (x of the second class, y of the first) next to the line between two classes.

    Attributes:
        chosen: Points where the first class is chosen, the least y for each x; shape (2, T).
        other: Points where the second class is chosen, the largest y for each x; shape (2, T).
    """

    chosen: np.ndarray
    other: np.ndarray

    def corners(self) -> "_Border":
        """Return the corners of the lower hull of the first set, and of the upper hull of the second."""
        flipped = _lower_hull(self.other * np.array([[1], [-1]]))
        return _Border(_lower_hull(self.chosen), flipped * np.array([[1], [-1]]))

    def range(self, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the least and the largest `o[second] - o[first]` for factors of both classes, shape (T,)."""
        chosen = first[:, None] * self.chosen[1] - second[:, None] * self.chosen[0]
        other = first[:, None] * self.other[1] - second[:, None] * self.other[0]
        low = other.max(axis=1) + 1 if other.size else np.full(len(first), -_FAR)
        high = chosen.min(axis=1) if chosen.size else np.full(len(first), _FAR)
        return low, high


def integer_lines(
    scales: Sequence[Fraction], biases: Sequence[Fraction], reach: Reach
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return integers that choose the same class as real scales and biases, for all accumulators a.

    argmax(factor * a + bias) = argmax(scale * a + bias of the file); the first index wins a tie on both sides.

    Args:
        scales: Scale of each class, of either sign or 0.
        biases: Bias of each class.
        reach: Accumulators that the classes can have.

    Returns:
        Factors and biases, int64, shape (classes,); None if a factor needs more than 20 bits.
    """
    # With a negative scale, the accumulator's sign changes; with scale 0, the accumulator does not matter.
    signs = np.array([(scale > 0) - (scale < 0) for scale in scales])
    turned = Reach(reach.weights * signs[:, None], reach.inputs, reach.times)
    sizes = [abs(scale) or Fraction(1) for scale in scales]
    pairs = list(combinations(range(len(scales)), 2))
    borders = [_border(turned.together(i, j), sizes[i], sizes[j], biases[j] - biases[i]) for i, j in pairs]
    found = _search(sizes, pairs, [border.corners() for border in borders])
    if found is None:
        return None
    factors, offsets = found
    for (i, j), border in zip(pairs, borders, strict=True):
        low, high = border.range(factors[i : i + 1], factors[j : j + 1])
        assert low[0] <= offsets[j] - offsets[i] <= high[0], "the integers change a class"
    return factors * signs, offsets


def _border(reach: Together, one: Fraction, other: Fraction, ahead: Fraction) -> _Border:
    """Return the points next to the line `one * y = other * x + ahead`, on which the first class is chosen."""
    x, low, high, step = reach.rows()
    parts = [one, other, ahead]
    common = math.lcm(*(part.denominator for part in parts))
    numbers = [int(part * common) for part in parts]
    shared = math.gcd(*numbers)
    slope, rise, start = (number // shared for number in numbers)
    bits = max(abs(rise) * int(np.abs(x).max(initial=0)) + abs(start), slope).bit_length()
    exact = x if bits < 62 else x.astype(object)  # Python's integers have any size
    least = np.clip(-((-(rise * exact + start)) // slope), low, high + step).astype(np.int64)
    least = least + (low - least) % step
    chosen, other_side = least <= high, least > low
    return _Border(np.stack([x[chosen], least[chosen]]), np.stack([x[other_side], least[other_side] - step]))


def _lower_hull(points: np.ndarray) -> np.ndarray:
    """Return the corners of the lower convex hull of points (2, T) with rising x."""
    while points.shape[1] > 2:
        (before, after), rise = (np.diff(points[0])[:-1], np.diff(points[0])[1:]), np.diff(points[1])
        keep = np.ones(points.shape[1], bool)
        keep[1:-1] = rise[:-1] * after < rise[1:] * before
        if keep.all():
            break
        points = points[:, keep]
    return points


def _search(
    scales: Sequence[Fraction], pairs: Sequence[tuple[int, int]], borders: Sequence[_Border]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the least factors with a solution, and its offsets."""
    largest = max(scales)
    shares = np.array([float(scale / largest) for scale in scales])
    start, length = 1, _FIRST
    while start < 1 << MOST_BITS:
        sizes = np.arange(start, min(start + length, 1 << MOST_BITS))
        factors = np.rint(sizes[:, None] * shares).astype(np.int64)
        for (i, j), border in zip(pairs, borders, strict=True):
            low, high = border.range(factors[:, i], factors[:, j])
            factors = factors[low <= high]
        for chosen in factors:
            most = np.zeros((len(scales), len(scales)), np.int64)
            for (i, j), border in zip(pairs, borders, strict=True):
                (low,), (high,) = border.range(chosen[i : i + 1], chosen[j : j + 1])
                most[i, j], most[j, i] = high, -low
            offsets = _solution(most)
            if offsets is not None:
                return chosen, offsets
        start, length = start + length, min(2 * length, _LONGEST)
    return None


def _solution(most: np.ndarray) -> np.ndarray | None:
    """Return offsets with `o[j] - o[i] <= most[i, j]` for all i, j; None if there are none."""
    paths = most
    for via in range(len(paths)):
        paths = np.minimum(paths, paths[:, via : via + 1] + paths[via : via + 1])
    if (np.diagonal(paths) < 0).any():
        return None
    offsets = paths.min(axis=0)
    return offsets - (offsets.min() + offsets.max()) // 2
