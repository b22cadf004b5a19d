"""Counts of sparse layers: RTL against numpy, the reference against sums by loops."""

import numpy as np
import pytest

from tests.finn_flows.nodes.bench import STALLS, check_random, random_samples
from tests.finn_flows.nodes.test_wired import weights
from zerocross.finn_flows.nodes import WiredCount
from zerocross.finn_flows.nodes.node import NodeError


def count(channels: int, features: int, reads: list[int]) -> WiredCount:
    return WiredCount.of(weights(np.random.default_rng([channels, *reads]), channels, features, reads))


def votes(features: int, classes: int) -> WiredCount:
    """Sums of equal groups, the first ones of one more."""
    made = np.zeros((classes, features), np.int8)
    for channel, group in enumerate(np.array_split(np.arange(features), classes)):
        made[channel, group] = 1
    return WiredCount.of(made)


NODES = {
    "groups": votes(100, 10),
    "uneven": votes(101, 7),
    "signs": count(5, 60, [25]),
    "odd": count(6, 40, [3, 16, 9, 0, 7]),
    "one": count(1, 5, [1]),
    "eight_groups": votes(300, 3),
    "five_groups": votes(120, 2),
}


@pytest.mark.parametrize("stalls", STALLS)
def test_the_rtl_agrees_with_numpy_whatever_the_stalls(bench, stalls):
    bench.check(stalls)


@pytest.mark.parametrize("name", NODES)
def test_outputs_stand_for_the_networks_sums(name):
    node = NODES[name]
    (samples,) = random_samples(node, np.random.default_rng(1))
    (made,) = node.reference(samples)
    sums = [
        [sum(int(w) * (2 * int(x) - 1) for w, x in zip(row, sample, strict=True)) for row in node.weights]
        for sample in samples
    ]
    assert node.network_values(made).tolist() == sums
    assert (made.argmax(axis=1) == np.array(sums).argmax(axis=1)).all()


def test_equal_numbers_of_inputs_need_no_place_for_halves():
    assert votes(100, 10).outputs["m"].bits == 4
    assert votes(101, 10).outputs["m"].bits == 5
    with pytest.raises(NodeError, match="fan-in of 3"):
        WiredCount(4, 1, 3, True, np.ones((1, 4), np.int8))


# ---- everything below is slow


def random_node(rng: np.random.Generator) -> WiredCount:
    channels, features = int(rng.integers(1, 12)), int(rng.integers(1, 90))
    reads = [int(each) for each in rng.integers(1, features + 1, 1 if rng.random() < 0.5 else 3)]
    return WiredCount.of(weights(rng, channels, features, reads))


@pytest.mark.slow
def test_random_ones_agree_with_numpy_and_keep_their_intervals(tmp_path, runtime):
    check_random(random_node, 30, 0, tmp_path, runtime)
