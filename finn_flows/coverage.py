"""How much of an integer network some samples exercise.

A wrong weight or crossing can only change an answer if samples come near it. For every activation this module counts

- channels whose output changed,
- crossings whose both sides were seen: some accumulator was between it and the crossing before, some after,
- crossings that were seen at their step: both integers beside the crossing occurred. Only these show a crossing that is
  off by one.

A boundary between two levels counts as one crossing, however many bit planes flip there. What no input can reach does not
count, as far as limits and steps of weights and levels prove it. Sums of signs with weights -1, 0 and 1, for example, are
all even or all odd: the integers beside a crossing are then 2 apart.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from zerocross.finn_flows.crossings import CrossingTable
from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.network import (
    Activation,
    Add,
    Concat,
    Conv,
    Dense,
    Flatten,
    Grid,
    MaxPool,
    Pad,
    Select,
    Sparse,
    SumPool,
)

_DENSE = 1 << 22  # grids of at most that many points in all channels have a table from points to cells

Range = tuple[np.ndarray, np.ndarray]
"""Least and largest integer of every channel of a tensor."""


@dataclass(frozen=True)
class Reach:
    """The integers low, low + step, ... high, which are all that a channel can be.

    Attributes:
        low: Least integer of every channel, (channels,).
        high: Largest integer.
        step: Step, 0 for constant channels.
    """

    low: np.ndarray
    high: np.ndarray
    step: np.ndarray

    def map(self, change: Callable[[np.ndarray], np.ndarray]) -> "Reach":
        """Return a reach whose channels are chosen from these, such as by indexing or repeating."""
        return Reach(change(self.low), change(self.high), change(self.step))


def _even(low: np.ndarray, high: np.ndarray, step: int | np.ndarray) -> Reach:
    return Reach(low, high, np.where(low == high, 0, step))


def _joined(parts: Sequence[Reach]) -> Reach:
    return Reach(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("low", "high", "step"))
    )


@dataclass(frozen=True)
class LayerCoverage:
    """What samples exercised of one activation.

    Attributes:
        name: Name of the activation.
        channels: Channels that can change.
        changed: Those whose output was seen at two values or more.
        crossings: Crossings that can be reached.
        both_sides: Those seen from both sides.
        at_step: Those for which both neighbouring integers were seen.
    """

    name: str
    channels: int
    changed: int
    crossings: int
    both_sides: int
    at_step: int


@dataclass(frozen=True)
class Coverage:
    """What samples exercised of a network.

    Attributes:
        samples: Number of samples.
        distinct: Number of different samples, as integers.
        classes: Number of classes.
        classes_seen: Number of classes that were an answer.
        inputs: Number of input elements.
        inputs_changed: Input elements that were seen at two values or more.
        layers: The activations, in order.
    """

    samples: int
    distinct: int
    classes: int
    classes_seen: int
    inputs: int
    inputs_changed: int
    layers: tuple[LayerCoverage, ...]


class Cells:
    """The grid of one activation, cut into cells: each point beside a crossing is a cell, and each stretch between them.

    Points and cells of all channels are numbered through: point i of channel c is c * len(grid) + i.

    Args:
        table: The crossings; row c * bits + j is plane j of channel c.
        bits: Bit planes of a channel.
        output: Grid of the activation's output.
        reach: Accumulators that can occur. The integers beside a crossing are the nearest of them.
    """

    def __init__(self, table: CrossingTable, bits: int, output: Grid, reach: Reach) -> None:
        self.grid = table.grid
        points, channels = len(table.grid), table.channels // bits
        self._firsts = np.arange(channels) * points
        rows = np.repeat(np.arange(table.channels), table.counts())
        found = np.unique(rows // bits * points + table.places)
        low, high = (
            np.clip((limit - self.grid.low) // self.grid.step, 0, points - 1) + self._firsts
            for limit in (reach.low, reach.high)
        )
        stride = np.where(reach.low < self.grid.low, 1, np.maximum(1, reach.step // self.grid.step))
        # A crossing between two accumulators that can occur acts like one at the upper accumulator.
        owner = found // points
        upper = low[owner] + -(-(found - low[owner]) // stride[owner]) * stride[owner]
        upper = np.unique(upper[upper // points == owner])
        lower = upper - stride[upper // points]
        sides = [found - 1, found, found + 1, lower, lower + 1, upper, upper + 1]
        self.starts = np.unique(np.concatenate([self._firsts, *sides]))
        self.starts = self.starts[(self.starts >= 0) & (self.starts < channels * points)]
        self.channel = self.starts // points
        ends = np.append(self.starts[1:], channels * points)
        is_reached = (self.starts <= high[self.channel]) & (ends > low[self.channel])
        self.values = _values(table, bits, output, self.channel, self.starts - self._firsts[self.channel])
        self.output = self._extremes(is_reached)
        # A stretch of a channel between two crossings is a segment: cells segment_starts[s] to segment_starts[s + 1] - 1.
        segments = np.union1d(self._firsts, upper)
        self.segment_starts = np.searchsorted(self.starts, segments)
        owner = upper // points
        upper = upper[(upper > low[owner]) & (upper <= high[owner])]
        before, after = (
            np.searchsorted(self.starts, each) for each in (upper - stride[upper // points], upper)
        )
        flips = self.values[before] != self.values[after]
        self.crossings, self.before, self.after = upper[flips], before[flips], after[flips]
        self.segment_after = np.searchsorted(segments, self.crossings)

    @property
    def count(self) -> int:
        """Number of cells."""
        return len(self.starts)

    def points(self, accumulators: np.ndarray) -> np.ndarray:
        """Return the points of accumulators, shape (..., channels), numbered through all channels."""
        return (accumulators - self.grid.low) // self.grid.step + self._firsts

    def visited(self, accumulators: np.ndarray) -> np.ndarray:
        """Return the cells that each sample visits.

        Args:
            accumulators: Integers on the grid, (N, ..., channels).

        Returns:
            bool, shape (N, cells).
        """
        points = self.points(accumulators).reshape(len(accumulators), -1)
        if self._cell_of is not None:
            cells = self._cell_of[points]
        else:
            cells = np.searchsorted(self.starts, points, side="right") - 1
        seen = np.zeros((len(points), self.count), bool)
        seen[np.arange(len(points))[:, None], cells] = True
        return seen

    def changed(self, seen: np.ndarray) -> np.ndarray:
        """Return the channels whose output has two values or more in the visited cells, bool (channels,)."""
        low, high = self._extremes(seen)
        return low < high

    @cached_property
    def _cell_of(self) -> np.ndarray | None:
        whole = len(self._firsts) * len(self.grid)
        if whole > _DENSE:
            return None
        lengths = np.diff(np.append(self.starts, whole))
        return np.repeat(np.arange(self.count, dtype=np.int32), lengths)

    def _extremes(self, chosen: np.ndarray) -> Range:
        """Return the least and largest output of every channel in some cells."""
        least, most = np.iinfo(np.int64).min, np.iinfo(np.int64).max
        firsts = np.searchsorted(self.channel, np.arange(len(self._firsts)))
        return (
            np.minimum.reduceat(np.where(chosen, self.values, most), firsts),
            np.maximum.reduceat(np.where(chosen, self.values, least), firsts),
        )


def _values(
    table: CrossingTable, bits: int, output: Grid, channel: np.ndarray, index: np.ndarray
) -> np.ndarray:
    """Return the output of a channel at a grid index, both (T,)."""
    points = len(table.grid)
    codes = np.repeat(np.arange(table.channels), table.counts()) * points + table.places
    level = np.zeros(len(channel), np.int64)
    for plane in range(bits):
        row = channel * bits + plane
        passed = np.searchsorted(codes, row * points + index, side="right") - table.offsets[row]
        level += ((passed & 1) ^ table.first[row]).astype(np.int64) << plane
    return output.low + output.step * level


def cells(net: IntegerNetwork) -> dict[str, Cells]:
    """Return the cells of every activation of a network, by name."""
    grids, shapes = net.network.grids(), net.network.shapes()
    low, high = grids["input"].low, grids["input"].high
    width = shapes["input"][-1]
    step = grids["input"].step
    ranges = {"input": _even(np.full(width, low), np.full(width, high), step)}
    found: dict[str, Cells] = {}
    for layer in net.network.layers:
        source = ranges[layer.inputs[0]]
        match layer.operation:
            case Activation(_, bits):
                cut = Cells(net.tables[layer.name], bits, grids[layer.name], source)
                found[layer.name], ranges[layer.name] = cut, _even(*cut.output, grids[layer.name].step)
            case Flatten():
                height, across, _ = (
                    shapes[layer.inputs[0]] if len(shapes[layer.inputs[0]]) == 3 else (1, 1, 0)
                )
                ranges[layer.name] = source.map(partial(np.tile, reps=height * across))
            case _ if layer.name in grids:
                ranges[layer.name] = _range(net, layer.name, [ranges[name] for name in layer.inputs])
    return found


def _range(net: IntegerNetwork, name: str, sources: list[Reach]) -> Reach:
    """Return the reach of a layer's output; the whole grid where weights and inputs do not narrow it cheaply."""
    layer = next(each for each in net.network.layers if each.name == name)
    grids, width = net.network.grids(), net.network.shapes()[name][-1]
    source = sources[0]
    match layer.operation:
        case Dense() | Sparse():
            return _product(net.weights[name], source)
        case Conv(groups=groups):
            weights = net.weights[name]
            reads = np.split(np.arange(len(source.low)), groups)
            return _joined(
                [
                    _product(part.reshape(len(part), -1), source.map(_repeated(read, part[0].size)))
                    for part, read in zip(np.split(weights, groups), reads, strict=True)
                ]
            )
        case Pad(_, value):
            steps = np.gcd(source.step, np.abs(value - source.low))
            return _even(np.minimum(source.low, value), np.maximum(source.high, value), steps)
        case MaxPool():
            return source
        case Select(channels):
            return source.map(lambda each: each[list(channels)])
        case Concat():
            return _joined(sources)
        case SumPool(kernel):
            area = int(np.prod(kernel))
            return _even(area * source.low, area * source.high, source.step)
        case Add():
            low, high = (np.sum([getattr(each, end) for each in sources], axis=0) for end in ("low", "high"))
            return _even(low, high, np.gcd.reduce([each.step for each in sources]))
    return _even(np.full(width, grids[name].low), np.full(width, grids[name].high), grids[name].step)


def _repeated(chosen: np.ndarray, size: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda each: np.resize(each[chosen], size)


def _product(weights: np.ndarray, read: Reach) -> Reach:
    """Return the reach of weights (channels, features) times inputs (features,)."""
    up, down = np.maximum(weights, 0).astype(np.int64), np.minimum(weights, 0).astype(np.int64)
    steps = np.gcd.reduce(np.abs(weights.astype(np.int64)) * read.step, axis=1)
    return Reach(up @ read.low + down @ read.high, up @ read.high + down @ read.low, steps)


class Watch:
    """Sees the outputs of all layers, batch by batch, and counts what they exercised.

    Args:
        net: Network that runs the samples.
    """

    def __init__(self, net: IntegerNetwork) -> None:
        self._net, self._cells = net, cells(net)
        self._seen = {name: np.zeros(each.count, bool) for name, each in self._cells.items()}
        self._samples, self._rows, self._answers = 0, set[bytes](), set[int]()
        self._limits: Range | None = None

    def see(self, values: dict[str, np.ndarray]) -> None:
        """See a batch.

        Args:
            values: Outputs of all layers by name, as `IntegerNetwork.run` returns them.
        """
        layers = {layer.name: layer for layer in self._net.network.layers}
        for name, each in self._cells.items():
            self._seen[name] |= each.visited(values[layers[name].inputs[0]]).any(axis=0)
        inputs = values["input"].reshape(len(values["input"]), -1)
        self._samples += len(inputs)
        self._rows |= {hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in inputs}
        self._answers |= set(np.unique(values[self._net.network.layers[-1].name]).tolist())
        limits = inputs.min(axis=0), inputs.max(axis=0)
        old = self._limits or limits
        self._limits = np.minimum(old[0], limits[0]), np.maximum(old[1], limits[1])

    def coverage(self) -> Coverage:
        """Return what all batches exercised."""
        network = self._net.network
        logits = network.shapes()[network.layers[-1].inputs[0]]
        low, high = self._limits or (np.zeros(0), np.zeros(0))
        return Coverage(
            self._samples,
            len(self._rows),
            max(2, int(np.prod(logits))),
            len(self._answers),
            int(np.prod(network.input.shape)),
            int((low < high).sum()),
            tuple(_layer(name, each, self._seen[name]) for name, each in self._cells.items()),
        )


def _layer(name: str, cut: Cells, seen: np.ndarray) -> LayerCoverage:
    segments = np.logical_or.reduceat(seen, cut.segment_starts)
    able = np.unique(cut.channel[cut.after])
    return LayerCoverage(
        name,
        len(able),
        int(cut.changed(seen)[able].sum()),
        len(cut.crossings),
        int((segments[cut.segment_after] & segments[cut.segment_after - 1]).sum()),
        int((seen[cut.before] & seen[cut.after]).sum()),
    )


def measure(net: IntegerNetwork, inputs: np.ndarray, batch: int = 250) -> Coverage:
    """Return what samples exercise of a network.

    Args:
        net: The network.
        inputs: Samples in the format of `IntegerNetwork.run`.
        batch: Samples that run at once.
    """
    watch = Watch(net)
    for start in range(0, len(inputs), batch):
        watch.see(net.run(inputs[start : start + batch]))
    return watch.coverage()
