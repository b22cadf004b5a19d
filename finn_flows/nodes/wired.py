"""A sparse layer and the activation of one bit behind it, as wires and lookup tables."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from zerocross.finn_flows import cost_model
from zerocross.finn_flows.cost_model import Price
from zerocross.finn_flows.crossings import CrossingTable
from zerocross.finn_flows.network import Grid
from zerocross.finn_flows.nodes.crossing_site import table_of, table_parameters
from zerocross.finn_flows.nodes.node import Instance, NodeError, StockNode, given
from zerocross.finn_flows.nodes.sparse_weights import (
    SparseNode,
    SparseWeights,
    module_around,
)
from zerocross.finn_flows.nodes.stream import Stream
from zerocross.finn_flows.nodes.symmetric import (
    TABLE,
    Group,
    Row,
    counted_tables,
    expected_tables,
    tree,
    whole_count,
)

SPLIT = (1.0, 3.0, 7.0)
"""Lookup tables for any function of 0, 1 or 2 inputs more than they have: two or four, and one or three that choose."""


@dataclass(frozen=True)
class Wired(SparseNode):
    """Channels that read a few bits each and write one bit: a function of how many of their inputs agree with their signs.

    In an indexed layer it is any function of the inputs.

    All channels are computed at once, from one word with all inputs. A channel of up to six inputs is one lookup table,
    whatever its crossings; `symmetric.tree` divides more inputs. The generated SystemVerilog has a line for each table.

    Attributes:
        features: Number of inputs.
        channels: Number of outputs.
        fan_in: Most inputs that a channel reads.
        exact: Whether every channel reads `fan_in` inputs.
        crossings: Number of crossings of each channel. A channel without any is constant.
        registered: Whether registers follow; otherwise outputs depend on inputs of the same cycle.
        table_inputs: Inputs of a lookup table of the part.
        indexed: Whether weights are powers of two instead of -1, 0 and +1.
        weights: Shape (channels, features); None in a plan.
        table: Crossings of all channels on the points 0, 1, ... of `SparseWeights`. None in a plan.
    """

    word: ClassVar[str] = "wired"
    module: ClassVar[str] = "zc_stage"  # inside a generated module
    parameter_names: ClassVar[tuple[str, ...]] = ("weights", "first", "crossings")

    features: int
    channels: int
    fan_in: int
    exact: bool
    crossings: tuple[int, ...]
    registered: bool = True
    table_inputs: int = TABLE
    indexed: bool = False
    weights: np.ndarray | None = field(default=None, compare=False, repr=False)
    table: CrossingTable | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.crossings) != self.channels:
            raise NodeError(
                f"{len(self.crossings)} numbers of crossings do not fit {self.channels} channels of one bit"
            )
        self.check_weights()
        if self.table is not None and len(self.table.grid) != self.points:
            raise NodeError(f"the table has {len(self.table.grid)} points, but the node has {self.points}")
        if self.table is not None and tuple(self.table.counts().tolist()) != self.crossings:
            raise NodeError("the table's numbers of crossings differ from those of the node")

    @classmethod
    def of(cls, weights: np.ndarray, table: CrossingTable, registered: bool = True) -> Self:
        """Return the node of given numbers: weights (channels, features) and the table of its channels."""
        sparse, crossings = SparseWeights.of(weights), tuple(int(count) for count in table.counts())
        shape = weights.shape[1], len(weights), sparse.fan_in, sparse.exact, crossings
        return cls(*shape, registered, indexed=sparse.indexed, weights=weights, table=table)

    def with_numbers(self, weights: np.ndarray, table: CrossingTable) -> Self:
        """Return the node with weights (channels, features) and a table."""
        counts = tuple(int(count) for count in table.counts())
        return replace(self, crossings=counts, weights=weights, table=table)

    @property
    def outputs(self) -> dict[str, Stream]:
        """One bit for each channel, in one word."""
        return {"m": Stream((self.channels,), self.channels, 1)}

    @property
    def latency(self) -> int:
        """Cycles from a word to its bits."""
        return int(self.registered)

    @property
    def numbers(self) -> CrossingTable:
        """The table. Raises a `NodeError` if none is attached."""
        return given(self.table, "crossings")

    def row(self, channel: int) -> Row:
        """Return a channel's bit for the sums 0, 1, ... of its agreeing inputs (`SparseWeights`)."""
        return tuple(self.numbers.row(channel)[self.sparse.points(channel)].tolist())

    def price(self) -> Price:
        """Price the tables of each channel that has crossings, evenly spaced, and the registers' control."""
        k = cost_model.CONSTANTS
        factor = k.wired_table if self.fan_in > TABLE else 1.0
        six, four = (
            factor * sum(self._expected(count, table) for count in self.crossings) for table in (TABLE, 4)
        )
        lut = k.wired_base * self.registered + six
        return Price(lut, implementation="tables", tables=six, small_tables=four)

    def _expected(self, crossings: int, table: int) -> float:
        if self.indexed:
            return SPLIT[max(0, self.fan_in - table)] if crossings else 0.0
        return expected_tables(self.fan_in, crossings, table)

    def stock(self) -> tuple[StockNode, ...]:
        """FINN's MVAU of such weights, fully unrolled, with as many thresholds as the busiest channel has crossings."""
        steps = max(1, *self.crossings)
        return (self.unrolled(steps),)

    def reference(self, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
        """Compute bits (N, channels) from bits (N, features)."""
        table, points = self.numbers, self.sparse.count(samples[0])
        return (table.bits(table.grid.low + table.grid.step * points).astype(np.int64),)

    def slim(self) -> "Wired":
        """See `HardwareNode`: one bit."""
        table = CrossingTable(Grid(0, 1), np.zeros(1, np.uint8), np.array([0, 1]), np.array([1]))
        return Wired.of(np.ones((1, 1), np.int8), table, self.registered)

    def parameters(self) -> dict[str, tuple[np.ndarray, str]]:
        """Return the weights, and the crossings as a `CrossingSite` does."""
        return {**self.sparse.parameters(), **table_parameters(self.numbers)}

    def with_parameters(self, parameters: dict[str, np.ndarray]) -> Self:
        """See `HardwareNode`."""
        table = table_of(parameters, self.points)
        return replace(self, weights=parameters["weights"].astype(np.int8), table=table)

    def generate(self, folder: Path, prefix: str = "") -> Instance:
        """Write a module with the node's tables. Nodes of equal numbers share it."""
        # Yosys would move an input of a table to the register's reset. With few inputs it does better as it likes.
        keep = "(* keep *) " * (self.fan_in > 3)
        lines = [f"  wire [{self.features - 1}:0] x = s_tdata;", f"  {keep}wire [{self.channels - 1}:0] y;"]
        for channel in range(self.channels):
            lines += self._channel(channel)
        stage = f".WIDTH({self.channels}), .REGISTERED({int(self.registered)})"
        chosen_by = (
            "the binary number that they form, the first one lowest"
            if self.indexed
            else "the number of ones among them"
        )
        about = (
            f"{self.channels} channels of {self.features} inputs. Each channel reads a few inputs x[i], or their inverses "
            f"~x[i]; its bit y[c] is the digit of its row for {chosen_by}: 0, 1, 2, ..."
        )
        return module_around(self, folder, "zc_wired", about, lines, f"zc_stage #({stage})", "y")

    def _channel(self, channel: int) -> list[str]:
        """Return the lines of a channel."""
        row = self.row(channel)
        digits = "".join(map(str, row))
        names = self.sparse.names(channel)
        lines = [f"  // Channel {channel}: {', '.join(names) or 'no inputs'}; row {digits}"]
        if len(set(row)) == 1:
            return [*lines, f"  assign y[{channel}] = 1'b{row[0]};"]
        if self.indexed:
            value = _Writer(f"c{channel}_", [], lines, keep=True).indexed(row, names, self.table_inputs)
            return [*lines, f"  assign y[{channel}] = {value};"]
        # Any or all inputs: the multiplexer of a table would become a reset of the register.
        if len(set(row[1:])) == 1:
            return [*lines, f"  assign y[{channel}] = {'~' * row[0]}|{{{', '.join(names)}}};"]
        if len(set(row[:-1])) == 1:
            return [*lines, f"  assign y[{channel}] = {'~' * row[0]}&{{{', '.join(names)}}};"]
        # With tables of four inputs, Yosys divides a channel as well by itself, and finds tables of six for other parts.
        keep = self.table_inputs >= TABLE
        writer = _Writer(f"c{channel}_", self.sparse.reads(channel), lines, keep)
        found = tree(row, self.table_inputs)
        if found is not None and found.tables <= counted_tables(len(row) - 1, self.table_inputs):
            (value,) = writer.code(found)
        else:
            value = writer.looked_up(row, self.table_inputs)
        return [*lines, f"  assign y[{channel}] = {value};"]


class _Writer:
    """Writes the tables of one channel as SystemVerilog.

    Args:
        prefix: Beginning of the names of wires.
        reads: The channel's inputs and their signs, in the order in which groups take them.
        lines: Lines to append to.
        keep: Whether synthesis must keep every table as it is.
    """

    def __init__(self, prefix: str, reads: list[tuple[int, int]], lines: list[str], keep: bool) -> None:
        self._prefix, self._reads, self._lines, self._count = prefix, reads, lines, 0
        self._keep = "(* keep *) " * keep

    def code(self, group: Group, own: bool = False) -> list[str]:
        """Return the bits of a group's code, lowest first.

        Args:
            group: Group whose inputs are the next ones.
            own: Whether the code gets a name of its own.
        """
        wires, inverted = list[str](), list[bool]()
        for part in group.parts:
            sign = self._reads[0][1]
            wires += self._input() if not part.parts else self.code(part, own=True)
            inverted.append(not part.parts and sign < 0)
        size = 1 << len(wires)
        index = f"{{{', '.join(reversed(wires))}}}"
        tables = [
            f"1'({size}'h{truth:0{-(-size // 4)}x} >> {index})" for truth in group.truths(tuple(inverted))
        ]
        return [self._named(table) for table in tables] if own else tables

    def looked_up(self, row: Row, table: int) -> str:
        """Return the digit of a row for the number of ones among all inputs, counted table by table and added."""
        terms = []
        while self._reads:
            group = whole_count(min(table, len(self._reads)))
            if group.parts:
                terms.append(f"{{{', '.join(reversed(self.code(group, own=True)))}}}")
            else:
                sign = self._reads[0][1]
                terms.append(f"{'~' if sign < 0 else ''}{self._input()[0]}")
        bits = (len(row) - 1).bit_length()
        name = f"{self._prefix}count"
        widened = " + ".join(f"{bits}'({term})" for term in terms)
        self._lines.append(f"  wire [{bits - 1}:0] {name} = {widened};")
        digits = sum(bit << place for place, bit in enumerate(row))
        return f"1'({len(row)}'h{digits:x} >> {name})"

    def indexed(self, row: Row, names: list[str], table: int) -> str:
        """Return the digit of a row for the binary number of inputs.

        If a table has too few inputs, there is one for each value of the last inputs, and tables choose among these. Left to
        itself, Yosys needs 4.4 tables of four inputs for a function of five, and 10 for one of six, instead of 3 and 7.

        Args:
            row: The row.
            names: The inputs, the lowest first; at most two more than a table has.
            table: Inputs of a table.
        """
        low, high = names[:table], names[table:]
        size, index = 1 << len(low), ", ".join(reversed(low))
        found = []
        for start in range(0, len(row), size):
            truth = sum(bit << place for place, bit in enumerate(row[start : start + size]))
            found.append(f"1'({size}'h{truth:x} >> {{{index}}})")
        for chooser in high:
            parts = [self._named(value) for value in found]
            found = [f"{chooser} ? {one} : {zero}" for zero, one in zip(parts[::2], parts[1::2], strict=True)]
        return found[0]

    def _input(self) -> list[str]:
        place, _ = self._reads.pop(0)
        return [f"x[{place}]"]

    def _named(self, value: str) -> str:
        name = f"{self._prefix}{self._count}"
        self._count += 1
        self._lines.append(f"  {self._keep}wire {name} = {value};")
        return name
