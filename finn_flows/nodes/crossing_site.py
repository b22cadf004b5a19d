"""The node that applies a layer's crossings: accumulators in, bits or levels out, `zc_crossings`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from zerocross.finn_flows import cost_model
from zerocross.finn_flows.accumulators import integer_type
from zerocross.finn_flows.cost_model import Price
from zerocross.finn_flows.crossings import CrossingTable
from zerocross.finn_flows.network import Grid
from zerocross.finn_flows.nodes.node import (
    HardwareNode,
    Instance,
    NodeError,
    StockNode,
    check_exact,
    check_folding,
    given,
    write_memory,
)
from zerocross.finn_flows.nodes.stream import Stream, from_bits, to_bits

COMPARATORS, SEARCH, TABLE = "comparators", "search", "table"
TABLE_IN_BLOCK_RAM = "table in block RAM"
IMPLEMENTATIONS = (COMPARATORS, SEARCH, TABLE, TABLE_IN_BLOCK_RAM)
"""Implementations of a crossing site: a comparator bank, a binary search, or truth tables in LUTs or block RAM."""


@dataclass(frozen=True)
class CrossingSite(HardwareNode):
    """The crossings of an activation. It reads accumulators as grid indices from 0 and writes bits or levels.

    An output of b bits has b bit planes, and each plane has its own row of crossings: row c * b + j is plane j of channel
    c. Plane 0 is the lowest bit.

    Attributes:
        source: Accumulators, with their channels, lanes (PE) and bits.
        crossings: Number of crossings of each row; `bits` rows per channel.
        points: Number of values that an accumulator can have.
        bits: Bits of an output.
        implementation: "comparators", "search", "table" or "table in block RAM".
        table: Crossings of all rows; None in a plan.
    """

    word: ClassVar[str] = "crossings"
    module: ClassVar[str] = "zc_crossings"
    parameter_names: ClassVar[tuple[str, ...]] = ("first", "crossings")

    source: Stream
    crossings: tuple[int, ...]
    points: int
    bits: int = 1
    implementation: str = COMPARATORS
    table: CrossingTable | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.bits < 1 or len(self.crossings) != self.channels * self.bits:
            raise NodeError(
                f"{len(self.crossings)} rows of crossings do not fit {self.channels} channels of {self.bits} bits"
            )
        check_folding("channels", self.channels, self.source.lanes)
        if self.implementation not in IMPLEMENTATIONS:
            raise NodeError(
                f"unknown implementation {self.implementation!r} of crossings: use one of {', '.join(IMPLEMENTATIONS)}"
            )
        if self.table is not None and len(self.table.grid) != self.points:
            raise NodeError(f"the table has {len(self.table.grid)} points, but the node has {self.points}")
        if self.table is not None and tuple(self.table.counts().tolist()) != self.crossings:
            raise NodeError("the table's numbers of crossings differ from those of the node")

    @classmethod
    def of(
        cls,
        table: CrossingTable,
        pe: int,
        implementation: str = COMPARATORS,
        bits: int = 1,
        vectors: tuple[int, ...] = (),
    ) -> Self:
        """Return the site of a table with `bits` rows per channel. Its accumulators are indices of the table's grid."""
        points, channels = len(table.grid), table.channels // bits
        source = Stream((*vectors, channels), pe, index_bits(points))
        return cls(source, tuple(table.counts().tolist()), points, bits, implementation, table)

    def cheapest(self) -> Self:
        """Return the site with its cheapest implementation."""
        price = cheapest_price(self.crossings, self.source.lanes * self.bits, self.points)
        known = price.implementation in IMPLEMENTATIONS
        return replace(self, implementation=price.implementation if known else COMPARATORS)

    def with_table(self, table: CrossingTable) -> Self:
        """Return the site with the crossings of a table."""
        counts = tuple(table.counts().tolist())
        return replace(self, crossings=counts, points=len(table.grid), table=table)

    @property
    def channels(self) -> int:
        """Values per vector, both in and out."""
        return self.source.shape[-1]

    @property
    def lanes(self) -> tuple[int, int]:
        """See `HardwareNode`."""
        return self.source.lanes, 1

    @property
    def numbers(self) -> CrossingTable:
        """The table. Raises a `NodeError` if none is attached."""
        return given(self.table, "crossings")

    @property
    def inputs(self) -> dict[str, Stream]:
        """The accumulators."""
        return {"s": self.source}

    @property
    def outputs(self) -> dict[str, Stream]:
        """One unsigned value per channel."""
        return {"m": Stream(self.source.shape, self.source.lanes, self.bits)}

    @property
    def latency(self) -> int:
        """Cycles from an input word to its output word."""
        if self.implementation == SEARCH:
            return max(1, *self.crossings).bit_length()
        return 2 if self.implementation == COMPARATORS else 1

    @property
    def limit(self) -> int:
        """Number of crossings that the hardware reserves for each row."""
        most = max(1, *self.crossings)
        return 2 ** most.bit_length() - 1 if self.implementation == SEARCH else most

    def price(self) -> Price:
        """Price the chosen implementation; see `site_price`."""
        lanes = self.source.lanes * self.bits
        return site_price(self.crossings, lanes, self.points, self.implementation)

    def stock(self) -> tuple[StockNode, ...]:
        """FINN's thresholding node with as many thresholds as the busiest row has crossings, but at least 2**bits - 1.

        FINN's node outputs the number of thresholds reached, and its memory grows with the width of that number. Our node
        outputs the number's last bit.
        """
        low, high = self.source.finn_range or (0, self.points - 1)
        steps = max(1, *self.crossings, 2**self.bits - 1)
        sink = self.outputs["m"]
        attributes = (
            ("PE", self.source.lanes),
            ("NumChannels", self.channels),
            ("numSteps", steps),
            ("inputDataType", self.source.stock_datatype),
            ("weightDataType", integer_type(low, high + 1)),
            ("outputDataType", sink.datatype if steps == 1 else f"UINT{steps.bit_length()}"),
            ("numInputVectors", self.source.stock_shape[:-1]),
        )
        return (StockNode("Thresholding_rtl", attributes, sink, "thresholds"),)

    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Compute values (N, elements) from grid indices (N, elements)."""
        grid = self.numbers.grid
        index = np.asarray(samples[0], np.int64).reshape(-1, self.channels)
        accumulators = grid.low + grid.step * index
        planes = self.numbers.bits(accumulators.repeat(self.bits, axis=-1))
        return (from_bits(planes, self.bits).reshape(len(samples[0]), -1),)

    def slim(self) -> "CrossingSite":
        """See `HardwareNode`: one lane of one bit. A search keeps its stages."""
        words = self.channels // self.source.lanes
        most = 2 ** (self.latency - 1) if self.implementation == SEARCH else 1
        grid = Grid(0, most)
        every = np.arange(1, most + 1)
        table = CrossingTable(
            grid, np.zeros(words, np.uint8), most * np.arange(words + 1), np.tile(every, words)
        )
        source = Stream((*self.source.shape[:-1], words), 1, index_bits(len(grid)))
        return CrossingSite(source, (most,) * words, len(grid), 1, self.implementation, table)

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Write first bits and crossings, or complete truth tables."""
        in_table = self.implementation in (TABLE, TABLE_IN_BLOCK_RAM)
        if in_table:
            self._write_tables(folder, prefix)
        else:
            self._write_crossings(folder, prefix)
        return Instance(
            self.module,
            {
                "CHANNELS": self.channels,
                "PE": self.source.lanes,
                "IN_BITS": self.source.bits,
                "BITS": self.bits,
                "SIGNED": 0,
                "LIMIT": self.limit,
                "WAY": TABLE if in_table else self.implementation,
                "PREFIX": prefix,
                "RAM_STYLE": "block" if self.implementation == TABLE_IN_BLOCK_RAM else "distributed",
            },
        )

    def _write_crossings(self, folder: Path, prefix: str) -> None:
        table, limit, bits = self.numbers, self.limit, self.source.bits
        lanes, spare = self.source.lanes * self.bits, limit - self.numbers.counts()
        first = table.first ^ (spare & 1).astype(np.uint8)
        write_memory(folder / f"{prefix}first.mem", first.reshape(-1, lanes))
        # Every accumulator has reached 0, so unused thresholds are 0 and come first.
        thresholds = np.zeros((table.channels, limit), np.int64)
        for row in range(table.channels):
            thresholds[row, spare[row] :] = table.crossings(row)
        for lane in range(lanes):
            mine = thresholds[lane::lanes]
            if self.implementation == COMPARATORS:
                write_memory(folder / f"{prefix}thresholds_{lane}.mem", to_bits(mine, bits))
            else:
                for stage in range(limit.bit_length()):
                    # Each stage stores the middles of the remaining intervals: of 7, the 4th, then the 2nd and 6th.
                    half = (limit + 1) >> (stage + 1)
                    middles = mine[:, half - 1 :: 2 * half].reshape(-1, 1)
                    write_memory(folder / f"{prefix}search_{lane}_{stage}.mem", to_bits(middles, bits))

    def _write_tables(self, folder: Path, prefix: str) -> None:
        # Values off the grid never occur. Rows repeat their last bit there, which makes the logic smaller.
        table, values = self.numbers, np.arange(1 << self.source.bits)
        index = np.clip(values, 0, len(table.grid) - 1)
        rows = np.stack([table.row(row)[index] for row in range(table.channels)])
        lanes, folds = self.source.lanes * self.bits, self.channels // self.source.lanes
        room = max(2, 1 << (folds - 1).bit_length()) * len(values)
        for lane in range(0, lanes, 2):
            pair = np.zeros((2, room), np.uint8)
            for half, mine in enumerate(range(lane, min(lane + 2, lanes))):
                pair[half, : folds * len(values)] = rows[mine::lanes].ravel()
            write_memory(folder / f"{prefix}table_{lane // 2}.mem", pair.reshape(-1, 1))

    def parameters(self) -> dict[str, tuple[np.ndarray, str]]:
        """See `table_parameters`."""
        return table_parameters(self.numbers)

    def operation_counts(self) -> dict[str, int]:
        """See `HardwareNode`."""
        return {f"param_threshold_{self.source.bits}b": sum(self.crossings)}

    def with_parameters(self, parameters: dict[str, np.ndarray]) -> Self:
        """See `HardwareNode`."""
        return replace(self, table=table_of(parameters, self.points))


def table_parameters(table: CrossingTable) -> dict[str, tuple[np.ndarray, str]]:
    """Return each row's bit at index 0 and the rising indices at which it flips, padded with an index out of range."""
    never, counts = len(table.grid), table.counts()
    check_exact("accumulators", never)
    places = np.full((table.channels, max(1, counts.max())), never, np.float32)
    for row, count in enumerate(counts):
        places[row, :count] = table.crossings(row)
    return {
        "first": (table.first.astype(np.float32), "BINARY"),
        "crossings": (places, integer_type(0, never)),
    }


def table_of(parameters: dict[str, np.ndarray], points: int) -> CrossingTable:
    """Return the table of arrays such as `table_parameters` returns, on the grid 0, 1, ..., points - 1."""
    places = parameters["crossings"]
    real = places < points
    offsets = np.concatenate([[0], np.cumsum(real.sum(axis=1))]).astype(np.int64)
    first = parameters["first"].astype(np.uint8)
    return CrossingTable(Grid(0, points - 1), first, offsets, places[real].astype(np.int64))


def index_bits(points: int) -> int:
    """Return the bits of an index into that many points."""
    return max(1, (points - 1).bit_length())


# ---- price


def cheapest_price(crossings: Sequence[int], lanes: int, points: int) -> Price:
    """Price a layer's crossings in their cheapest implementation, which is the same for all lanes.

    Args:
        crossings: Number of crossings of each row. A row with 0 crossings is constant and costs nothing.
        lanes: Rows processed at once; divides the number of rows. Row r is on lane r mod lanes.
        points: Number of values that the accumulator can have: fan_in + 1 for a popcount.

    Returns:
        The price. Its `implementation` is one of IMPLEMENTATIONS, or "constant". If a table is possible, LUTs plus weighted
        block RAM are at most `site_base` plus `table_bound` per lane, whatever the crossings.
    """
    return _cheapest(tuple(crossings), lanes, points)


@lru_cache(maxsize=65536)
def _cheapest(crossings: tuple[int, ...], lanes: int, points: int) -> Price:
    prices = [site_price(crossings, lanes, points, name) for name in implementations(points)]
    return min(prices, key=lambda price: price.lut + cost_model.CONSTANTS.bram18_in_luts * price.bram18)


def implementations(points: int) -> tuple[str, ...]:
    """Return the possible implementations. Tables of more than 4,096 entries per channel take hours to synthesise."""
    return IMPLEMENTATIONS if points <= 4096 else (COMPARATORS, SEARCH)


def site_price(counts: Sequence[int], lanes: int, points: int, implementation: str) -> Price:
    """Price a layer's crossings in a given implementation; for the other arguments see `cheapest_price`."""
    if not any(counts):
        return Price(0.0, implementation="constant", kind="crossings")
    rows, bits = [tuple(counts[lane::lanes]) for lane in range(lanes)], (points - 1).bit_length()
    if implementation == TABLE_IN_BLOCK_RAM:
        return _tables_in_block_ram(rows, bits)
    base, kind = cost_model.CONSTANTS.site_base, "crossings"
    if implementation == TABLE:
        lut = sum(table(lane, bits, points) for lane in rows)
        return Price(base + lut, implementation=implementation, kind=kind)
    parts = searched if implementation == SEARCH else compared
    roms = [each for lane in rows for each in parts(lane, bits)]
    lut = sum(comparators(width, words) for width, words in roms)
    deep = [(width, words) for width, words in roms if words > _SMALL_ROM]
    return Price(
        base + lut,
        implementation=implementation,
        kind=kind,
        thresholds=sum(width * rom(words) for width, words in deep),
        small_thresholds=sum(width * _SMALL_ROM_WORD * words for width, words in deep),
    )


_SMALL_ROM = 16  # words of a ROM that 4-input LUTs hold as well as 6-input ones
_SMALL_ROM_WORD = 0.085  # 4-input LUTs per bit and word of a deeper ROM; fitted to sites of 32 to 256 words


def compared(lane: tuple[int, ...], bits: int) -> list[tuple[float, int]]:
    """Return the bits that a bank of comparators compares, and the words of the ROM that each of them has.

    A lane has k comparators, k being the number of crossings of its busiest channel. Each of them compares `bits` bits
    with a threshold that the channel selects. Their common logic makes them count as k**compare_power.
    """
    return [(bits * max(lane) ** cost_model.CONSTANTS.compare_power, len(lane))]


def searched(lane: tuple[int, ...], bits: int) -> list[tuple[float, int]]:
    """Return the compared bits and the words for each stage of a pipelined binary search.

    The search finds the number of crossings reached, whose last bit is the output. It has ceil(log2(k + 1)) stages for k
    crossings in the lane's busiest channel. Stage j compares `bits` bits with one of channels * 2**j thresholds.
    """
    return [(float(bits), len(lane) << stage) for stage in range(max(lane).bit_length())]


def comparators(width: float, words: int) -> float:
    """Return the LUTs that compare `width` bits with one of `words` thresholds: width * (compare + rom(words))."""
    return width * (cost_model.CONSTANTS.compare + rom(words))


def rom(words: int) -> float:
    """Return the LUTs for each bit of a ROM of thresholds. Synthesis maps it together with the comparison that reads it.

    A LUT holds a bit of up to 64 words, so such a ROM uses at most `rom_few` LUTs per bit.
    """
    k = cost_model.CONSTANTS
    if words <= 1:
        return 0.0
    many = k.rom_word * words**k.rom_power
    return min(k.rom_few, many) if words <= 64 else many


@lru_cache(maxsize=65536)
def table(lane: tuple[int, ...], bits: int, points: int) -> float:
    """Return the LUTs of a lane's truth table, addressed by channel and accumulator.

    With few crossings the table is small logic: a row of k crossings uses r = table_row * bits * k**table_power LUTs. All
    rows together use less than their sum: R = table_row * bits * (sum of k**table_power)**table_rows_power. With many
    crossings it is a memory of B LUTs (`table_bound`). Between the two,

        LUT = B * (1 - exp(-R / B)).
    """
    k = cost_model.CONSTANTS
    rows = sum(count**k.table_power for count in lane)
    bound = table_bound(sum(count > 0 for count in lane), points)
    return bound * -math.expm1(-k.table_row * bits * rows**k.table_rows_power / bound) if bound else 0.0


def table_bound(channels: int, points: int) -> float:
    """Return the most LUTs that a lane's table for that many channels can use."""
    k = cost_model.CONSTANTS
    return channels * (k.table_leaf * points / 64 + k.table_channel)


def _tables_in_block_ram(lanes: Sequence[tuple[int, ...]], bits: int) -> Price:
    """Price tables in block RAM, one bit wide, with all channels of a lane in one table.

    Two lanes share a RAM through its two ports. Entries are padded to 2**bits per channel, and channels to a power of two.
    Large tables are several cells of 16,384 bits. The output handshake uses one LUT per lane; this number is derived, not
    fitted.
    """
    depth = 2 << (len(lanes[0]) - 1).bit_length() + bits
    pairs = math.ceil(sum(any(lane) for lane in lanes) / 2)
    memories = ((1, min(depth, 16_384)),) * (pairs * math.ceil(depth / 16_384))
    blocks = sum(cost_model.block_rams(*memory) for memory in memories)
    return Price(
        float(len(lanes)), blocks, implementation=TABLE_IN_BLOCK_RAM, kind="crossings", blocks=memories
    )
