"""Prices of nodes by kind and implementation, against the LUTs that Yosys mapped them to."""

import csv
import json
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from zerocross.finn_flows import cost_model
from zerocross.finn_flows.dead_lanes import remaining_price
from zerocross.finn_flows.nodes import NODES, AddVector, GroupedProduct, Product
from zerocross.finn_flows.nodes.crossing_site import COMPARATORS, site_price
from zerocross.finn_flows.nodes.form import from_values
from zerocross.finn_flows.nodes.stream import Stream

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
    ("count", "popcounts"): 7171.04,
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
    ("label", "tree"): 2629.14,
    ("padding", "counters"): 1065.0,
    ("planes", "wires"): 0.0,
    ("pool", "OR"): 1343.49,
    ("pool", "adders, line buffer"): 227.2,
    ("pool", "maximum"): 746.82,
    ("product", "constant weights"): 4434.54,
    ("product", "weights in LUTs"): 6541.3,
    ("product", "weights in block RAM"): 137833.81,
    ("select", "counter"): 39.0,
    ("sum", "adders"): 155.0,
    ("sumpool", "adders, line buffer"): 601.8,
    ("thermometer", "constants"): 738.0,
    ("vectorsum", "adders, vector"): 403.2,
    ("windowpool", "OR"): 44.72,
    ("windowpool", "maximum"): 117.22,
    ("windows", "rows in LUT memory"): 742.68,
    ("windows", "whole window"): 22.7,
    ("windows", "whole window, rows in LUT memory"): 205.5,
    ("windowsum", "adders"): 193.0,
    ("wired", "tables"): 14983.06,
}
"""LUTs of all elements together, by kind and implementation: a price changes only on purpose.

After a calibration that changed the constants or the elements, these are the sums of the prices in `groups()`.
"""

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


# ---- prices of sizes that were not mapped, by what is built


@pytest.mark.parametrize(
    ("words", "depth"), [(1, 2), (2, 4), (3, 8), (32, 64), (33, 128), (64, 128), (65, 256)]
)
@pytest.mark.parametrize("lanes", [1, 3])
def test_a_vector_for_an_image_is_kept_twice(words: int, depth: int, lanes: int) -> None:
    """In LUTs at any size: 64 words a bank, and 0.7 LUTs a bit for the choice among banks."""
    channels = words * lanes
    node = AddVector(Stream((2, 2, channels), lanes, 4), Stream((channels,), lanes, 3))
    width, banks = 3 * lanes, -(-depth // 64)
    sums = 5 - 1  # 15 + 7 has five bits, the carry is free
    price = node.price()
    assert price.rams == price.instant == ((width, depth),)
    assert price.lut == pytest.approx(
        lanes * sums + 21 + 0.7 * width * (banks - 1) + cost_model.lutram(width, depth)
    )


@pytest.mark.parametrize("weight_bits", [1, 2, 5])
@pytest.mark.parametrize("input_bits", [1, 4])
@pytest.mark.parametrize("simd", [1, 4, 8])
@pytest.mark.parametrize("style", ["block", "distributed"])
def test_a_grouped_product_has_a_term_for_each_input_bit(
    weight_bits: int, input_bits: int, simd: int, style: str
) -> None:
    """Their sum and an accumulator, once for each weight plane but the first, and the planes' sum."""
    node = GroupedProduct(9, 8, 4, 2, 2, simd, (), input_bits, weight_bits, style)
    lanes, read = node.lanes
    accumulator = len(f"{9 * 8 * (2**input_bits - 1):b}")
    plane = read * input_bits + cost_model.adders(read, input_bits) + accumulator
    lut = 16.1 + lanes * weight_bits * plane
    if weight_bits > 1:
        lut += lanes * (accumulator + cost_model.adders(weight_bits, accumulator + 1, 1))
    width, words = weight_bits * lanes * read, 2 * 9 * 8 // read
    price = node.price()
    if style == "block":
        assert (price.lut, price.blocks) == (pytest.approx(lut), ((width, words),))
    else:
        assert price.lut == pytest.approx(lut + 0.0754 * width * words)
        assert (price.roms, price.bram18) == (((width, words),), 0)


def test_weights_of_one_word_are_constants() -> None:
    price = GroupedProduct(1, 1, 4, 4, 4, 1).price()
    assert (price.implementation, price.bram18, price.roms) == ("constant weights", 0, ())


@pytest.mark.parametrize("weight_bits", [2, 3, 8])
@pytest.mark.parametrize("input_bits", [1, 5])
def test_weights_of_several_bits_are_as_many_planes_and_their_sum(weight_bits: int, input_bits: int) -> None:
    """The first plane of all channels is the same: it has no memory, and one channel's counts."""
    one = Product(64, 16, 4, 8, (), input_bits)
    many = Product(64, 16, 4, 8, (), input_bits, weight_bits).price()
    planes = Product(64, 16 * weight_bits, 4 * weight_bits, 8, (), input_bits).price()
    single, double = (Product(64, 16 * each, each, 8, (), input_bits).price().lut for each in (1, 2))
    bits = len(f"{64 * (2**input_bits - 1):b}")
    joined = 4 * (bits + cost_model.adders(weight_bits, bits + 1, 1))
    assert many.lut == pytest.approx(planes.lut + double - single + joined)
    assert (many.bram18, many.rams) == (planes.bram18, one.price().rams)


@pytest.mark.parametrize(
    ("channels", "lanes", "bits", "mapped"),
    [
        (256, 4, 12, 343),
        (256, 4, 9, 255),
        (512, 8, 18, 1052),
        (512, 8, 10, 544),
        (128, 2, 10, 142),
        (16, 1, 9, 22),
    ],
)
def test_many_thresholds_on_a_lane_fill_luts_of_four_inputs(
    channels: int, lanes: int, bits: int, mapped: int
) -> None:
    """The plain signs of the zoo's networks on an ECP5, as they were mapped."""
    price = site_price((1,) * channels, lanes, 1 << bits, COMPARATORS)
    assert cost_model.on_family(price, "ecp5")[0] == pytest.approx(mapped, rel=0.12, abs=8)
