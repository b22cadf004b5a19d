"""Functions of the number of ones among some bits, as trees of lookup tables.

A neuron's bit depends only on how many of its inputs are 1. Six inputs fit a table of six inputs. For more inputs, a group
of inputs is replaced by a code, which tells counts apart only as far as the other inputs can still make a difference: if the
row of bits is the same from two counts on, they have one code (Ashenhurst's decomposition). Rows of few crossings therefore
have short codes.
"""

from dataclasses import dataclass
from functools import lru_cache

from zerocross.finn_flows import cost_model

Row = tuple[int, ...]
"""A function of K bits: its bit for 0, 1, ..., K ones."""

TABLE = 6
"""Inputs of a lookup table of 7-series parts; 4 in other families."""

WIDER = (1.0, 2.4, 5.0)
"""Tables that make up one table of 0, 1 or 2 more inputs. Multiplexers join 2 or 4; Yosys often needs more."""


@dataclass(frozen=True)
class Group:
    """Some inputs, and the code of their number of ones.

    Attributes:
        codes: Code of 0, 1, ..., n ones of n inputs; codes count from 0.
        parts: Groups that the inputs are divided into, in order; none for a single input.
        tables: Tables that compute the code, those of the parts included.
    """

    codes: Row
    parts: tuple["Group", ...] = ()
    tables: float = 0.0

    @property
    def inputs(self) -> int:
        """Number of inputs."""
        return len(self.codes) - 1

    @property
    def bits(self) -> int:
        """Bits of a code."""
        return max(self.codes).bit_length()

    def truths(self, inverted: tuple[bool, ...]) -> list[int]:
        """Return the table of each bit of the code: bit i is the result where the wires are i, the first wire lowest.

        Args:
            inverted: Which parts are single inputs that count where they are 0, by part.
        """
        counts = [0]
        for part, inverts in zip(self.parts, inverted, strict=True):
            # Codes that do not occur may have any result.
            here = [part.codes.index(code) if code in part.codes else 0 for code in range(1 << part.bits)]
            here = here[::-1] if inverts else here
            counts = [count + more for more in here for count in counts]
        codes = [self.codes[min(count, self.inputs)] for count in counts]
        return [
            sum((code >> bit & 1) << place for place, code in enumerate(codes)) for bit in range(self.bits)
        ]


SINGLE = Group((0, 1))


def whole_count(inputs: int) -> Group:
    """Return the group whose code is the number of ones itself, for inputs that fit one table."""
    codes = tuple(range(inputs + 1))
    return Group(codes, (SINGLE,) * inputs, inputs.bit_length()) if inputs > 1 else SINGLE


@lru_cache(maxsize=1 << 16)
def tree(row: Row, table: int = TABLE) -> Group | None:
    """Return the tree with the fewest tables, the shallowest of such.

    Args:
        row: A row of two bits or more that is not constant.
        table: Inputs of a table.

    Returns:
        The tree; None if every tree has a table of more than two further inputs.
    """
    inputs = len(row) - 1
    # best[n][w]: the cheapest parts of n inputs with w wires, as (tables, depth, groups).
    best: list[dict[int, tuple[float, int, tuple[Group, ...]]]] = [
        {0: (0.0, 0, ())},
        *({} for _ in range(inputs)),
    ]

    def add(group: Group, depth: int) -> None:
        """Allow a group as a part, any number of times."""
        size, bits = group.inputs, group.bits
        for total in range(size, inputs + 1):
            for wires, (cost, deep, parts) in list(best[total - size].items()):
                found = cost + group.tables, max(deep, depth), (*parts, group)
                known = best[total].get(wires + bits)
                if wires + bits < table + len(WIDER) and (known is None or found[:2] < known[:2]):
                    best[total][wires + bits] = found

    add(SINGLE, 0)
    for size in range(1, inputs + 1):
        codes = _codes(row, size)
        bits = max(codes).bit_length()
        options = [
            (cost + bits * WIDER[max(0, wires - table)], depth + 1, parts)
            for wires, (cost, depth, parts) in best[size].items()
        ]
        if options:
            tables, depth, parts = min(options, key=lambda option: option[:2])
            if size == inputs:
                return Group(row, parts, tables)
            if size > 1:
                add(Group(codes, parts, tables), depth)
    return None


def _codes(row: Row, size: int) -> Row:
    """Return the code of each count of a group: counts with the same bits ahead share a code."""
    ahead = len(row) - size
    known: dict[Row, int] = {}
    return tuple(known.setdefault(row[count : count + ahead], len(known)) for count in range(size + 1))


@lru_cache(maxsize=1 << 14)
def expected_tables(inputs: int, crossings: int, table: int = TABLE) -> float:
    """Return the tables of a row whose crossings are evenly spaced.

    Args:
        inputs: Inputs of the row, 1 or more.
        crossings: Number of crossings; 0 for a constant row, which needs no table.
        table: Inputs of a table.
    """
    count = min(crossings, inputs)
    if not count:
        return 0.0
    places = [round((index + 1) * (inputs + 1) / (count + 1)) for index in range(count)]
    row = tuple(sum(place <= ones for place in places) & 1 for ones in range(inputs + 1))
    found, counted = tree(row, table), counted_tables(inputs, table)
    return min(found.tables, counted) if found else counted


def counted_tables(inputs: int, table: int = TABLE) -> float:
    """Return the tables that count the ones of groups that fit one table, add the counts, and look the sum up."""
    groups, bits, count = -(-inputs // table), inputs.bit_length(), table.bit_length()
    return count * groups + cost_model.adders(groups, count) + (1 << max(0, bits - table))
