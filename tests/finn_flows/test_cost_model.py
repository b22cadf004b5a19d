"""The models of resources: relations that hold whatever the constants, and elements of the data set they were fitted to."""

import csv
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import logic_cells
from zerocross.finn_flows import cost_model
from zerocross.finn_flows.dead_lanes import remaining_price
from zerocross.finn_flows.families import FAMILIES, get_family
from zerocross.finn_flows.nodes import NODES, Padding, Product
from zerocross.finn_flows.nodes.crossing_site import cheapest_price
from zerocross.finn_flows.nodes.form import from_values
from zerocross.finn_flows.nodes.product import product_price
from zerocross.finn_flows.nodes.stream import Stream

CALIBRATION = Path(__file__).parents[2] / "docs" / "calibration"


def value(price):
    return price.lut + cost_model.CONSTANTS.bram18_in_luts * price.bram18


def fitted_elements():
    """Elements mapped to 7-series, and their prices."""
    with (CALIBRATION / "elements.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            if row["family"] == "7-series" and row["record"]:
                record = json.loads(row["record"])
                node = from_values(NODES[record.pop("kind")], record)
                yield row, remaining_price(node, int(row["unread"]))


def test_the_constants_are_those_that_were_fitted():
    fitted = json.loads((CALIBRATION / "constants.json").read_text())
    lut4 = {name: dict(family.lut4) for name, family in FAMILIES.items() if family.lut4}
    assert {**asdict(cost_model.CONSTANTS), "lut4": lut4} == fitted


@pytest.mark.parametrize(
    "kind", ["product", "crossings", "pool", "label", "converter", "fifo", "padding", "wired", "count"]
)
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


def test_small_memories_are_in_luts_and_large_ones_in_block_ram():
    small = cost_model.small_memory(1.0, 8, 16, "ring")
    large = cost_model.small_memory(1.0, 32, 4096, "ring")
    assert (small.bram18, small.rams, small.implementation) == (0, ((8, 16),), "ring in LUT memory")
    assert (large.lut, large.blocks, large.implementation) == (1.0, ((32, 4096),), "ring in block RAM")
    assert large.bram18 == 8


@given(st.integers(2, 2000), st.integers(1, 200), st.integers(1, 100))
def test_deeper_and_wider_memories_never_cost_less(depth, width, more):
    small = value(cost_model.small_memory(0.0, width, depth, ""))
    assert value(cost_model.small_memory(0.0, width + more, depth, "")) >= small
    assert value(cost_model.small_memory(0.0, width, depth + more, "")) >= small


def test_sums_of_prices_keep_every_memory():
    terms = (
        cost_model.in_block_ram(3.0, (36, 600), "a", "product"),
        cost_model.in_lut_memory(
            2.5,
            (6, 32),
            "b",
        ),
        cost_model.Price(1.0, dsp=2, implementation="c", kind="crossings", roms=((4, 8),)),
    )
    assert cost_model.total(terms) == cost_model.Price(
        10.5, 2, 2, "c", "crossings", blocks=((36, 600),), rams=((6, 32),), roms=((4, 8),)
    )
    assert cost_model.total([]) == cost_model.Price(0.0)


@given(st.integers(1, 600), st.integers(1, 40_000))
def test_a_memory_takes_the_block_rams_that_hold_it(width, depth):
    for family, kbit in (("7-series", 16), ("ecp5", 16), ("ice40", 4)):
        held = cost_model.block_rams(width, depth, family) * kbit * 1024 * (9 / 8 if kbit == 16 else 1)
        assert held >= width * depth


def test_luts_of_four_inputs_are_more_and_block_rams_are_the_familys_own():
    padding = Padding(Stream((28, 28, 1), 1, 8), (1, 1, 1, 1)).price()
    products = product_price(256, 64, 4, 16)
    for price in (products, cheapest_price([3] * 64, 8, 65), padding):
        here = {family: cost_model.on_family(price, family) for family in FAMILIES}
        assert here["7-series"] == here["ultrascale+"] == (round(price.lut), price.bram18)
        assert all(here[family][0] > price.lut for family in ("ecp5", "ice40", "gowin"))
    assert cost_model.on_family(products, "ecp5")[1] == products.bram18
    # iCE40 has no memory in LUTs: the weights, and the buffer of inputs, take blocks of 4 kbit.
    assert cost_model.on_family(products, "ice40")[1] == cost_model.block_rams(64, 256, "ice40") + 1 == 5
    in_luts = product_price(256, 64, 4, 16, style="distributed")
    assert cost_model.on_family(in_luts, "ecp5")[0] > 20 * 64  # a LUT4 for every 16 bits, and multiplexers


def test_logic_cells_are_those_that_were_fitted() -> None:
    rows = list(logic_cells.read_rows().values())
    assert logic_cells.fit(rows) == dict(get_family("ice40").logic_cells)


def test_logic_cells_are_near_those_of_nextpnr() -> None:
    found: dict[str, list[int]] = {}
    for row in logic_cells.read_rows().values():
        node = logic_cells.node_of(row["record"])
        price = node.price()
        sums = found.setdefault(price.kind, [0, 0])
        sums[0] += cost_model.logic_cells(price, "ice40", logic_cells.stream_bits(node))
        sums[1] += int(row["cells"])
    assert {"product", "unrolled", "crossings", "count", "other"} <= set(found)
    assert all(abs(estimate / cells - 1) < 0.12 for estimate, cells in found.values())


def test_where_flip_flops_have_room_beside_luts_cells_are_luts() -> None:
    price = Product.of(np.ones((8, 16), np.int8), 2, 4, 1, ram_style="block").price()
    for family in ("ecp5", "gowin", "7-series"):
        assert cost_model.logic_cells(price, family, 100) == cost_model.on_family(price, family)[0]
    assert cost_model.logic_cells(price, "ice40", 100) > cost_model.on_family(price, "ice40")[0]


def test_memories_without_lut_memory_are_flip_flops_if_they_are_small_or_answer_at_once() -> None:
    small, large = cost_model.Price(50.0, rams=((8, 4),)), cost_model.Price(50.0, rams=((16, 256),))
    assert cost_model.memory_cells(small, "ice40") > 32 and not cost_model.memory_cells(large, "ice40")
    assert cost_model.memory_cells(replace(large, instant=large.rams), "ice40") > 4096
    assert not cost_model.memory_cells(small, "ecp5")


def test_a_memory_in_flip_flops_takes_no_block_ram() -> None:
    small, large = cost_model.Price(50.0, rams=((8, 4),)), cost_model.Price(50.0, rams=((16, 256),))
    at_once = replace(large, instant=large.rams)
    assert [cost_model.on_family(price, "ice40")[1] for price in (small, large, at_once)] == [0, 1, 0]
    assert cost_model.on_family(cost_model.total([small, large]), "ice40")[1] == 1


# ---- the formulas, against their definitions


@pytest.mark.parametrize("lut_inputs", [4, 6])
@pytest.mark.parametrize("depth", [1, 15, 16, 17, 100])
def test_weights_in_luts_are_as_measured(lut_inputs: int, depth: int) -> None:
    """A LUT4 holds 16 bits; more words take 0.135 LUTs a bit, multiplexers included. LUT6: 0.0754 a bit, of any words."""
    measured = {6: 0.0754 * depth, 4: 1 if depth <= 16 else 0.135 * depth}[lut_inputs]
    assert cost_model.weights_in_luts(7, depth, lut_inputs) == pytest.approx(7 * measured)
    assert cost_model.weights_in_luts(7, depth) == pytest.approx(7 * 0.0754 * depth)


@given(st.integers(1, 40), st.integers(1, 8), st.integers(0, 9))
def test_a_tree_adds_pairs_of_terms(terms: int, bits: int, shift: int) -> None:
    """A LUT per bit of a pair's first term; the second is shifted, further at every level, and may lie beyond the first."""
    left, width, apart, luts = list(range(terms)), bits, shift, 0
    while len(left) > 1:
        pairs = [left[place : place + 2] for place in range(0, len(left), 2)]
        luts += sum(width for pair in pairs if len(pair) == 2 and width > apart)
        left, width, apart = [pair[0] for pair in pairs], width + apart + 1, 2 * apart
    assert cost_model.adders(terms, bits, shift) == luts
    if not shift:
        assert cost_model.adders(terms, bits) == luts


@pytest.mark.parametrize("words", [0, 1, 2])
def test_a_memory_of_one_word_is_a_constant(words: int) -> None:
    price = cost_model.in_block_ram(3.0, (36, words), "a", "product")
    assert (price.lut, price.implementation, price.kind, price.dsp) == (3.0, "a", "product", 0)
    assert (price.bram18, price.blocks) == ((1, ((36, 2),)) if words == 2 else (0, ()))
    assert cost_model.in_block_ram(3.0, (36, words), "a").kind == "other"


@pytest.mark.parametrize(("width", "luts"), [(48, 64), (49, 68)])
def test_a_memory_of_more_than_64_luts_is_in_block_ram(width: int, luts: int) -> None:
    """Four LUTs hold 64 words of 3 bits."""
    assert cost_model.lutram(width, 64) == luts
    price = cost_model.small_memory(2.0, width, 64, "rows")
    assert price.implementation == ("rows in LUT memory" if luts <= 64 else "rows in block RAM")
    assert (price.lut, price.bram18) == ((2.0 + luts, 0) if luts <= 64 else (2.0, 2))


def test_every_term_of_a_sum_counts() -> None:
    one = cost_model.Price(
        *(1.5, 2, 3, "a", "product"),
        *(((4, 5),), ((6, 7),), ((8, 9),), 10.5, 11.5, ((6, 7),)),
    )
    other = cost_model.Price(
        *(100.0, 200, 300, "b", "count"),
        *(((40, 50),), ((60, 70),), ((80, 90),), 1000.0, 1100.0, ()),
    )
    assert cost_model.total([one, other]) == cost_model.Price(
        *(101.5, 202, 303, "b", "count"),
        *(((4, 5), (40, 50)), ((6, 7), (60, 70)), ((8, 9), (80, 90)), 1010.5, 1111.5, ((6, 7),)),
    )


TWICE = {"product": 3.0, "other": 2.0}
PARTS_OF_LOGIC = cost_model.Price(
    *(500.0, 1, 0, "", "product"),
    *(((36, 500),), ((6, 32),), ((8, 20),), 50.0, 70.0),
)


def test_a_price_is_converted_part_by_part() -> None:
    """Logic by its factor, memories and weights by their own rules, tables by another count."""
    weights = 8 * 20 * 0.0754
    logic = 500.0 - 4 - weights - 50.0  # four LUTs hold 32 words of 6 bits
    kept = 70.0 + 8 * 20 * 0.135
    for family in ("ecp5", "gowin", "ice40"):
        lut_ram = get_family(family).lut_ram
        expected = 3.0 * logic + kept + (lut_ram(6, 32) if lut_ram else 0)
        assert cost_model.on_family(PARTS_OF_LOGIC, family, TWICE)[0] == round(expected)
    other = replace(PARTS_OF_LOGIC, kind="crossings")
    assert cost_model.on_family(other, "ice40", TWICE)[0] == round(2.0 * logic + kept)
    assert cost_model.on_family(PARTS_OF_LOGIC, "7-series", TWICE) == (500, 1)
    # 18 kbit as five of 4 kbit; those of LUT memory are flip-flops or a block more.
    blocks = cost_model.block_rams(36, 500, "ice40")
    assert cost_model.on_family(PARTS_OF_LOGIC, "ice40", TWICE)[1] == blocks + 1
    assert cost_model.on_family(PARTS_OF_LOGIC, "ecp5", TWICE)[1] == 1


def test_families_without_factors_of_their_own_take_the_familys() -> None:
    logic = cost_model.Price(100.0, kind="product")
    for family in ("ecp5", "ice40", "gowin"):
        factors = get_family(family).lut4
        assert cost_model.on_family(logic, family)[0] == round(100 * factors["product"])
        assert cost_model.on_family(replace(logic, kind="?"), family)[0] == round(100 * factors["other"])


@pytest.mark.parametrize("bits", [0, 17])
@pytest.mark.parametrize("kind", ["product", "other", "?"])
def test_logic_cells_are_linear_in_luts_and_bits(kind: str, bits: int) -> None:
    price = cost_model.Price(200.0, kind=kind, roms=((8, 20),), rams=((8, 4),))
    lut = cost_model.on_family(price, "ice40")[0]
    weights, memory = 8 * 20 * 0.135, 1.8 * 8 * 4
    shares = get_family("ice40").logic_cells
    share = shares.get(kind, shares["other"])
    cells = share.lut * (lut - weights) + share.bit * bits + share.each + weights + memory
    assert cost_model.logic_cells(price, "ice40", bits) == round(cells)
    assert cost_model.weight_luts(price, "ice40") == pytest.approx(weights)
    assert cost_model.memory_cells(price, "ice40") == pytest.approx(memory)
    # A wired layer's tables share their cells with its registers; a node without logic has no cells.
    wired = replace(price, tables=20.0, small_tables=30.0)
    assert cost_model.logic_cells(wired, "ice40", bits) == cost_model.on_family(wired, "ice40")[0]
    assert cost_model.logic_cells(cost_model.Price(0.0, kind=kind), "ice40", bits) == 0


@pytest.mark.parametrize(
    ("width", "depth", "flips"), [(1, 81, True), (1, 82, False), (3, 27, True), (2, 41, False)]
)
def test_a_memory_below_two_per_cent_of_a_block_is_flip_flops(width: int, depth: int, flips: bool) -> None:
    """A block RAM of an iCE40 has 4,096 bits, 2 % of which are 81.92."""
    price = cost_model.Price(10.0, rams=((width, depth),))
    assert cost_model.memory_cells(price, "ice40") == pytest.approx(1.8 * width * depth if flips else 0.0)
    assert cost_model.on_family(price, "ice40")[1] == (0 if flips else 1)
    assert cost_model.memory_cells(price, "ecp5") == cost_model.memory_cells(price, "7-series") == 0


def test_a_price_of_luts_alone_has_nothing_else() -> None:
    price = cost_model.Price(3.0)
    assert price == cost_model.Price(3.0, 0, 0, "", "other", (), (), (), 0.0, 0.0, ())
