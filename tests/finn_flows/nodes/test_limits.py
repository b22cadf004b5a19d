"""Limits of nodes: the last value that is possible, and the first that is not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerocross.finn_flows import cost_model
from zerocross.finn_flows.accumulators import MOST_INPUT_BITS
from zerocross.finn_flows.crossings import from_bits
from zerocross.finn_flows.network import Grid
from zerocross.finn_flows.nodes import (
    Add,
    AddVector,
    Bias,
    BitPlanes,
    Concat,
    CrossingSite,
    Fifo,
    GroupedProduct,
    InputGenerator,
    LabelSelect,
    MaxPool,
    Padding,
    Select,
    SumPool,
    Thermometer,
    WidthConverter,
    WindowMaxPool,
    Wired,
    WiredCount,
)
from zerocross.finn_flows.nodes.crossing_site import IMPLEMENTATIONS, implementations, index_bits
from zerocross.finn_flows.nodes.node import NodeError, check_exact, check_folding, check_window
from zerocross.finn_flows.nodes.product import check_bits, check_weights
from zerocross.finn_flows.nodes.select import possible_lanes
from zerocross.finn_flows.nodes.stream import Stream

IMAGE = Stream((3, 4, 6), 2, 4)


def bias(**numbers: object) -> Bias:
    given = {"shift": 0, "low": -3, "high": 5, "least": 1, "most": 7} | numbers
    return Bias(Stream((2,), 1, 6, signed=True), **given)  # type: ignore[arg-type]


def pair(one: int, other: int) -> np.ndarray:
    return np.array([one, other])


def grouped(**numbers: int) -> GroupedProduct:
    given = {"area": 9, "inputs_a_group": 4, "channels": 12, "groups": 3, "pe": 4, "simd": 4} | numbers
    return GroupedProduct(**given)  # type: ignore[arg-type]


def sparse(fan_in: int, exact: bool, reads: tuple[int, ...] = (2, 3), value: int = -1) -> None:
    weights = np.zeros((len(reads), 5), np.int8)
    for row, count in zip(weights, reads, strict=True):
        row[:count] = value
    WiredCount(5, 2, fan_in, exact, weights)


POSSIBLE: list[Callable[[], object]] = [
    lambda: Padding(IMAGE, (0, 0, 0, 0), 0),
    lambda: Padding(IMAGE, (1, 0, 2, 1), 15),
    lambda: Padding(Stream((2, 2, 2), 2, 5, signed=True), (1, 1, 1, 1), -16),
    lambda: BitPlanes(IMAGE, (0,)),
    lambda: BitPlanes(IMAGE, (3, 0)),
    lambda: Select(Stream((6,), 1, 3), (0, 5)),
    lambda: Thermometer(Stream((2,), 2, 4), (0, 16), 1),
    lambda: Fifo(IMAGE, 2, "registers"),
    lambda: MaxPool(Stream((4, 4, 2), 1, 1), (4, 4)),
    lambda: InputGenerator(IMAGE, (3, 4)),
    lambda: InputGenerator(IMAGE, (1, 1), (1, 1)),
    lambda: InputGenerator(Stream((5, 5, 1), 1, 1), (3, 3), (1, 1), (2, 2)),
    lambda: bias(shift=0),
    lambda: bias(low=5),
    lambda: bias(least=7),
    lambda: bias(biases=pair(-3, 5), factors=pair(1, 7)),
    lambda: check_bits(1, 1),
    lambda: check_bits(MOST_INPUT_BITS, 8),
    lambda: check_weights(np.array([[-2, 2]]), 2),
    lambda: check_weights(np.array([[-128, 128]]), 8),
    lambda: check_weights(np.array([[-1, 1]]), 1),
    lambda: check_exact("numbers", 1 << 24),
    lambda: check_folding("items", 6, 6),
    lambda: check_folding("items", 6, 1),
    lambda: check_window((3, 4), (3, 4)),
    lambda: sparse(3, exact=False),
    lambda: sparse(3, exact=True, reads=(3, 3)),
    grouped,
    lambda: grouped(pe=12),
    lambda: grouped(simd=1),
    lambda: Add(IMAGE, Stream((3, 4, 6), 2, 7)),
    lambda: Concat(IMAGE, Stream((3, 4, 2), 2, 4)),
    lambda: AddVector(IMAGE, Stream((6,), 2, 4)),
    lambda: WindowMaxPool(Stream((3, 4, 8), 2, 1), (2, 2)),
    lambda: WiredCount(6, 2, 3, True),
]

IMPOSSIBLE: list[tuple[Callable[[], object], str]] = [
    (lambda: Padding(IMAGE, (0, 0, -1, 0), 0), "would cut the image"),
    (lambda: Padding(IMAGE, (0, 0, 0, 0), 16), r"padding with 16 does not fit .* 0 to 15"),
    (lambda: Padding(IMAGE, (0, 0, 0, 0), -1), "padding with -1 does not fit"),
    (lambda: Padding(Stream((2, 2, 2), 2, 5, signed=True), (1, 1, 1, 1), -17), "padding with -17"),
    (lambda: Padding(Stream((2, 2, 6), 4, 5), (1, 1, 1, 1)), "4 does not divide 6 channels"),
    (lambda: BitPlanes(IMAGE, ()), "do not have the bits"),
    (lambda: BitPlanes(IMAGE, (0, 4)), r"levels of 4 bits do not have the bits \[0, 4\]"),
    (lambda: BitPlanes(IMAGE, (-1, 2)), "do not have the bits"),
    (lambda: Select(Stream((6,), 1, 3), ()), "cannot be selected"),
    (lambda: Select(Stream((6,), 1, 3), (0, 6)), "from 6 channels"),
    (lambda: Select(Stream((6,), 1, 3), (-1, 3)), "from 6 channels"),
    (lambda: Thermometer(Stream((2,), 2, 4), (-1, 16), 1), "0 or more"),
    (lambda: Thermometer(Stream((2,), 2, 4), (), 0), "0 thresholds do not fit 2 channels of 0 bits"),
    (lambda: Thermometer(Stream((2,), 2, 4, signed=True), (1, 2), 1), "0 or more"),
    (lambda: Fifo(IMAGE, 3, "registers"), "holds 2 words, not 3"),
    (lambda: MaxPool(Stream((4, 4, 2), 1, 1), (5, 4)), "larger"),
    (lambda: MaxPool(Stream((4, 4, 2), 1, 1), (4, 5)), "larger"),
    (lambda: SumPool(Stream((4, 4, 2), 1, 2), (5, 1)), "larger"),
    (lambda: InputGenerator(IMAGE, (4, 1)), "no larger than the image"),
    (lambda: InputGenerator(IMAGE, (1, 5)), "no larger than the image"),
    (lambda: InputGenerator(IMAGE, (0, 1)), "1 or more"),
    (lambda: InputGenerator(IMAGE, (1, 1), (0, 1)), "1 or more"),
    (lambda: InputGenerator(IMAGE, (1, 1), (1, 0)), "1 or more"),
    (lambda: InputGenerator(Stream((4, 5, 1), 1, 1), (3, 3), (1, 1), (2, 2)), "dilated by"),
    (lambda: bias(shift=-1), "shift must be 0 or more"),
    (lambda: bias(low=6), "low must not exceed high"),
    (lambda: bias(least=8), "least not most"),
    (lambda: bias(biases=pair(-4, 0)), "biases are out of the range -3 to 5"),
    (lambda: bias(biases=pair(0, 6)), "biases are out of the range -3 to 5"),
    (lambda: bias(factors=pair(0, 2)), "factors are out of the range 1 to 7"),
    (lambda: bias(factors=pair(2, 8)), "factors are out of the range 1 to 7"),
    (lambda: bias(biases=np.zeros(3, int)), r"biases have shape \(3,\), not \(2,\)"),
    (lambda: check_bits(0, 1), "inputs of 0 bits"),
    (lambda: check_bits(MOST_INPUT_BITS + 1, 1), f"use 1 to {MOST_INPUT_BITS} bits"),
    (lambda: check_bits(1, 0), "weights of 0 bits"),
    (lambda: check_bits(1, 9), "weights of 9 bits are not supported: use 1 to 8 bits"),
    (lambda: check_weights(np.array([[-3, 0]]), 2), "within -2 to 2"),
    (lambda: check_weights(np.array([[0, 129]], np.int16), 8), "within -128 to 128"),
    (lambda: check_weights(np.array([[-1, 0]]), 1), "must be -1 or"),
    (lambda: check_exact("numbers", (1 << 24) + 1), "does not hold numbers up to 16777217"),
    (lambda: check_folding("items", 6, 4), "4 does not divide 6 items"),
    (lambda: check_folding("items", 6, 0), "0 does not divide 6 items"),
    (lambda: check_window((3, 4), (4, 4)), "larger than its image"),
    (lambda: check_window((3, 4), (3, 5)), "larger than its image"),
    (lambda: sparse(2, exact=False), "at most 2"),
    (lambda: sparse(3, exact=True), "3"),
    (lambda: sparse(3, exact=False, value=2), "-1, 0 or"),
    (lambda: sparse(3, exact=False, reads=(1, 2, 3)), r"shape \(3, 5\), not \(2, 5\)"),
    (lambda: grouped(pe=6), "does not cover whole groups: use a multiple of 4"),
    (lambda: grouped(pe=8), "2 does not divide 3 groups"),
    (lambda: grouped(simd=3), "3 does not divide 4 channels of a group"),
    (lambda: grouped(pe=12, simd=2), "3 groups at once need all 4"),
    (lambda: grouped(groups=5), "5 does not divide 12 channels"),
    (lambda: Add(IMAGE, Stream((3, 4, 6), 1, 4)), "different elements or lanes"),
    (lambda: Add(IMAGE, Stream((3, 4, 4), 2, 4)), "different elements or lanes"),
    (lambda: Concat(IMAGE, Stream((3, 4, 6), 3, 4)), "different pixels or lanes"),
    (lambda: Concat(IMAGE, Stream((3, 4, 6), 1, 4)), "different pixels or lanes"),
    (lambda: Concat(IMAGE, Stream((3, 5, 6), 2, 4)), "different pixels or lanes"),
    (lambda: AddVector(IMAGE, Stream((5,), 1, 4)), ""),
    (lambda: AddVector(IMAGE, Stream((6,), 1, 4)), ""),
    (lambda: AddVector(IMAGE, Stream((6,), 3, 4)), ""),
]


@pytest.mark.parametrize("make", POSSIBLE)
def test_the_last_value_is_possible(make: Callable[[], object]) -> None:
    make()


@pytest.mark.parametrize(("make", "message"), IMPOSSIBLE)
def test_the_next_value_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(NodeError, match=message):
        make()


# ---- limits of choices that nodes make by themselves


@pytest.mark.parametrize(("points", "count"), [(2, 4), (4096, 4), (4097, 2), (100_000, 2)])
def test_tables_have_up_to_4096_entries(points: int, count: int) -> None:
    assert len(implementations(points)) == count


@pytest.mark.parametrize(("points", "bits"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (256, 8), (257, 9)])
def test_an_index_has_the_fewest_bits(points: int, bits: int) -> None:
    assert index_bits(points) == bits


@pytest.mark.parametrize("most", [0, 1, 2, 3, 4, 7, 8, 15, 16])
def test_a_search_halves_what_is_left_and_reserves_a_whole_tree(most: int) -> None:
    counts = (most, 0, most // 2)
    comparators, search, table, memory = (
        CrossingSite(Stream((3,), 3, 5), counts, 20, implementation=each) for each in IMPLEMENTATIONS
    )
    stages = next(stages for stages in range(1, 9) if 2**stages > most)
    assert (search.latency, search.limit) == (stages, 2**stages - 1)
    assert (comparators.latency, table.latency, memory.latency) == (2, 1, 1)
    assert comparators.limit == table.limit == max(1, most)
    for node in (comparators, search, table, memory):  # FINN has a threshold for each crossing
        (stock,) = node.stock()
        assert dict(stock.attributes)["numSteps"] == max(1, most)
        assert dict(stock.attributes)["outputDataType"] == (
            "BINARY" if most < 2 else f"UINT{len(f'{most:b}')}"
        )


@pytest.mark.parametrize("count", range(1, 6))
def test_synthesis_keeps_the_bits_of_four_inputs_and_more(count: int, tmp_path: Path) -> None:
    """With fewer inputs it does better as it likes."""
    weights = np.zeros((2, 8), np.int8)
    weights[:, :count] = 1
    rows = np.array([[1, 0] * 4, [0, 1] * 4], np.uint8)[:, : count + 1]
    node = Wired.of(weights, from_bits(Grid(0, count), rows))
    node.generate(tmp_path)
    (file,) = tmp_path.glob("zc_wired_*.sv")
    assert ("(* keep *) wire [1:0] y;" in file.read_text()) == (count >= 4)


@pytest.mark.parametrize(
    ("threshold", "lut"),
    [(0, 0), (256, 0), (128, 0), (64, 1), (192, 1), (4, 1), (2, 2), (1, 2), (255, 2), (300, 0)],
)
def test_a_constant_threshold_is_a_function_of_the_bits_above_its_lowest_one(
    threshold: int, lut: int
) -> None:
    """One bit is a wire, up to six are a LUT. The other threshold keeps all bits: two LUTs."""
    node = Thermometer(Stream((2,), 2, 8), (threshold, 1), 1)
    assert node.price().lut == 1.0 + lut + 2
    assert node.price().implementation == "constants"


@given(st.data())
def test_lanes_of_a_selection_are_those_whose_words_are_kept_whole(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 12))
    channels = data.draw(
        st.lists(st.integers(0, count - 1), min_size=1, max_size=8)
        | st.sets(st.integers(0, count - 1), min_size=1).map(sorted)
        | st.integers(0, count - 1).map(lambda start: list(range(start, count)))
    )
    possible = []
    for lanes in range(1, count + 1):
        if count % lanes == 0:
            words = [list(range(start, start + lanes)) for start in range(0, count, lanes)]
            kept = [word for word in words if word[0] in channels]
            if lanes == count or [channel for word in kept for channel in word] == channels:
                possible.append(lanes)
    assert list(possible_lanes(count, tuple(channels))) == possible


@pytest.mark.parametrize("to", [1, 2, 3, 4, 6, 8, 12, 24])
@pytest.mark.parametrize("lanes", [1, 2, 3, 4, 6, 8, 12, 24])
def test_a_converter_reads_and_writes_at_once_where_words_end_together(lanes: int, to: int) -> None:
    node = WidthConverter(Stream((24,), lanes, 3), to)
    read = {lanes * (index + 1) for index in range(24 // lanes)}
    written = {to * (index + 1) for index in range(24 // to)}
    assert node.interval == len(read) + len(written) - len(read & written)
    kind = (
        "none" if lanes == to else "barrel shifter" if max(lanes, to) % min(lanes, to) else "shift register"
    )
    assert node.price().implementation == kind
    assert node.latency == int(lanes != to)


@pytest.mark.parametrize("high", [None, 0, 1, 7, 8, 100])
def test_a_sum_has_the_bits_of_the_largest_that_occurs(high: int | None) -> None:
    """Of levels up to 3 and 7; a known largest sum may be less."""
    a, b = Stream((2, 2, 2), 2, 2), Stream((2,), 2, 3)
    most = min(10, 10 if high is None else high)
    bits = max(1, len(f"{most:b}"))
    assert AddVector(a, b, high).outputs["m"].bits == bits
    assert Add(Stream((2,), 2, 2), b, high).outputs["m"].bits == bits
    most = min(4 * 3, 12 if high is None else high)
    pool = SumPool(a, (2, 2), high)
    assert pool.outputs["m"].bits == max(1, len(f"{most:b}"))


@pytest.mark.parametrize("a", [(1, False), (4, False), (1, True), (4, True), (7, True)])
@pytest.mark.parametrize("b", [(1, False), (3, False), (8, False), (2, True), (7, True)])
def test_a_sum_of_any_two_streams_has_the_fewest_bits(a: tuple[int, bool], b: tuple[int, bool]) -> None:
    first, second = (Stream((2,), 1, bits, signed) for bits, signed in (a, b))
    found = Add(first, second).outputs["m"]
    low, high = (one + other for one, other in zip(first.range, second.range, strict=True))
    assert found.signed == (low < 0)
    fewer = Stream((2,), 1, found.bits - 1, found.signed)
    assert found.range[0] <= low and high <= found.range[1]
    assert found.bits == 1 or not (fewer.range[0] <= low and high <= fewer.range[1])


@pytest.mark.parametrize(
    ("labels", "lanes"), [(1, 1), (2, 1), (2, 2), (8, 8), (9, 9), (9, 3), (256, 1), (257, 1)]
)
def test_labels_are_compared_in_a_tree_where_all_are_in_one_word(labels: int, lanes: int) -> None:
    node = LabelSelect(Stream((labels,), lanes, 4))
    levels = next(levels for levels in range(10) if 2**levels >= labels)
    assert node.is_tree == (labels == lanes and labels > 1)
    assert node.latency == (levels if node.is_tree else 2)
    assert node.outputs["m"].bits == max(1, levels)
    assert dict(node.stock()[0].attributes)["outputDataType"] == ("UINT8" if labels <= 256 else "UINT16")


@pytest.mark.parametrize(("words", "depth"), [(1, None), (64, 64), (65, 65), (128, 128), (129, 129)])
def test_a_pool_of_sums_buffers_a_line_in_banks_of_64(words: int, depth: int | None) -> None:
    """A word more than a bank takes 0.7 LUTs a bit of multiplexers; one word is a register."""
    node = SumPool(Stream((2, 2 * words, 3), 3, 4), (2, 2))
    width = 3 * 6  # sums of four levels of four bits
    banks = -(-words // 64)
    memory = cost_model.lutram(width, words) if depth else 0
    assert node.price().lut == pytest.approx(width + 25 + 0.7 * width * (banks - 1) + memory)
    assert node.price().rams == (((width, depth),) if depth else ())


@pytest.mark.parametrize("lanes", [1, 2, 3, 6])
@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("depthwise", [False, True])
def test_a_word_holds_whole_windows_of_all_channels_or_of_some_by_channel(
    lanes: int, parallel: bool, depthwise: bool
) -> None:
    def node(kernel: tuple[int, int]) -> InputGenerator:
        return InputGenerator(
            Stream((4, 5, 6), lanes, 2), kernel, depthwise=depthwise, parallel=parallel, ram_style="block"
        )

    if parallel and not depthwise and lanes < 6:
        with pytest.raises(NodeError, match=f"needs all 6 channels in a word, not {lanes}"):
            node((2, 2))
    else:
        assert node((2, 2)).at_once == parallel
        assert node((2, 2)).latency == (1 if parallel else 2)
        assert node((2, 2)).outputs["m"].lanes == lanes * (4 if parallel else 1)
    assert node((1, 1)).at_once and node((1, 1)).latency == 1
    assert node((1, 1)).interval == 4 * 5 * 6 // lanes
