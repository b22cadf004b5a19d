"""Selections of channels: RTL against numpy, and the words that fit."""

import numpy as np
import pytest

from tests.finn_flows.nodes.bench import STALLS, cells_of, check_random
from zerocross.finn_flows.nodes import Select
from zerocross.finn_flows.nodes.node import NodeError
from zerocross.finn_flows.nodes.select import possible_lanes
from zerocross.finn_flows.nodes.stream import Stream

NODES = {
    "the_first": Select(Stream((3, 2, 8), 2, 3), (0, 1, 2, 3)),
    "the_last": Select(Stream((12,), 3, 4), (9, 10, 11)),
    "apart": Select(Stream((2, 2, 6), 1, 2), (1, 3, 4)),
    "shuffled": Select(Stream((2, 3, 6), 6, 2), (0, 3, 1, 4, 2, 5)),
    "repeated": Select(Stream((2, 3, 3), 3, 1), (2, 2, 0, 2)),
    "one": Select(Stream((2, 3, 5), 5, 3), (4,)),
    "of_one": Select(Stream((2, 3, 1), 1, 3), (0, 0)),
}


@pytest.mark.parametrize("stalls", STALLS)
def test_the_rtl_agrees_with_numpy_whatever_the_stalls(bench, stalls):
    bench.check(stalls)


def test_dropped_words_do_not_wait_for_the_reader(bench):
    """A word that is kept waits; those behind it are taken as soon as it is gone, one per cycle."""
    trace, _ = bench.run((0.0, 0.9))
    taken = trace.taken["the_last_s"].reshape(-1, 4)
    assert (np.diff(taken[:, :3]) == 1).all()
    assert (np.diff(taken[:, 2:]) > 1).any()


@pytest.mark.parametrize(
    ("channels", "lanes"),
    [
        ((4, 5, 6, 7), (1, 2, 4, 12)),
        ((0, 1, 2, 3, 8, 9, 10, 11), (1, 2, 4, 12)),
        ((2, 3, 4), (1, 12)),
        ((3, 4, 5), (1, 3, 12)),
        ((1, 3, 5), (1, 12)),
        ((1, 0), (12,)),
        ((1, 1), (12,)),
    ],
)
def test_words_are_kept_or_dropped_whole_unless_they_hold_all_channels(channels, lanes):
    assert possible_lanes(12, channels) == lanes


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Select(Stream((4,), 2, 3), (1, 2)), "only selected, or only other"),
        (lambda: Select(Stream((4,), 2, 3), (0, 4)), "cannot be selected from 4 channels"),
        (lambda: Select(Stream((4,), 2, 3), ()), "cannot be selected from 4 channels"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(NodeError, match=message):
        make()


# ---- everything below is slow


def random_node(rng: np.random.Generator) -> Select:
    pixels, count = tuple(int(side) for side in rng.integers(1, 4, 2)), int(rng.integers(1, 13))
    begin = int(rng.integers(0, count))
    channels = tuple(range(begin, int(rng.integers(begin, count)) + 1))
    if rng.random() < 0.4:
        channels = tuple(int(each) for each in rng.integers(0, count, int(rng.integers(1, 13))))
    lanes = int(rng.choice(possible_lanes(count, channels)))
    return Select(Stream((*pixels, count), lanes, int(rng.integers(1, 9))), channels)


@pytest.mark.slow
def test_random_ones_agree_with_numpy_and_keep_their_intervals(tmp_path, runtime):
    check_random(random_node, 25, 0, tmp_path, runtime)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["7-series", "ecp5", "gowin", "ice40"])
def test_synthesis_makes_it_small(family, tmp_path):
    node = Select(Stream((8, 8, 64), 4, 4), tuple(range(24, 40)))
    cells = cells_of(node, tmp_path, family)
    print(f"{family}: {cells}, {node.price()}")
    assert cells.lut <= 2 * node.price().lut + 10
    shuffle = Select(Stream((8, 8, 8), 8, 2), (0, 4, 1, 5, 2, 6, 3, 7))
    (tmp_path / "shuffle").mkdir()
    assert cells_of(shuffle, tmp_path / "shuffle", family).lut <= 1
