"""Forks: RTL against numpy."""

import numpy as np
import pytest

from tests.finn_flows.nodes.bench import STALLS, check_random, divisor
from zerocross.finn_flows.nodes import Duplicate
from zerocross.finn_flows.nodes.stream import Stream

NODES = {
    "vector": Duplicate(Stream((12,), 3, 5)),
    "image": Duplicate(Stream((2, 3, 4), 2, 3, signed=True)),
}


@pytest.mark.parametrize("stalls", STALLS)
def test_the_rtl_agrees_with_numpy_whatever_the_stalls(bench, stalls):
    bench.check(stalls)


def test_finn_has_one_node_for_any_number_of_readers():
    stream = Stream((2, 3, 4), 2, 3)
    (stock,) = Duplicate(stream, finn_readers=3).stock()
    assert dict(stock.attributes)["NumOutputStreams"] == 3
    assert Duplicate(stream, finn_readers=0).stock() == ()


# ---- everything below is slow


def random_node(rng: np.random.Generator) -> Duplicate:
    channels = int(rng.integers(1, 9))
    return Duplicate(Stream((channels * 2,), divisor(rng, channels), int(rng.integers(1, 9))))


@pytest.mark.slow
def test_random_ones_agree_with_numpy_and_keep_their_intervals(tmp_path, runtime):
    check_random(random_node, 25, 0, tmp_path, runtime)
