"""Evaluates regions at every integer they can read: where their output changes, and whether they only rescale."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from zerocross.finn_flows.crossings import CrossingTable
from zerocross.finn_flows.lowering.errors import LoweringError
from zerocross.finn_flows.lowering.graph.integers import Integers
from zerocross.finn_flows.lowering.graph.levels import MOST, NOISE, Levels, multiple, snapped
from zerocross.finn_flows.lowering.graph.regions import RegionFunction
from zerocross.finn_flows.network import Grid

_CHUNK = 1 << 20  # values evaluated at once: 4 MB a tensor of float32


@dataclass(frozen=True)
class Steps:
    """A function of few values on a grid in each channel: where it changes, and to which value.

    `channel`, `place` and `value` are the changes, sorted by channel, then by place. Each channel begins with a change at
    place 0.
    """

    grid: Grid
    channel: np.ndarray
    place: np.ndarray
    value: np.ndarray

    def table(self, levels: Levels) -> CrossingTable:
        """Return the crossings of every bit plane of the level numbers."""
        index, bits = levels.index(self.value), levels.bits
        first, rows, places = [], [], []
        begins = self.place == 0
        for plane in range(bits):
            bit = (index >> plane) & 1
            flips = np.flatnonzero((bit[1:] != bit[:-1]) & ~begins[1:]) + 1
            first.append(bit[begins])
            rows.append(self.channel[flips] * bits + plane)
            places.append(self.place[flips])
        row, place = np.concatenate(rows), np.concatenate(places)
        order = np.lexsort((place, row))
        offsets = np.searchsorted(row[order], np.arange(bits * int(begins.sum()) + 1))
        starts = np.stack(first, axis=1).reshape(-1)
        return CrossingTable(
            self.grid, starts.astype(np.uint8), offsets.astype(np.int64), place[order].astype(np.int64)
        )


def evaluate(response: RegionFunction, source: Integers) -> tuple[Steps, list[np.ndarray]] | None:
    """Evaluate a region at every integer of its source.

    Returns:
        The changes of its output and, if it holds pools, all values at all stages; None if its output has more than 256
        values.
    """
    pools = any(node.op_type == "MaxPool" for node in response.movers)
    kept: list[list[np.ndarray]] = []
    changes: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    before: np.ndarray | None = None
    for start, stages in _chunks(response, source):
        found = stages[-1]
        if pools:
            kept.append(stages)
        changed = np.empty(found.shape, bool)
        changed[0] = True if before is None else found[0] != before
        np.not_equal(found[1:], found[:-1], out=changed[1:])
        place, channel = np.nonzero(changed)
        value = found[place, channel]
        changes.append((channel, place + start, value))
        before = found[-1]
        if len(np.unique(value)) > MOST:
            return None
    channel, place, value = (np.concatenate(each) for each in zip(*changes, strict=True))
    order = np.lexsort((place, channel))
    whole = [np.concatenate(each) for each in zip(*kept, strict=True)]
    return Steps(source.grid, channel[order], place[order], value[order]), whole


def rescaled(response: RegionFunction, source: Integers) -> tuple[float, float] | None:
    """Return scale and offset of a region that only rescales the integers x of levels.

    Returns:
        (scale, offset) if the output is `scale * x + offset` up to float32's rounding, with the same scale above 0 and
        the same offset in all channels; else None.
    """
    columns = []
    for _, stages in _chunks(response, source):
        found = stages[-1]
        if (found != found[:, :1]).any():
            return None
        columns.append(found[:, 0].astype(np.float64))
    values, steps = np.concatenate(columns), len(source.grid) - 1
    scale = (values[-1] - values[0]) / steps / source.grid.step
    line = np.linspace(values[0], values[-1], steps + 1)
    if not scale > 0 or (np.abs(values - line) > NOISE * np.abs(values).max()).any():
        return None
    scale = snapped(values - values[0], scale)
    return scale, multiple(float(values[0]) - source.grid.low * scale, scale, values)


def _chunks(response: RegionFunction, source: Integers) -> Iterator[tuple[int, list[np.ndarray]]]:
    """Yield a region's stages at the integers of a source in chunks, each with the index of its first integer."""
    grid, channels = source.grid, response.segments[0].channels
    length = max(1, _CHUNK // max(response.channels, channels))
    for start in range(0, len(grid), length):
        integers = grid.low + grid.step * np.arange(start, min(start + length, len(grid)))
        values = source.values(integers)
        yield start, response.stages(np.broadcast_to(values, (len(values), channels)))


def crossing_position(response: RegionFunction, stages: list[np.ndarray], shared: int = 0) -> int:
    """Return how many moving nodes must stay ahead of the crossings, so that no pool's result changes.

    - A pool ahead of the crossings is correct if the nodes ahead of it never fall.
    - A pool behind the crossings is correct if the nodes behind it never fall on the values it reads.
    - The least such number is taken, because levels are narrower than accumulators.

    Args:
        response: Function of the region.
        stages: Values from `evaluate`.
        shared: Number of leading moving nodes that other regions read too, and that are built only once.

    Raises:
        LoweringError: If there is no such number.
    """
    movers = response.movers
    spreads = [index for index, segment in enumerate(response.segments) if segment.spread is not None]
    pads = [index for index, node in enumerate(movers) if node.op_type == "Pad"]
    least, most = max(shared, (spreads or [0])[-1]), (pads or [len(movers)])[0]
    pools = [index for index, node in enumerate(movers) if node.op_type == "MaxPool"]
    for position in range(least, most + 1):
        if all(
            _never_falls(stages[pool]) if pool < position else _never_falls_on(stages[pool], stages[-1])
            for pool in pools
        ):
            return position
    worst = movers[pools[0] if pools else pads[0]]
    raise LoweringError(
        f"{worst.name} ({worst.op_type}) stands inside the activation of {response.region.origin} and cannot be swapped "
        "with it: put it directly behind the product or behind the quantizer"
    )


def _never_falls(values: np.ndarray) -> bool:
    return bool((np.diff(values, axis=0) >= 0).all())


def _never_falls_on(arguments: np.ndarray, values: np.ndarray) -> bool:
    order = np.argsort(arguments, axis=0, kind="stable")
    return _never_falls(np.take_along_axis(values, order, axis=0))
