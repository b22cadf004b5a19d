"""The crossing table: all an activation and its sign are, on the integer grid of an accumulator.

For each channel a row of bits over the grid; stored as the first bit and the places where the bit flips. Places
are grid indices: index i is accumulator `low + i * step`, and for a binary product it is the popcount. A crossing
at i means that bit i differs from bit i - 1, so

    bit(i) = first XOR parity(number of crossings <= i)
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from zerocross.finn_flows.errors import FlowError
from zerocross.finn_flows.network import Grid

Response = Callable[[np.ndarray], np.ndarray]
"""From accumulators (T,) to values of the activation ahead of its sign (channels, T)."""

Signs = Callable[[np.ndarray], np.ndarray]
"""From accumulators (T,) to their bits, or UNDEFINED where the activation is not a number, (channels, T), uint8."""

UNDEFINED = 2

AT_ONCE = 1 << 18  # values evaluated at once: a megabyte of float32, which stays in a CPU's cache
_DENSE = 1 << 22  # tables of up to so many bits are looked up directly, larger ones by searching


class CrossingError(FlowError):
    """An activation that has no table; the message says which channel and accumulator."""


@dataclass(frozen=True)
class CrossingTable:
    """First bits and crossings of every channel of one activation.

    Attributes:
        grid: the integers its accumulator can be.
        first: the bit at the least accumulator, shape (channels,), uint8.
        offsets: channel c's crossings are `places[offsets[c]:offsets[c + 1]]`, shape (channels + 1,), int64.
        places: grid indices 1..len(grid)-1, rising within each channel, int64.
    """

    grid: Grid
    first: np.ndarray
    offsets: np.ndarray
    places: np.ndarray

    @property
    def channels(self) -> int:
        """Number of channels."""
        return len(self.first)

    def counts(self) -> np.ndarray:
        """Return the number of crossings of each channel, shape (channels,)."""
        return np.diff(self.offsets)

    def crossings(self, channel: int) -> np.ndarray:
        """Return a channel's crossings as grid indices."""
        return self.places[self.offsets[channel] : self.offsets[channel + 1]]

    def accumulators(self, channel: int) -> np.ndarray:
        """Return a channel's crossings as accumulators: the first value on the new side of each."""
        return self.grid.low + self.grid.step * self.crossings(channel)

    def constants(self) -> dict[int, int]:
        """Return the channels without crossings and the bit each of them always is."""
        return {int(c): int(self.first[c]) for c in np.flatnonzero(self.counts() == 0)}

    def row(self, channel: int) -> np.ndarray:
        """Return a channel's bits over the whole grid, shape (len(grid),), uint8."""
        flips = np.zeros(len(self.grid), np.uint8)
        flips[self.crossings(channel)] = 1
        flips[0] = self.first[channel]
        return np.bitwise_xor.accumulate(flips)

    def bits(self, accumulators: np.ndarray) -> np.ndarray:
        """Look accumulators up.

        Args:
            accumulators: integers on the grid, shape (..., channels).

        Returns:
            Bits of the same shape, uint8.

        Raises:
            CrossingError: for an accumulator off the grid.
        """
        shift = np.asarray(accumulators, np.int64) - self.grid.low
        index, off = np.divmod(shift, self.grid.step)
        if off.any() or (index < 0).any() or (index >= len(self.grid)).any():
            raise CrossingError("an accumulator lies off the grid")
        if self.channels * len(self.grid) <= _DENSE:
            rows = np.stack([self.row(channel) for channel in range(self.channels)])
            return rows[np.arange(self.channels), index]
        result = np.empty(index.shape, np.uint8)
        for channel in range(self.channels):
            passed = np.searchsorted(self.crossings(channel), index[..., channel], side="right")
            result[..., channel] = (passed & 1) ^ self.first[channel]
        return result

    def select(self, channels: np.ndarray) -> "CrossingTable":
        """Return the table of some channels, in the order given."""
        return _assemble(self.grid, self.first[channels], [self.crossings(c) for c in channels])

    def inverted(self, channels: np.ndarray) -> "CrossingTable":
        """Return the table with the bits of some channels (boolean mask) inverted."""
        return CrossingTable(self.grid, self.first ^ channels.astype(np.uint8), self.offsets, self.places)

    def moved(self, grid: Grid, offsets: np.ndarray) -> "CrossingTable":
        """Return the table for a smaller accumulator that has an offset for each channel.

        The new table's bit at accumulator a is this one's at a + offset; used where constant inputs have been
        taken out of a product.

        Args:
            grid: the new accumulator's grid; all of it, plus the offset, must be on this table's grid.
            offsets: shape (channels,).
        """
        first, rows = [], []
        for channel, offset in enumerate(offsets):
            start = (grid.low + int(offset) - self.grid.low) // self.grid.step
            here = self.crossings(channel)
            before = int(np.searchsorted(here, start, side="right"))
            first.append((before & 1) ^ int(self.first[channel]))
            places = here[before:] - start
            rows.append(places[places < len(grid)])
        return _assemble(grid, np.array(first, np.uint8), rows)


def _assemble(grid: Grid, first: np.ndarray, rows: list[np.ndarray]) -> CrossingTable:
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows], dtype=np.int64)]).astype(np.int64)
    places = np.concatenate(rows).astype(np.int64) if rows else np.zeros(0, np.int64)
    return CrossingTable(grid, first.astype(np.uint8), offsets, places)


def from_bits(grid: Grid, bits: np.ndarray) -> CrossingTable:
    """Make the table of rows of bits.

    Args:
        grid: T points.
        bits: 0 or 1, shape (channels, T).
    """
    bits = np.asarray(bits, np.uint8)
    if bits.shape[1:] != (len(grid),):
        raise CrossingError(f"rows of {bits.shape[1:]} bits for a grid of {len(grid)} points")
    channel, place = np.nonzero(bits[:, 1:] != bits[:, :-1])
    offsets = np.searchsorted(channel, np.arange(len(bits) + 1))
    return CrossingTable(grid, bits[:, 0].copy(), offsets.astype(np.int64), place.astype(np.int64) + 1)


def from_response(grid: Grid, channels: int, response: Response) -> CrossingTable:
    """Make the table of an activation by evaluating it at every integer of the grid; nothing is approximated.

    Args:
        grid: the accumulator's.
        channels: number of channels.
        response: the activation ahead of its sign; the bit is 1 where it is >= 0.

    Raises:
        CrossingError: if a value is not a number.
    """

    def signs(accumulators: np.ndarray) -> np.ndarray:
        values = np.asarray(response(accumulators))
        return np.where(np.isnan(values), UNDEFINED, values >= 0).astype(np.uint8)

    return from_signs(grid, channels, signs)


def from_signs(grid: Grid, channels: int, signs: Signs, at_once: int | None = None) -> CrossingTable:
    """Make the table of an activation from its signs, asked for at every integer of the grid.

    Args:
        grid: the accumulator's.
        channels: number of channels.
        signs: the activation's, evaluated wherever that is quickest.
        at_once: how many of them to ask for at once; AT_ONCE where it is None.

    Raises:
        CrossingError: if one is UNDEFINED.
    """
    length = max(1, (at_once or AT_ONCE) // max(1, channels))
    first = last = None
    found: list[np.ndarray] = []
    for start in range(0, len(grid), length):
        indices = np.arange(start, min(start + length, len(grid)))
        # Channel by channel at every accumulator, which is how torch lays them out.
        bits = np.ascontiguousarray(signs(grid.low + grid.step * indices).T)
        if bits.max(initial=0) == UNDEFINED:
            channel = int(np.flatnonzero((bits == UNDEFINED).any(axis=0))[0])
            where = int(np.flatnonzero(bits[:, channel] == UNDEFINED)[0])
            raise CrossingError(
                f"the activation of channel {channel} is not a number at accumulator "
                f"{grid.low + grid.step * int(indices[where])}"
            )
        if last is None:
            first = last = bits[0].copy()
        # Of a (T, channels) array all at once: index place * channels + channel.
        row = np.concatenate([last, bits.ravel()])
        found.append(np.flatnonzero(row[channels:] != row[:-channels]) + start * channels)
        last = bits[-1].copy()
    assert first is not None
    place, channel_of = np.divmod(np.concatenate(found), channels)
    order = np.argsort(channel_of, kind="stable")
    offsets = np.searchsorted(channel_of[order], np.arange(channels + 1))
    return CrossingTable(grid, first, offsets.astype(np.int64), place[order].astype(np.int64))
