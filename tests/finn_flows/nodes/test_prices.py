"""Prices of nodes by kind and implementation, against the LUTs that Yosys mapped them to."""

import csv
import json
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from zerocross.finn_flows.dead_lanes import remaining_price
from zerocross.finn_flows.nodes import NODES
from zerocross.finn_flows.nodes.form import from_values

ELEMENTS = Path(__file__).parents[3] / "docs" / "calibration" / "elements.csv"
LOOSE = {"comparators": 0.25, "table": 0.15}
"""Shares of a sum for implementations whose numbers decide, which a price does not know."""


def elements() -> Iterator[tuple[tuple[str, str], float, float]]:
    with ELEMENTS.open(newline="") as stream:
        for row in csv.DictReader(stream):
            if row["family"] == "7-series" and row["record"]:
                record = json.loads(row["record"])
                price = remaining_price(from_values(NODES[record.pop("kind")], record), int(row["unread"]))
                yield (row["kind"], price.implementation), float(row["lut"]), price.lut


@cache
def groups() -> dict[tuple[str, str], list[tuple[float, float]]]:
    found: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for key, mapped, price in elements():
        found[key].append((mapped, price))
    return found


PRICES = {
    ("bias", "adders"): 468.56,
    ("bias", "constants"): 279.51,
    ("bias", "multipliers and adders"): 1407.78,
    ("concat", "multiplexers"): 88.0,
    ("converter", "barrel shifter"): 2825.05,
    ("converter", "shift register"): 4555.51,
    ("count", "popcounts"): 6693.52,
    ("crossings", "comparators"): 16912.87,
    ("crossings", "search"): 21658.6,
    ("crossings", "table"): 9623.62,
    ("crossings", "table in block RAM"): 8.0,
    ("fifo", "LUT memory"): 4356.7,
    ("fifo", "block RAM"): 2144.23,
    ("fifo", "registers"): 1812.0,
    ("fork", "handshakes"): 20.0,
    ("generator", "rows in LUT memory"): 5341.26,
    ("generator", "rows in block RAM"): 1601.46,
    ("grouped", "weights in LUTs"): 1182.7,
    ("grouped", "weights in block RAM"): 21.1,
    ("label", "running maximum"): 1441.94,
    ("label", "tree"): 2289.08,
    ("padding", "counters"): 1065.0,
    ("planes", "wires"): 0.0,
    ("pool", "OR"): 1343.49,
    ("pool", "adders, line buffer"): 227.2,
    ("pool", "maximum"): 746.82,
    ("product", "constant weights"): 4434.54,
    ("product", "weights in LUTs"): 6541.3,
    ("product", "weights in block RAM"): 137018.81,
    ("select", "counter"): 39.0,
    ("sum", "adders"): 155.0,
    ("sumpool", "adders, line buffer"): 601.8,
    ("thermometer", "constants"): 616.0,
    ("vectorsum", "adders, vector"): 403.2,
    ("windowpool", "OR"): 44.72,
    ("windowpool", "maximum"): 117.22,
    ("windows", "rows in LUT memory"): 742.68,
    ("windows", "whole window"): 22.7,
    ("windows", "whole window, rows in LUT memory"): 205.5,
    ("windowsum", "adders"): 193.0,
    ("wired", "tables"): 14107.06,
}
"""LUTs of all elements together, by kind and implementation: a price changes only on purpose."""

FEW = {
    ("crossings", "table in block RAM"),
    ("fork", "handshakes"),
    ("grouped", "weights in block RAM"),
    ("planes", "wires"),
    ("select", "counter"),
    ("thermometer", "constants"),
    ("windowpool", "OR"),
    ("windowpool", "maximum"),
    ("windows", "whole window"),
}
"""Those with only a few elements, of some LUTs."""


@pytest.mark.parametrize("key", sorted(PRICES.keys() - FEW), ids=" ".join)
def test_an_implementation_is_priced_as_it_is_mapped(key: tuple[str, str]) -> None:
    """All together within 10 %, except `LOOSE`, and half of them within 15 % or 4 LUT."""
    pairs = groups()[key]
    mapped, priced = (sum(each) for each in zip(*pairs, strict=True))
    assert len(pairs) > 1
    assert priced == pytest.approx(mapped, rel=LOOSE.get(key[1], 0.1))
    near = sorted(abs(price - lut) / max(lut, 27) for lut, price in pairs)
    assert near[len(near) // 2] < 0.15


@pytest.mark.parametrize(("key", "total"), PRICES.items(), ids=str)
def test_prices_are_those_of_the_figures_in_docs(key: tuple[str, str], total: float) -> None:
    assert sum(price for _, price in groups()[key]) == pytest.approx(total, abs=0.006)


def test_every_implementation_that_was_mapped_is_tested() -> None:
    assert set(groups()) == set(PRICES)
    for key in FEW:
        assert all(abs(price - lut) < max(16, 0.35 * lut) for lut, price in groups()[key])
