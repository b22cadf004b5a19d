import pytest
from hypothesis import given
from hypothesis import strategies as st

from finn_flows import structural

# LUTs of a unit with its thresholds, weights in block RAM: measured with Yosys 0.70, synth_xilinx
MEASURED_PRODUCTS = [
    (64, 64, 8, 16, 426, 4),
    (64, 64, 16, 32, 1266, 15),
    (256, 10, 1, 32, 167, 1),
    (256, 256, 8, 16, 465, 4),
    (256, 256, 16, 32, 1458, 15),
    (256, 256, 32, 64, 5307, 57),
    (784, 256, 64, 16, 3060, 29),
]
UNROLLED = [(64, 10, 643), (64, 64, 3129), (128, 128, 13291), (256, 10, 2785)]
# (bits, channels a lane, stages): LUTs
MEASURED_SEARCHES = {
    (7, 8, 1): 6,
    (7, 8, 3): 29,
    (7, 8, 4): 42,
    (10, 8, 4): 59,
    (9, 16, 4): 63,
    (7, 1, 4): 22,
}

counts = st.integers(0, 20)


@st.composite
def sites(draw):
    lanes, depth = draw(st.sampled_from([1, 2, 4, 8])), draw(st.sampled_from([1, 2, 8, 16]))
    crossings = draw(st.lists(counts, min_size=lanes * depth, max_size=lanes * depth))
    levels = draw(st.integers(2, 3000))
    return [min(count, levels - 1) for count in crossings], lanes, levels


def value(price):
    return price.lut + structural.CONSTANTS.bram18_in_luts * price.bram18


@pytest.mark.parametrize("measured", MEASURED_PRODUCTS)
def test_products_are_priced_as_measured(measured):
    fan_in, channels, pe, simd, lut, bram18 = measured
    price = structural.xnor_product(fan_in, channels, pe, simd)
    threshold = 0.86 * pe * fan_in.bit_length()
    assert price.lut + threshold == pytest.approx(lut, rel=0.085)
    assert price.bram18 == bram18


@pytest.mark.parametrize(("fan_in", "channels", "lut"), UNROLLED)
def test_unrolled_products_are_priced_as_measured(fan_in, channels, lut):
    price = structural.xnor_product(fan_in, channels, channels, fan_in)
    assert price.lut == pytest.approx(lut, rel=0.05)
    assert price.bram18 == 0


def test_searches_are_priced_as_measured():
    for (bits, channels, stages), lut in MEASURED_SEARCHES.items():
        assert structural.binary_search((2**stages - 1,) * channels, bits) == pytest.approx(lut, rel=0.11)


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
    assert value(structural.crossing_site(crossings, pe, levels)) <= bound


def test_a_site_is_built_the_way_its_size_asks_for():
    def way(count, lanes, levels):
        return structural.crossing_site([count] * 64, lanes, levels).way

    assert way(16, 64, 65) == "table"  # one channel a lane, a small fan-in: a few LUTs hold any row
    assert way(1, 8, 785) == "search"
    assert way(1, 8, 16321 * 2) != "table"  # bytes in: a row is too long to be stored


@given(st.integers(1, 64), st.integers(1, 64))
def test_converters_cost_nothing_between_equal_words(a, b):
    assert (structural.width_converter(a, b).lut == 0) == (a == b)


@given(st.integers(2, 2000), st.integers(1, 200), st.integers(1, 100))
def test_deeper_and_wider_memories_never_cost_less(depth, width, more):
    assert structural.input_generator(width + more, depth).lut >= structural.input_generator(width, depth).lut
    assert structural.input_generator(width, depth + more).lut >= structural.input_generator(width, depth).lut
    assert structural.fifo(2, width + more).lut > structural.fifo(2, width).lut


def test_luts_of_four_inputs_are_more():
    for kind in ("product", "adder", "crossing", "other"):
        assert (
            structural.on_family(100, "7-series", kind)
            == structural.on_family(100, "ultrascale+", kind)
            == 100
        )
        assert all(structural.on_family(100, family, kind) > 100 for family in ("ecp5", "ice40", "gowin"))
