"""Crossing sites: RTL against numpy, levels and bits, and which implementation is the cheapest."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.finn_flows.nodes.bench import SAMPLES, STALLS, cells_of, check_random, crossing_table, divisor
from zerocross.finn_flows import cost_model
from zerocross.finn_flows.crossings import from_bits
from zerocross.finn_flows.network import Grid
from zerocross.finn_flows.nodes import CrossingSite
from zerocross.finn_flows.nodes.crossing_site import (
    IMPLEMENTATIONS,
    cheapest_price,
    implementations,
    site_price,
    table_bound,
)
from zerocross.finn_flows.nodes.node import NodeError
from zerocross.finn_flows.nodes.stream import Stream

BUILT = IMPLEMENTATIONS[:3]


def few_nodes(implementation: str) -> dict[str, CrossingSite]:
    def site(table, pe, bits=1, vectors=()):
        return CrossingSite.of(table, pe, implementation, bits, vectors)

    return {
        f"{implementation}_bits": site(crossing_table(24, 46, 5), 8),
        f"{implementation}_one": site(crossing_table(6, 65, 1), 6),
        f"{implementation}_odd": site(crossing_table(15, 27, 12), 5),
        f"{implementation}_signed": site(crossing_table(6, 23, 4, -22, 2), 3),
        f"{implementation}_none": site(crossing_table(4, 9, 0), 1),
        f"{implementation}_levels": site(crossing_table(24, 33, 7), 4, bits=3),
        f"{implementation}_of_levels": site(crossing_table(6, 15, 3), 2),
        f"{implementation}_levels_of_levels": site(crossing_table(24, 17, 7), 3, bits=4),
        f"{implementation}_of_an_image": site(crossing_table(8, 17, 4), 2, bits=2, vectors=(3, 2)),
    }


NODES = {name: node for implementation in BUILT for name, node in few_nodes(implementation).items()} | {
    "block_levels_of_levels": CrossingSite.of(crossing_table(12, 61, 9), 2, "table in block RAM", bits=2),
    "block_odd": CrossingSite.of(crossing_table(15, 27, 12), 5, "table in block RAM"),
}


@pytest.mark.parametrize("stalls", STALLS)
def test_the_rtl_agrees_with_numpy_whatever_the_stalls(bench, stalls):
    bench.check(stalls)


def test_a_wrong_crossing_is_noticed(bench):
    table = NODES["search_odd"].numbers
    table = replace(table, first=table.first ^ (np.arange(15) == 3))
    wrong_nodes = NODES | {"search_odd": replace(NODES["search_odd"], table=table)}
    _, wrong = replace(bench, nodes=wrong_nodes).run((0.3, 0.3))
    assert {name for name, count in wrong.items() if count} == {"search_odd_m"}
    assert wrong["search_odd_m"] == SAMPLES


def test_levels_are_the_numbers_their_planes_spell():
    """Four levels, thresholds 3, 5, 6: plane 1 flips at 5, plane 0 at each."""
    rows = np.array([[0, 0, 0, 1, 1, 0, 1, 1], [0, 0, 0, 0, 0, 1, 1, 1]], np.uint8)
    node = CrossingSite.of(from_bits(Grid(0, 7), rows), 1, bits=2)
    (levels,) = node.reference(np.arange(8)[:, None])
    assert levels[:, 0].tolist() == [sum(a >= t for t in (3, 5, 6)) for a in range(8)]


def test_its_input_is_the_index_on_the_tables_grid():
    table = crossing_table(6, 23, 4, -22, 2)
    site = CrossingSite.of(table, 3, vectors=(2, 2))
    assert site.inputs["s"] == Stream((2, 2, 6), 3, 5) and site.points == 23
    index = np.random.default_rng(0).integers(0, 23, (7, 24))
    right = table.bits(-22 + 2 * index.reshape(-1, 6))
    assert (site.reference(index)[0].reshape(-1, 6) == right).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CrossingSite.of(crossing_table(6, 9, 2), 4), "4 does not divide 6 channels"),
        (lambda: CrossingSite.of(crossing_table(6, 9, 2), 2, "magic"), "magic"),
        (
            lambda: CrossingSite.of(crossing_table(6, 9, 2), 1, bits=4),
            "6 rows .* do not fit 1 channels of 4 bits",
        ),
        (lambda: CrossingSite.of(crossing_table(6, 9, 2), 2, bits=2), "2 does not divide 3 channels"),
        (lambda: CrossingSite(Stream((2,), 1, 3), (1, 1), 7, 0), "channels of 0 bits"),
        (
            lambda: CrossingSite(Stream((2,), 1, 4), (1, 1), 9, table=crossing_table(2, 9, 0)),
            "numbers of crossings differ from those of the node",
        ),
        (
            lambda: CrossingSite(Stream((2,), 1, 4), (0, 0), 9, table=crossing_table(2, 8, 0)),
            "the table has 8 points, but the node has 9",
        ),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(NodeError, match=message):
        make()


# ---- price


@st.composite
def sites(draw):
    lanes, depth = draw(st.sampled_from([1, 2, 4, 8])), draw(st.sampled_from([1, 2, 8, 16]))
    crossings = draw(st.lists(st.integers(0, 20), min_size=lanes * depth, max_size=lanes * depth))
    points = draw(st.integers(2, 3000))
    return [min(count, points - 1) for count in crossings], lanes, points


def value(price):
    return price.lut + cost_model.CONSTANTS.bram18_in_luts * price.bram18


@given(sites())
def test_constants_are_free_and_only_they(site):
    crossings, lanes, points = site
    price = cheapest_price(crossings, lanes, points)
    assert (value(price) == 0) == (not any(crossings))
    assert cheapest_price([0] * len(crossings), lanes, points).implementation == "constant"


@given(sites(), st.data())
def test_more_crossings_never_cost_less(site, data):
    crossings, lanes, points = site
    more = [count + data.draw(st.integers(0, 5)) for count in crossings]
    fewer = value(cheapest_price(crossings, lanes, points))
    assert value(cheapest_price(more, lanes, points)) >= fewer - 1e-9


@given(sites())
def test_a_site_never_costs_more_than_its_tables(site):
    crossings, lanes, points = site
    bound = lanes * table_bound(len(crossings) // lanes, points)
    price = cheapest_price(crossings, lanes, points)
    assert value(price) <= cost_model.CONSTANTS.site_base + bound


@given(sites())
def test_a_site_is_built_as_the_cheapest_implementation(site):
    crossings, lanes, points = site
    prices = {name: value(site_price(crossings, lanes, points, name)) for name in implementations(points)}
    cheapest = cheapest_price(crossings, lanes, points)
    assert value(cheapest) == min(prices.values())
    bits = max(1, (points - 1).bit_length())
    node = CrossingSite(Stream((len(crossings),), lanes, bits), tuple(crossings), points).cheapest()
    assert node.price() == cheapest


def test_a_site_is_built_as_its_size_asks_for():
    def implementation(count, lanes, points):
        return cheapest_price([count] * 64, lanes, points).implementation

    assert (
        implementation(16, 64, 65) == "table"
    )  # one channel a lane, a small fan-in: a few LUTs hold any row
    assert implementation(16, 8, 257) == "table"
    assert implementation(1, 8, 64 * 255 + 1) == "comparators"  # bytes in: a row is too long to be stored


# ---- everything below is slow


def random_node(rng: np.random.Generator) -> CrossingSite:
    channels, levels = int(rng.integers(1, 30)), int(rng.integers(2, 200))
    crossings = int(rng.integers(0, min(levels, 20)))
    low, step = (0, 1) if rng.random() < 0.5 else (-int(rng.integers(0, 300)), int(rng.integers(1, 4)))
    bits = int(rng.integers(1, 4))
    table = crossing_table(channels * bits, levels, crossings, low, step)
    vectors = (2, 2) if rng.random() < 0.2 else ()
    return CrossingSite.of(table, divisor(rng, channels), str(rng.choice(IMPLEMENTATIONS)), bits, vectors)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_random_ones_agree_with_numpy_and_keep_their_intervals(seed, tmp_path, runtime):
    check_random(random_node, 40, seed, tmp_path, runtime)


@pytest.mark.slow
@pytest.mark.parametrize("implementation", BUILT)
def test_it_is_near_its_estimate(implementation, tmp_path):
    node = CrossingSite.of(crossing_table(64, 65, 8), 8, implementation)
    cells, price = cells_of(node, tmp_path), node.price()
    print(f"{implementation}: {cells}, estimate {price.lut:.0f} LUT")
    assert cells.bram18 == 0
    # The models are of trained activations, whose channels cross near each other; these cross anywhere.
    assert 0.6 < cells.lut / price.lut < 2


@pytest.mark.slow
def test_tables_go_to_block_ram_where_they_are_told(tmp_path):
    table = CrossingSite.of(crossing_table(64, 65, 8), 8, "table in block RAM")
    assert cells_of(table, tmp_path).bram18 == 4  # two lanes share one
