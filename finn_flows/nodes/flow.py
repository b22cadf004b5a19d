"""Arrival times of a stream's pixels while a pipeline fills, computed row by row."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from zerocross.finn_flows.nodes.stream import Stream

Row = tuple[float, float]


@dataclass(frozen=True)
class Flow:
    """Cycles at which a stream's pixels are complete. A vector is an image of one pixel.

    Attributes:
        rows: For each row of pixels, the cycles of the last word of its first pixel and of its last pixel. Pixels
            between them are evenly spaced.
        columns: Pixels of a row.
        spread: Cycles from a pixel's first word to its last.
        depth: Delay in cycles of the registers so far, added to all times.
        is_input: Whether this is the design's input, which waits until it is read.
    """

    rows: list[Row]
    columns: int
    spread: float
    depth: int = 0
    is_input: bool = False

    @property
    def times(self) -> np.ndarray:
        """Cycle in which each pixel is complete, delay of registers included, shape (pixels,)."""
        share = np.linspace(0, 1, self.columns) if self.columns > 1 else np.ones(1)
        first, last = np.array(self.rows, float).T[:, :, None]
        return (first + share * (last - first)).reshape(-1) + self.depth

    @property
    def end(self) -> int:
        """Cycles from the first input word to the last word of this stream."""
        return math.ceil(self.rows[-1][1]) + self.depth + 1

    def later(self, cycles: int) -> "Flow":
        """Return the flow after that many more registers."""
        return replace(self, depth=self.depth + cycles, is_input=False)

    def flat(self) -> "Flow":
        """Return the flow with the image as one vector."""
        begin, end = self.rows[0][0] - self.spread, self.rows[-1][1]
        return Flow([(end, end)], 1, end - begin, self.depth)

    def worked(self, work: float, left: float, spread: float) -> "Flow":
        """Return the output of a node that works a fixed number of cycles on each pixel.

        Args:
            work: Cycles from one pixel to the next, without stalls.
            left: Least number of cycles that the node works after a pixel's last word.
            spread: Cycles from the first to the last word of an output pixel.
        """
        left, row = max(left, work - 1 - self.spread), (self.columns - 1) * work
        done, rows = -math.inf, []
        for first, last in self.rows:
            begun = max(first + left, done + work)
            done = max(last + left, begun + row)
            rows.append((begun, done))
        return Flow(rows, self.columns, spread, self.depth)


def input_flow(stream: Stream) -> Flow:
    """Return the flow of a design's input, which delivers one word per cycle."""
    rows, columns, _ = stream.shape if len(stream.shape) == 3 else (1, 1, 1)
    words = stream.words // (rows * columns)
    line = columns * words
    ends = [(row * line + words - 1, (row + 1) * line - 1) for row in range(rows)]
    return Flow([(float(first), float(last)) for first, last in ends], columns, words - 1, is_input=True)


def joined(reads: Sequence[Flow], words: int) -> Flow:
    """Return the flow of a sum. A vector must be complete before the first pixel is summed.

    Args:
        reads: Flow of each term.
        words: Words of the sum for an image.
    """
    depth, columns = max(flow.depth for flow in reads), max(flow.columns for flow in reads)
    count = max(len(flow.rows) for flow in reads)
    work = words / (count * columns)
    late = []
    for flow in reads:
        behind = depth - flow.depth
        rows = [(first - behind, last - behind) for first, last in flow.rows]
        late.append(rows if len(rows) * flow.columns == count * columns else [rows[-1][-1:] * 2] * count)
    done, result = -math.inf, []
    for row in zip(*late, strict=True):
        begun = max(*(first for first, _ in row), done + work)
        done = max(*(last for _, last in row), begun + (columns - 1) * work)
        result.append((begun, done))
    return Flow(result, columns, max(work - 1, *(flow.spread for flow in reads)), depth)
