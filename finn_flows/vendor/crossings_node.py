"""The crossing site as FINN's operator, and crossing tables as its parameters."""

from typing import ClassVar

import numpy as np

from zerocross.finn_flows import structural
from zerocross.finn_flows.accumulators import type_bits
from zerocross.finn_flows.crossings import CrossingTable
from zerocross.finn_flows.network import Grid
from zerocross.finn_flows.plan import Stream
from zerocross.finn_flows.rtl import nodes
from zerocross.finn_flows.structural import Price
from zerocross.finn_flows.vendor.stream_node import AttributeTypes, StreamNode
from zerocross.finn_flows.vendor.stream_types import stream_type


class ZcCrossings(StreamNode):
    """A crossing site (`nodes.Crossings`).

    Parameters, a row for each channel and bit of its output: the bit at the least accumulator, (rows,); and the
    accumulators at which it flips, rising, (rows, most of any row), filled up with one that never comes.
    """

    attributes: ClassVar[AttributeTypes] = {
        "NumChannels": ("i", True, 0),
        "PE": ("i", True, 1),
        "outputDataType": ("s", True, "BINARY"),
        # the accumulators that can come: the least, the step to the next, and how many
        "gridLow": ("i", False, 0),
        "gridStep": ("i", False, 1),
        "gridPoints": ("i", True, 0),
        # crossings of each row, for the price
        "numCrossings": ("ints", True, []),
        "way": ("s", False, "comparators", {"comparators", "search", "table"}),
        "ram_style": ("s", False, "distributed", {"distributed", "block"}),
        "numInputVectors": ("ints", False, [1]),
    }
    modules = ("zc_crossings",)

    def sources(self) -> tuple[Stream, ...]:
        """Return the accumulators."""
        grid = self._grid
        empty = CrossingTable(grid, np.zeros(1, np.uint8), np.zeros(2, np.int64), np.zeros(0, np.int64))
        datatype = stream_type(nodes.Crossings(empty, 1, by_index=False).inputs["s"])
        return (Stream(self._shape, self.get_nodeattr("PE"), datatype),)

    def sinks(self) -> tuple[Stream, ...]:
        """Return the bits or levels."""
        return (Stream(self._shape, self.get_nodeattr("PE"), self.get_nodeattr("outputDataType")),)

    def record(self, *parameters: np.ndarray) -> nodes.Crossings:
        """Return the crossing site."""
        first, places = (np.asarray(parameter) for parameter in parameters)
        return nodes.Crossings(
            _table(self._grid, first, places),
            self.get_nodeattr("PE"),
            self.get_nodeattr("way"),
            by_index=False,
            ram_style=self.get_nodeattr("ram_style"),
            bits=self._bits,
        )

    def price(self) -> Price:
        """Return the price of the way it is built."""
        lanes, way = self.get_nodeattr("PE") * self._bits, self.get_nodeattr("way")
        if way == "table" and self.get_nodeattr("ram_style") == "block":
            way = "table in block RAM"
        return structural.crossing_way(self.ints("numCrossings"), lanes, self.get_nodeattr("gridPoints"), way)

    def get_op_and_param_counts(self) -> dict[str, int]:
        """Return the crossings, as FINN counts thresholds."""
        return {
            f"param_threshold_{self.get_instream_width() // self.get_nodeattr('PE')}b": sum(
                self.ints("numCrossings")
            )
        }

    @property
    def _grid(self) -> Grid:
        low, step = self.get_nodeattr("gridLow"), self.get_nodeattr("gridStep")
        return Grid(low, low + step * (self.get_nodeattr("gridPoints") - 1), step)

    @property
    def _shape(self) -> tuple[int, ...]:
        return (*self.ints("numInputVectors"), self.get_nodeattr("NumChannels"))

    @property
    def _bits(self) -> int:
        return type_bits(self.get_nodeattr("outputDataType"))


def crossing_parameters(table: CrossingTable) -> tuple[np.ndarray, np.ndarray]:
    """Return a table as the parameters of a `ZcCrossings`, float32 as FINN keeps all tensors."""
    counts, never = table.counts(), table.grid.high + table.grid.step
    places = np.full((table.channels, max(1, int(counts.max()))), never, np.float32)
    for row in range(table.channels):
        places[row, : counts[row]] = table.accumulators(row)
    return table.first.astype(np.float32), places


def _table(grid: Grid, first: np.ndarray, places: np.ndarray) -> CrossingTable:
    """Return the table of which `crossing_parameters` were taken."""
    real = places <= grid.high
    offsets = np.concatenate([[0], np.cumsum(real.sum(axis=1))]).astype(np.int64)
    index = (places[real].astype(np.int64) - grid.low) // grid.step
    return CrossingTable(grid, first.astype(np.uint8), offsets, index)
