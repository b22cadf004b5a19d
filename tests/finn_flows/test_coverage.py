"""What samples exercise, counted by loops over every accumulator."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from tests.finn_flows.finn_networks import biased_images, chain, cnv, dynamic, grouped, levels, mlp, residual
from tests.finn_flows.integer_networks import random_inputs, random_network
from zerocross.finn_flows.coverage import LayerCoverage, cells, measure
from zerocross.finn_flows.crossings import from_bits
from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.network import Dense, Grid, Input, LabelSelect, Operation

NETWORKS = {
    "signs": mlp(1, (12, 9, 7, 4)),
    "bytes": mlp(8, (12, 9, 7, 4)),
    "levels": chain(Input((9,), 1), Dense(6), levels(6, 3), Dense(5), levels(5, 2), Dense(4), LabelSelect()),
    "images": cnv(1),
    "images of bytes": cnv(8),
    "residual": residual(),
    "dynamic": dynamic(),
    "grouped": grouped(),
    "biased": biased_images(8),
}


def counted(net: IntegerNetwork, inputs: np.ndarray, name: str) -> LayerCoverage:
    """Count with Python's sets, without the limits of what can be reached."""
    layer = next(each for each in net.network.layers if each.name == name)
    bits, table = layer.operation.bits, net.tables[name]
    values = net.run(inputs)
    read, made = values[layer.inputs[0]], values[name]
    channels = read.shape[-1]
    totals = [0, 0, 0, 0]
    for channel in range(channels):
        places = sorted({int(p) for plane in range(bits) for p in table.crossings(channel * bits + plane)})
        seen = {(int(a) - table.grid.low) // table.grid.step for a in read[..., channel].ravel()}
        edges = [0, *places, len(table.grid)]
        for left, place, right in zip(edges, edges[1:], edges[2:], strict=False):
            totals[1] += 1
            totals[2] += any(left <= a < place for a in seen) and any(place <= a < right for a in seen)
            totals[3] += place in seen and place - 1 in seen
        totals[0] += len(set(made[..., channel].ravel().tolist())) > 1
    return LayerCoverage(name, channels, *totals)


@pytest.mark.parametrize("name", NETWORKS)
def test_as_counted_by_loops(name: str) -> None:
    net = random_network(NETWORKS[name], 3, most=3)
    inputs = random_inputs(net.network, 12, 0)
    found = measure(net, inputs, batch=5)
    assert (found.samples, found.distinct) == (12, 12)
    for layer in found.layers:
        expected = counted(net, inputs, layer.name)
        assert (layer.changed, layer.at_step) == (expected.changed, expected.at_step)
        assert layer.both_sides == expected.both_sides
        assert layer.both_sides <= layer.crossings <= expected.crossings
        assert layer.changed <= layer.channels <= expected.channels


@pytest.mark.parametrize("name", NETWORKS)
def test_no_sample_leaves_what_can_be_reached(name: str) -> None:
    net = random_network(NETWORKS[name], 4, most=3)
    values = net.run(random_inputs(net.network, 40, 1))
    for layer in net.network.layers:
        if layer.name in net.tables:
            low, high = cells(net)[layer.name].output
            assert (values[layer.name] >= low).all() and (values[layer.name] <= high).all()


def test_samples_and_classes_are_counted() -> None:
    net = random_network(NETWORKS["signs"], 3)
    once = random_inputs(net.network, 1, 0)
    found = measure(net, np.repeat(once, 50, axis=0))
    assert (found.samples, found.distinct, found.classes_seen, found.classes) == (50, 1, 1, 4)
    assert found.inputs == 12 and found.inputs_changed == 0
    assert all(layer.changed == layer.both_sides == layer.at_step == 0 for layer in found.layers)
    assert measure(net, random_inputs(net.network, 200, 0)).inputs_changed == 12


def test_what_no_input_can_reach_does_not_count() -> None:
    """Two of three hidden channels are constant, so the next layer's accumulators are 2 apart from its ends at most."""
    network = chain(Input((2,), 1), *mlp_operations())
    first = from_bits(Grid(-2, 2, 2), np.array([[0, 1, 1], [1, 1, 1], [0, 0, 0]]))
    second = from_bits(Grid(-3, 3, 2), np.array([[0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1], [1, 1, 1, 1]]))
    weights = {
        "dense0": np.ones((3, 2), np.int8),
        "dense2": np.ones((4, 3), np.int8),
        "dense4": np.ones((2, 4), np.int8),
    }
    net = IntegerNetwork(network, weights, {"activation1": first, "activation3": second})
    every = np.array([[a, b] for a in (-1, 1) for b in (-1, 1)])
    found = measure(net, every)
    assert found.layers == (
        LayerCoverage("activation1", 1, 1, 1, 1, 1),
        LayerCoverage("activation3", 1, 1, 1, 1, 1),
    )


def mlp_operations() -> list[Operation]:
    return [Dense(3), levels(3, 1), Dense(4), levels(4, 1), Dense(2), LabelSelect()]


def test_the_integers_beside_a_crossing_are_those_that_can_occur() -> None:
    """Sums of signs with weights -1, 0 and 1 are all even or all odd, sums with weights -2, 0 and 2 lie 4 apart."""
    operations = [Dense(6, 3), levels(6, 2), Dense(3), LabelSelect()]
    net = random_network(chain(Input((8,), 1), *operations), 5, constant=0)
    weights = np.random.default_rng(0).integers(-1, 2, (6, 8)) * np.array([1, 2] * 3)[:, None]
    net = replace(net, weights={**net.weights, "dense0": weights.astype(np.int8)})
    every = np.array(list(product((-1, 1), repeat=8)))
    values = net.run(every)
    crossings = 0
    for sums, made in zip(values["dense0"].T, values["activation1"].T, strict=True):
        _, firsts = np.unique(sums, return_index=True)  # the output at each integer that occurs, in order
        crossings += int((np.diff(made[firsts]) != 0).sum())
    assert crossings > 6
    (found,) = measure(net, every).layers
    assert (found.crossings, found.both_sides, found.at_step) == (crossings,) * 3
