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


KEYS = [
    *(("bias", each) for each in ("adders", "constants", "multipliers and adders")),
    *(("converter", each) for each in ("barrel shifter", "shift register")),
    *(("crossings", each) for each in ("comparators", "search", "table")),
    *(("fifo", each) for each in ("LUT memory", "block RAM", "registers")),
    *(("generator", each) for each in ("rows in LUT memory", "rows in block RAM")),
    *(("label", each) for each in ("running maximum", "tree")),
    *(("pool", each) for each in ("OR", "adders, line buffer", "maximum")),
    *(("product", each) for each in ("constant weights", "weights in LUTs", "weights in block RAM")),
    *(("windows", each) for each in ("rows in LUT memory", "whole window, rows in LUT memory")),
    ("concat", "multiplexers"),
    ("count", "popcounts"),
    ("grouped", "weights in LUTs"),
    ("padding", "counters"),
    ("sum", "adders"),
    ("sumpool", "adders, line buffer"),
    ("vectorsum", "adders, vector"),
    ("windowsum", "adders"),
    ("wired", "tables"),
]


@pytest.mark.parametrize("key", KEYS, ids=" ".join)
def test_an_implementation_is_priced_as_it_is_mapped(key: tuple[str, str]) -> None:
    """All together within 10 %, except `LOOSE`, and half of them within 15 % or 4 LUT."""
    pairs = groups()[key]
    mapped, priced = (sum(each) for each in zip(*pairs, strict=True))
    assert len(pairs) > 1
    assert priced == pytest.approx(mapped, rel=LOOSE.get(key[1], 0.1))
    near = sorted(abs(price - lut) / max(lut, 27) for lut, price in pairs)
    assert near[len(near) // 2] < 0.15


def test_every_implementation_that_was_mapped_is_tested() -> None:
    few = {("select", "counter"), ("windowpool", "OR"), ("windowpool", "maximum"), ("fork", "handshakes")}
    few |= {
        ("crossings", "table in block RAM"),
        ("grouped", "weights in block RAM"),
        ("windows", "whole window"),
        ("planes", "wires"),
        ("thermometer", "constants"),
    }
    assert set(groups()) == {*KEYS, *few}
    for key in few:  # of which there are a few of some LUTs
        assert all(abs(price - lut) < max(16, 0.35 * lut) for lut, price in groups()[key])
