"""Samples that exercise a network: what they cover, and which faults they show."""

from dataclasses import replace

import numpy as np
import pytest

from tests.finn_flows.finn_networks import chain, grouped, levels, mlp, signs
from tests.finn_flows.integer_networks import random_inputs, random_network
from zerocross.finn_flows.coverage import Coverage, measure
from zerocross.finn_flows.crossings import CrossingError, from_bits
from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.network import (
    Activation,
    Conv,
    Dense,
    Flatten,
    Input,
    LabelSelect,
    MaxPool,
    Network,
)
from zerocross.finn_flows.stimuli import all_levels, draw

NETWORKS = {
    "signs": mlp(1, (16, 12, 10, 4)),
    "bytes": mlp(8, (16, 12, 10, 4)),
    "levels": chain(
        Input((14,), 1), Dense(8), levels(8, 2), Dense(8, 3), levels(8, 3), Dense(4), LabelSelect()
    ),
    "images": chain(
        *(Input((8, 7, 2), 8), Conv(6), signs(6), MaxPool(), Conv(6, (2, 2)), signs(6), Flatten()),
        *(Dense(5), LabelSelect()),
    ),
    "grouped": grouped(),
}


def trained(network: Network, seed: int) -> IntegerNetwork:
    """A network whose crossings lie where its accumulators do, as after training with a batch norm."""
    net = random_network(network, seed, constant=0, most=1)
    rng = np.random.default_rng(seed)
    inputs = all_levels(net)(rng.beta(0.7, 0.7, (300, int(np.prod(network.input.shape)))))
    for layer in network.layers:
        if isinstance(layer.operation, Activation):
            read = net.run(inputs)[layer.inputs[0]].reshape(-1, network.shapes()[layer.name][-1])
            table = net.tables[layer.name]
            channels, points = read.shape[1], len(table.grid)
            index = (np.sort(read, axis=0) - table.grid.low) // table.grid.step
            boundaries = 2**layer.operation.bits - 1
            shares = (np.arange(boundaries) + rng.uniform(0.3, 0.7)) / boundaries
            places = index[(shares * (len(index) - 1)).astype(int)]  # (boundaries, channels)
            level = (np.arange(points)[:, None, None] > places).sum(axis=1)  # (points, channels)
            planes = level.T[:, None] >> np.arange(layer.operation.bits)[:, None] & 1
            rows = planes.reshape(channels * layer.operation.bits, points)
            net = replace(net, tables={**net.tables, layer.name: from_bits(table.grid, rows)})
    return net


def shares(found: Coverage) -> tuple[float, float]:
    """Shares of crossings seen from both sides, and at their step."""
    whole = sum(layer.crossings for layer in found.layers)
    return tuple(
        sum(getattr(each, name) for each in found.layers) / whole for name in ("both_sides", "at_step")
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_more_is_exercised_than_by_even_noise_and_the_first_samples_count_most(name: str) -> None:
    net = trained(NETWORKS[name], 1)
    numbers = draw(net, 100)
    assert numbers.shape == (100, int(np.prod(net.network.input.shape)))
    assert numbers.min() >= 0 and numbers.max() < 1
    found, noise = (measure(net, x) for x in (all_levels(net)(numbers), random_inputs(net.network, 100, 0)))
    assert shares(found) >= shares(noise) and shares(found)[0] > 0.95
    assert found.distinct == 100 and found.classes_seen >= noise.classes_seen
    few = all_levels(net)(numbers[:25])
    assert shares(measure(net, few))[0] >= 0.9 * shares(found)[0]


def test_the_same_network_gets_the_same_samples() -> None:
    net = trained(NETWORKS["levels"], 2)
    assert (draw(net, 30) == draw(net, 30)).all()
    assert (draw(net, 30) != draw(net, 30, seed=1)).any()


def test_levels_may_be_those_that_a_file_can_make() -> None:
    net = trained(NETWORKS["bytes"], 3)
    numbers = draw(net, 40, lambda numbers: (numbers * 4).astype(np.int64) * 60)
    assert numbers.shape == (40, 16) and len(np.unique((numbers * 4).astype(int))) == 4


def test_a_network_of_few_inputs_gives_no_more_than_there_are() -> None:
    net = trained(mlp(1, (3, 4, 2)), 0)
    assert len(draw(net, 200)) == 8


def test_both_classes_of_a_single_logit_are_found_and_come_early() -> None:
    """Class 1 needs all ten signs at once, which one sample in 1,024 has."""
    network = chain(Input((10,), 1), Dense(1), signs(1), LabelSelect())
    rare = from_bits(network.grids()["dense0"], np.eye(11, dtype=np.uint8)[-1:])
    net = replace(random_network(network, 0), tables={"activation1": rare})
    inputs = all_levels(net)(draw(net, 4))
    assert set(net.run(inputs)["labelselect2"].ravel().tolist()) == {0, 1}
    assert measure(net, inputs).classes_seen == 2


def noticed(net: IntegerNetwork, inputs: np.ndarray, faults: int) -> tuple[float, float]:
    """Shares of single wrong weights ahead of the classifier, and of crossings off by one, that change a logit."""
    rng = np.random.default_rng(7)
    last = net.network.layers[-1].inputs[0]
    right = net.run(inputs)[last]

    def differs(wrong: IntegerNetwork) -> bool:
        try:
            return bool((wrong.run(inputs)[last] != right).any())
        except CrossingError:
            return True

    weights, crossings = [], []
    for _ in range(faults):
        name = rng.choice(list(net.weights)[:-1])  # any wrong weight of the classifier changes a logit
        other = net.weights[name].copy()
        where = tuple(rng.integers(side) for side in other.shape)
        other[where] = -other[where] if other[where] else 1
        weights.append(differs(replace(net, weights={**net.weights, name: other})))
        name = rng.choice(list(net.tables))
        table = net.tables[name]
        places = table.places.copy()
        places[rng.integers(len(places))] += rng.choice([-1, 1])
        within = (places > 0) & (places < len(table.grid))
        if within.all():
            crossings.append(
                differs(replace(net, tables={**net.tables, name: replace(table, places=places)}))
            )
    return float(np.mean(weights)), float(np.mean(crossings))


@pytest.mark.parametrize("name", ["signs", "bytes", "levels"])
def test_what_is_exercised_shows_faults(name: str) -> None:
    """All crossings at their step: nearly all single faults show. Equal samples: few."""
    net = trained(NETWORKS[name], 4)
    x = all_levels(net)(draw(net, 200))
    assert shares(measure(net, x)) >= (0.99, 0.95)
    weights, crossings = noticed(net, x, 100)
    assert weights >= 0.95 and crossings >= 0.9
    same = np.repeat(x[:1], 200, axis=0)
    assert shares(measure(net, same)) == (0, 0)
    weights, crossings = noticed(net, same, 100)
    assert weights < 0.75 and crossings < 0.5
