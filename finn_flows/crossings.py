"""The crossing table: an exact form of an activation and its sign on the integer grid of an accumulator.

Each channel has a row of bits over the grid, stored as the first bit and the places where the bit flips. A place is a
grid index: index i is accumulator `low + i * step`, which is the popcount in a binary product. A crossing at i means that
bit i differs from bit i - 1, so

    bit(i) = first XOR parity(number of crossings <= i)
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from zerocross.finn_flows.errors import FlowError
from zerocross.finn_flows.network import Grid

Response = Callable[[np.ndarray], np.ndarray]
"""Function from accumulators (T,) to values of the activation before its sign (channels, T)."""

Signs = Callable[[np.ndarray], np.ndarray]
"""Function from accumulators (T,) to bits (channels, T), uint8; UNDEFINED where the activation is not a number."""

UNDEFINED = 2

AT_ONCE = 1 << 18  # values evaluated at once: a megabyte of float32, which fits a CPU's cache
_DENSE = 1 << 22  # tables of at most that many bits are looked up directly, larger ones by binary search


class CrossingError(FlowError):
    """An activation has no table; the message names the channel and the accumulator."""


@dataclass(frozen=True)
class CrossingTable:
    """First bits and crossings of all channels of one activation.

    Attributes:
        grid: Possible values of the accumulator.
        first: Bit at the least accumulator, shape (channels,), uint8.
        offsets: Limits of each channel in `places`: channel c's crossings are `places[offsets[c]:offsets[c + 1]]`; shape
            (channels + 1,), int64.
        places: Grid indices 1..len(grid)-1, rising within each channel, int64.
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
        """Return a channel's crossings as accumulators: the first accumulator after each flip."""
        return self.grid.low + self.grid.step * self.crossings(channel)

    def constants(self) -> dict[int, int]:
        """Return the channels without crossings, each with its constant bit."""
        return {int(c): int(self.first[c]) for c in np.flatnonzero(self.counts() == 0)}

    def row(self, channel: int) -> np.ndarray:
        """Return a channel's bits over the whole grid, shape (len(grid),), uint8."""
        flips = np.zeros(len(self.grid), np.uint8)
        flips[self.crossings(channel)] = 1
        flips[0] = self.first[channel]
        return np.bitwise_xor.accumulate(flips)

    def bits(self, accumulators: np.ndarray) -> np.ndarray:
        """Return the bits of accumulators.

        Args:
            accumulators: Integers on the grid, shape (..., channels).

        Returns:
            Bits of the same shape, uint8.

        Raises:
            CrossingError: If an accumulator is off the grid.
        """
        shift = np.asarray(accumulators, np.int64) - self.grid.low
        index, off = np.divmod(shift, self.grid.step)
        if off.any() or (index < 0).any() or (index >= len(self.grid)).any():
            raise CrossingError(f"an accumulator is off the grid {self.grid}")
        if self.channels * len(self.grid) <= _DENSE:
            rows = np.stack([self.row(channel) for channel in range(self.channels)])
            return rows[np.arange(self.channels), index]
        result = np.empty(index.shape, np.uint8)
        for channel in range(self.channels):
            passed = np.searchsorted(self.crossings(channel), index[..., channel], side="right")
            result[..., channel] = (passed & 1) ^ self.first[channel]
        return result

    def select(self, channels: np.ndarray) -> "CrossingTable":
        """Return the table of some channels, in the given order."""
        return _assemble(self.grid, self.first[channels], [self.crossings(c) for c in channels])

    def inverted(self, channels: np.ndarray) -> "CrossingTable":
        """Return the table with the bits of some channels (boolean mask) inverted."""
        return CrossingTable(self.grid, self.first ^ channels.astype(np.uint8), self.offsets, self.places)

    def within(self, lows: np.ndarray, highs: np.ndarray) -> "CrossingTable":
        """Return the table without the crossings that no accumulator reaches. The bits of reached accumulators stay.

        Args:
            lows: Smallest accumulator of each channel, on the grid, shape (channels,).
            highs: Largest accumulator of each channel, on the grid, shape (channels,).
        """
        channel = np.repeat(np.arange(self.channels), self.counts())
        values = self.grid.low + self.grid.step * self.places
        below, kept = values <= lows[channel], (values > lows[channel]) & (values <= highs[channel])
        flips = np.bincount(channel[below], minlength=self.channels) & 1
        counts = np.bincount(channel[kept], minlength=self.channels)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return CrossingTable(self.grid, self.first ^ flips.astype(np.uint8), offsets, self.places[kept])

    def moved(self, grid: Grid, offsets: np.ndarray) -> "CrossingTable":
        """Return the table of another accumulator, which differs by an offset in each channel.

        The new table's bit at accumulator a is this table's bit at a + offset. Two uses are the removal of constant inputs
        from a product, and accumulators that count from 0.

        Args:
            grid: Grid of the new accumulator; all of it plus the offset must be on this table's grid.
            offsets: Offset of each channel, shape (channels,).
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
    """Return the table of given rows of bits.

    Args:
        grid: Grid of T points.
        bits: 0 or 1, shape (channels, T).

    Raises:
        CrossingError: If the rows do not have T bits.
    """
    bits = np.asarray(bits, np.uint8)
    if bits.shape[1:] != (len(grid),):
        raise CrossingError(f"rows of {bits.shape[1:]} bits for a grid of {len(grid)} points")
    channel, place = np.nonzero(bits[:, 1:] != bits[:, :-1])
    offsets = np.searchsorted(channel, np.arange(len(bits) + 1))
    return CrossingTable(grid, bits[:, 0].copy(), offsets.astype(np.int64), place.astype(np.int64) + 1)


def from_response(grid: Grid, channels: int, response: Response) -> CrossingTable:
    """Return the table of an activation, evaluated at every integer of the grid. The table is exact.

    Args:
        grid: Grid of the accumulator.
        channels: Number of channels.
        response: Activation before its sign; the bit is 1 if the value is >= 0.

    Raises:
        CrossingError: If a value is not a number.
    """

    def signs(accumulators: np.ndarray) -> np.ndarray:
        values = np.asarray(response(accumulators))
        return np.where(np.isnan(values), UNDEFINED, values >= 0).astype(np.uint8)

    return from_signs(grid, channels, signs)


def from_signs(grid: Grid, channels: int, signs: Signs, at_once: int | None = None) -> CrossingTable:
    """Return the table of an activation from its signs at every integer of the grid.

    Args:
        grid: Grid of the accumulator.
        channels: Number of channels.
        signs: Signs of the activation. The function may use any device.
        at_once: Number of signs to evaluate at once; None for AT_ONCE.

    Raises:
        CrossingError: If a sign is UNDEFINED.
    """
    length = max(1, (at_once or AT_ONCE) // max(1, channels))
    first = last = None
    found: list[np.ndarray] = []
    for start in range(0, len(grid), length):
        indices = np.arange(start, min(start + length, len(grid)))
        # Transpose to (T, channels), the memory order of torch's results.
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
        # Find all flips of the (T, channels) array at once; a flat index is place * channels + channel.
        row = np.concatenate([last, bits.ravel()])
        found.append(np.flatnonzero(row[channels:] != row[:-channels]) + start * channels)
        last = bits[-1].copy()
    assert first is not None
    place, channel_of = np.divmod(np.concatenate(found), channels)
    order = np.argsort(channel_of, kind="stable")
    offsets = np.searchsorted(channel_of[order], np.arange(channels + 1))
    return CrossingTable(grid, first, offsets.astype(np.int64), place[order].astype(np.int64))
