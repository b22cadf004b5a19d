"""The scaling of numbers to bytes. Networks are trained on bytes, so it is part of every network of a search."""

import math
from dataclasses import dataclass

import numpy as np

from zerocross.models.samples import DataError

_OUTER = 0.01
"""Share of a column's values at either end that may be outliers."""

_BEYOND = 0.25
"""How far a range reaches beyond the other values at most, in units of their range."""

_SHOWN = 8


@dataclass(frozen=True)
class ByteScaling:
    """A scaling of numbers to bytes: byte = (value - low) * 255 / (high - low), rounded, and clipped to 0..255.

    Attributes:
        low: Value of byte 0: one for each column of a table, or a single one for all values.
        high: Value of byte 255, likewise. A range without width maps low to 0.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    def to_bytes(self, x: np.ndarray) -> np.ndarray:
        """Return numbers as bytes.

        Args:
            x: Shape (N, columns) with a range for each column, else any shape.
        """
        low, high = (
            np.array(ends) if len(ends) > 1 else np.float64(ends[0]) for ends in (self.low, self.high)
        )
        width = np.where(high > low, high - low, 1.0)
        return np.clip(np.rint((x.astype(np.float64) - low) * (255 / width)), 0, 255).astype(np.uint8)

    def clipped(self, x: np.ndarray) -> np.ndarray:
        """Return a mask of the numbers that lie outside the range, by more than half a byte."""
        low, high = np.array(self.low), np.array(self.high)
        slack = (high - low) / 510
        return (x < low - slack) | (x > high + slack)


def scaling_of(x: np.ndarray) -> ByteScaling | None:
    """Return the scaling for training samples; None for bytes, which are used as they are.

    - Images have one range for all values, from the least to the largest.
    - A table, of shape (N, columns), has one range for each column. It is from the least to the largest value, but
      outliers do not stretch it: it reaches beyond the middle 98 % of the values by at most a quarter of their range.

    Args:
        x: Training samples, shape (N, ...).

    Raises:
        DataError: If a range is too wide or too narrow for float64.
    """
    if x.dtype == np.uint8:
        return None
    if x.ndim != 2:
        return _checked(ByteScaling((float(x.min()),), (float(x.max()),)))
    values = x.astype(np.float64)
    low, high = values.min(axis=0), values.max(axis=0)
    # Values that occur, not means of neighbours: a mean with an outlier would be one itself.
    inner_low = np.quantile(values, _OUTER, axis=0, method="higher")
    inner_high = np.quantile(values, 1 - _OUTER, axis=0, method="lower")
    reach = _BEYOND * (inner_high - inner_low)
    is_spread = reach > 0  # else nearly all values are equal, and the others are all there is to see
    low = np.where(is_spread, np.maximum(low, inner_low - reach), low)
    high = np.where(is_spread, np.minimum(high, inner_high + reach), high)
    return _checked(ByteScaling(tuple(low.tolist()), tuple(high.tolist())))


def _checked(scaling: ByteScaling) -> ByteScaling:
    """Return the scaling if float64 can compute it."""
    for column, (low, high) in enumerate(zip(scaling.low, scaling.high, strict=True)):
        width = high - low
        if width and not (math.isfinite(width) and math.isfinite(255 / width)):
            where = f"column {column} (counted from 0)" if len(scaling.low) > 1 else "the samples"
            raise DataError(
                f"numbers from {low:g} to {high:g} in {where} cannot be scaled to bytes: their range is too wide or "
                "too narrow for float64; multiply them by a factor"
            )
    return scaling


def scaling_notes(scaling: ByteScaling | None, x: np.ndarray) -> list[str]:
    """Return notes on a table's scaling: constant columns, and how many outliers are clipped.

    Args:
        scaling: Scaling from `scaling_of`.
        x: The training samples that are used, all or some of those that decided the scaling.
    """
    if scaling is None or x.ndim != 2:
        return []
    low, high = np.array(scaling.low), np.array(scaling.high)
    constant = np.flatnonzero(low == high)
    notes = [f"x_train: {_columns(constant)} the same value in all training samples"] if len(constant) else []
    outliers = scaling.clipped(x.astype(np.float64)).sum(axis=0)
    if total := int(outliers.sum()):
        columns, most = np.count_nonzero(outliers), int(outliers.argmax())
        where, number = f"column {most}", ""
        if columns > 1:
            where, number = f"{columns:,} columns, most in column {most}", f"{outliers[most]:,} "
        notes.append(
            f"x_train: outliers are clipped to their column's range: {total:,} of {x.size:,} values, in {where} "
            f"({number}outside {low[most]:.4g}..{high[most]:.4g})"
        )
    return notes


def _columns(indices: np.ndarray) -> str:
    names = ", ".join(map(str, indices[:_SHOWN])) + (", ..." if len(indices) > _SHOWN else "")
    return f"columns {names} hold" if len(indices) > 1 else f"column {names} holds"
