"""Label selects: RTL against numpy."""

import numpy as np
import pytest

from tests.finn_flows.nodes.bench import STALLS, check_random, divisor
from zerocross.finn_flows.nodes import LabelSelect
from zerocross.finn_flows.nodes.node import NodeError
from zerocross.finn_flows.nodes.stream import Stream

NODES = {
    "one_by_one": LabelSelect(Stream((10,), 1, 3)),
    "signed_ones": LabelSelect(Stream((12,), 4, 4, signed=True)),
    "all": LabelSelect(Stream((5,), 5, 2)),
}


@pytest.mark.parametrize("stalls", STALLS)
def test_the_rtl_agrees_with_numpy_whatever_the_stalls(bench, stalls):
    bench.check(stalls)


def test_the_reference_is_the_lowest_index_of_the_largest():
    node = LabelSelect(Stream((4,), 2, 4, signed=True))
    assert node.reference(np.array([[1, 7, 7, -8], [-1, -1, -3, -2]]))[0].tolist() == [[1], [0]]


def test_trees_of_wider_values_and_indices_cost_more():
    def lut(labels: int, bits: int) -> float:
        return LabelSelect(Stream((labels,), labels, bits)).price().lut

    assert lut(10, 8) < lut(10, 9) and lut(10, 8) < lut(11, 8)
    # Of 17 labels, an index has a bit more than of 16: a comparison costs more.
    assert lut(17, 8) - lut(16, 8) > lut(16, 8) - lut(15, 8)


def test_what_does_not_fit_is_refused():
    with pytest.raises(NodeError, match="3 does not divide 10 labels"):
        LabelSelect(Stream((10,), 3, 4))


# ---- everything below is slow


def random_node(rng: np.random.Generator) -> LabelSelect:
    labels, signed = int(rng.integers(1, 40)), bool(rng.random() < 0.5)
    return LabelSelect(Stream((labels,), divisor(rng, labels), int(rng.integers(1, 9)), signed))


@pytest.mark.slow
def test_random_ones_agree_with_numpy_and_keep_their_intervals(tmp_path, runtime):
    check_random(random_node, 40, 0, tmp_path, runtime)
