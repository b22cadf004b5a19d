"""The models of units: relations that hold whatever the constants, and elements of the data set they were fitted to."""

import csv
import json
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerocross.finn_flows import structural

CALIBRATION = Path(__file__).parents[2] / "docs" / "calibration"
FAMILIES = ("7-series", "ultrascale+", "ecp5", "ice40", "gowin")

counts = st.integers(0, 20)


@st.composite
def sites(draw):
    lanes, depth = draw(st.sampled_from([1, 2, 4, 8])), draw(st.sampled_from([1, 2, 8, 16]))
    crossings = draw(st.lists(counts, min_size=lanes * depth, max_size=lanes * depth))
    levels = draw(st.integers(2, 3000))
    return [min(count, levels - 1) for count in crossings], lanes, levels


def value(price):
    return price.lut + structural.CONSTANTS.bram18_in_luts * price.bram18


def fitted_elements():
    """Elements mapped to 7-series, and their prices."""
    with (CALIBRATION / "elements.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            if row["family"] == "7-series" and row["units"] != "[]":
                prices = [
                    getattr(structural, name)(**arguments) for name, arguments in json.loads(row["units"])
                ]
                yield row, structural.total(prices)


def test_the_constants_are_those_that_were_fitted():
    fitted = json.loads((CALIBRATION / "constants.json").read_text())
    assert asdict(structural.CONSTANTS) == fitted


@pytest.mark.parametrize("kind", ["product", "crossings", "pool", "label", "converter", "fifo", "padding"])
def test_elements_of_every_kind_are_priced_as_measured(kind):
    """Together within 8%, the typical one within 20% or 10 LUT."""
    pairs = [(int(row["lut"]), price.lut) for row, price in fitted_elements() if row["kind"] == kind]
    assert len(pairs) > 5
    assert sum(price for _, price in pairs) == pytest.approx(sum(lut for lut, _ in pairs), rel=0.08)
    near = [abs(price - lut) < max(10, 0.2 * lut) for lut, price in pairs]
    assert sum(near) > 0.6 * len(near)


def test_block_rams_are_those_that_were_mapped():
    products = [(int(row["bram"]), price) for row, price in fitted_elements() if row["kind"] == "product"]
    wrong = [(taken, price) for taken, price in products if taken != price.bram18]
    assert len(wrong) < 0.03 * len(products)
    # Of a few words many columns are the same or constant, which Yosys keeps once.
    deep = [(taken, price) for taken, price in wrong if price.blocks[0][1] > 8]
    assert all(taken <= price.bram18 for taken, price in wrong)
    assert all(price.bram18 - taken <= 1 for taken, price in deep)
    assert any(taken for taken, _ in products)


@given(st.integers(1, 300))
def test_popcounts_are_counted_as_they_are_built(inputs):
    # A full adder's worth for each input but a few, in LUTs of six inputs.
    assert inputs / 3 <= structural.popcount(inputs) <= 1.6 * inputs + 2
    assert structural.popcount(inputs) <= structural.popcount(inputs + 3)
    assert structural.unrolled_popcount(inputs) < structural.popcount(inputs)


def test_a_product_grows_with_its_lanes_and_its_inputs_bits():
    small = structural.product(256, 64, 4, 16)
    assert 1.6 < structural.product(256, 64, 8, 16).lut / small.lut < 2.1  # a buffer serves all lanes
    assert structural.product(256, 64, 4, 32).lut > 1.5 * small.lut
    assert structural.product(256, 64, 4, 16, input_bits=8).lut > 5 * small.lut
    assert small.bram18 == structural.block_rams(64, 256) == 2
    in_luts = structural.product(256, 64, 4, 16, style="distributed")
    assert in_luts.lut > small.lut and in_luts.bram18 == 0
    assert structural.product(16, 16, 16, 16).bram18 == 0  # its weights are constants


@given(sites())
def test_constants_are_free_and_only_they(site):
    crossings, pe, levels = site
    price = structural.crossing_site(crossings, pe, levels)
    assert (value(price) == 0) == (not any(crossings))
    assert structural.crossing_site([0] * len(crossings), pe, levels).way == "constant"


@given(sites(), st.data())
def test_more_crossings_never_cost_less(site, data):
    crossings, pe, levels = site
    more = [count + data.draw(st.integers(0, 5)) for count in crossings]
    fewer = value(structural.crossing_site(crossings, pe, levels))
    assert value(structural.crossing_site(more, pe, levels)) >= fewer - 1e-9


@given(sites())
def test_a_site_never_costs_more_than_its_tables(site):
    crossings, pe, levels = site
    lanes = [crossings[lane::pe] for lane in range(pe)]
    bound = sum(structural.table_bound(len(lane), levels) for lane in lanes)
    price = structural.crossing_site(crossings, pe, levels)
    assert value(price) <= structural.CONSTANTS.site_base + bound


@given(sites())
def test_a_site_is_built_in_the_cheapest_way(site):
    crossings, pe, levels = site
    prices = {
        way: value(structural.crossing_way(crossings, pe, levels, way)) for way in structural.ways(levels)
    }
    assert value(structural.crossing_site(crossings, pe, levels)) == min(prices.values())


def test_a_site_is_built_the_way_its_size_asks_for():
    def way(count, lanes, levels):
        return structural.crossing_site([count] * 64, lanes, levels).way

    assert way(16, 64, 65) == "table"  # one channel a lane, a small fan-in: a few LUTs hold any row
    assert way(16, 8, 257) == "table"
    assert way(1, 8, 64 * 255 + 1) == "comparators"  # bytes in: a row is too long to be stored


@given(st.integers(1, 64), st.integers(1, 64))
def test_converters_cost_nothing_between_equal_words(a, b):
    assert (structural.width_converter(a, b).lut == 0) == (a == b)


@given(st.integers(2, 2000), st.integers(1, 200), st.integers(1, 100))
def test_deeper_and_wider_memories_never_cost_less(depth, width, more):
    small = structural.input_generator(width, depth)
    assert value(structural.input_generator(width + more, depth)) >= value(small)
    assert value(structural.input_generator(width, depth + more)) >= value(small)
    assert structural.fifo(2, width + more).lut > structural.fifo(2, width).lut


@given(st.integers(1, 600), st.integers(1, 40_000))
def test_a_memory_takes_the_block_rams_that_hold_it(width, depth):
    for family, kbit in (("7-series", 16), ("ecp5", 16), ("ice40", 4)):
        held = structural.block_rams(width, depth, family) * kbit * 1024 * (9 / 8 if kbit == 16 else 1)
        assert held >= width * depth


def test_luts_of_four_inputs_are_more_and_block_rams_are_the_familys_own():
    products = structural.product(256, 64, 4, 16)
    for price in (products, structural.crossing_site([3] * 64, 8, 65), structural.padding(8, 30, 30, 1)):
        here = {family: structural.on_family(price, family) for family in FAMILIES}
        assert here["7-series"] == here["ultrascale+"] == (round(price.lut), price.bram18)
        assert all(here[family][0] > price.lut for family in ("ecp5", "ice40", "gowin"))
    assert structural.on_family(products, "ecp5")[1] == products.bram18
    # iCE40 has no memory in LUTs: the weights, and the buffer of inputs, take blocks of 4 kbit.
    assert structural.on_family(products, "ice40")[1] == structural.block_rams(64, 256, "ice40") + 1 == 5
    in_luts = structural.product(256, 64, 4, 16, style="distributed")
    assert structural.on_family(in_luts, "ecp5")[0] > 20 * 64  # a LUT4 for every 16 bits, and multiplexers
