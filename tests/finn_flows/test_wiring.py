"""Simplified sparse layers: every logit stays, and what is left out costs nothing."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.finn_flows.integer_networks import random_network
from tests.finn_flows.wired_networks import random_inputs, random_table, sparse_of, wired_network
from zerocross.finn_flows.crossings import from_bits
from zerocross.finn_flows.integer import IntegerNetwork
from zerocross.finn_flows.network import Activation, Dense, Input, LabelSelect, Layer, Network, Sparse
from zerocross.finn_flows.wiring import Savings, simplified


def logits(net: IntegerNetwork, x: np.ndarray) -> np.ndarray:
    return net.run(x)["classifier"]


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_every_logit_stays(data):
    few = data.draw(st.booleans())  # so few inputs that many neurons are equal
    net = wired_network(
        data.draw(st.integers(0, 10_000)),
        features=data.draw(st.integers(3, 6) if few else st.integers(4, 12)),
        bits=data.draw(st.integers(0, 3)),
        widths=(30, 20),
        reads=(
            data.draw(st.sampled_from([(1,), (2,), (3,), (1, 3, 2)])),
            data.draw(st.sampled_from([(2,), (4, 1), (6,)])),
        ),
        votes=data.draw(st.sampled_from([None, (5,), (3, 1)])),
        density=data.draw(st.sampled_from([0.1, 0.3, 0.6])),
        indexed=data.draw(st.sampled_from([(), (1,), (2,), (1, 2)])),
    )
    smaller, savings = simplified(net)
    x = random_inputs(net, 200)
    assert np.array_equal(logits(net, x), logits(smaller, x))
    assert smaller.network.shapes() == net.network.shapes()
    smaller.network.grids()
    again, more = simplified(smaller)
    assert np.array_equal(logits(net, x), logits(again, x))
    assert more.inputs <= savings.inputs
    for layer in smaller.network.layers:
        if isinstance(layer.operation, Sparse):
            reads = np.count_nonzero(smaller.weights[layer.name], axis=1)
            found = sparse_of(smaller.weights[layer.name])
            # With single inputs, tables and sums have the same weights.
            assert replace(found, indexed=layer.operation.indexed) == layer.operation
            assert layer.operation.indexed or not found.indexed
            before = np.count_nonzero(net.weights[layer.name], axis=1)
            assert (reads <= before).all()


def doctored() -> IntegerNetwork:
    """Neurons 0 and 1 are equal, 2 is their inverse with all signs and bits turned, 3 is constant, 4 is not read."""
    net = wired_network(3, features=9, bits=2, widths=(10, 6), reads=((4,), (3,)), classes=3)
    first, second = net.weights["sparse1"].copy(), net.weights["sparse2"].copy()
    first[1], first[2] = first[0], -first[0]
    rows = np.stack([net.tables["sign1"].row(channel) for channel in range(10)])
    rows[0] = 0, 1, 1, 1, 0
    rows[1], rows[2], rows[3] = rows[0], 1 - rows[0][::-1], 1
    second[:, 4] = 0
    second[0] = second[1] = 0
    second[0, [0, 1, 2]] = 1, -1, 1  # n0 - n0 - n0
    second[1, [2, 3, 5]] = 1, 1, 1  # - n0 + 1 + n5
    tables = {**net.tables, "sign1": from_bits(net.tables["sign1"].grid, rows)}
    sparse = sparse_of(second)
    tables["sign2"] = random_table(np.random.default_rng(0), sparse)
    operations = {
        "sparse2": sparse,
        **{name: Activation(tuple(int(each) for each in table.counts())) for name, table in tables.items()},
    }
    layers = tuple(
        replace(layer, operation=operations.get(layer.name, layer.operation)) for layer in net.network.layers
    )
    weights = {**net.weights, "sparse1": first, "sparse2": second}
    return replace(net, network=replace(net.network, layers=layers), weights=weights, tables=tables)


def test_equal_constant_and_unread_neurons_are_left_out():
    net = doctored()
    smaller, savings = simplified(net)
    x = random_inputs(net, 300)
    assert np.array_equal(logits(net, x), logits(smaller, x))
    weights = smaller.weights["sparse2"]
    assert not weights[:, [1, 2, 3, 4]].any()
    assert weights[0].nonzero()[0].tolist() == [0] and weights[0, 0] == -1
    assert weights[1, 0] == -1
    assert not smaller.weights["sparse1"][[1, 2, 3, 4]].any()
    counts = next(layer.operation for layer in smaller.network.layers if layer.name == "sign1").crossings
    assert counts[1:5] == (0, 0, 0, 0)
    assert savings.shared >= 2 and savings.constant >= 1 and savings.unread >= 1 and savings.bits > 0


def test_a_network_without_sparse_layers_stays():
    layers = Layer("dense", Dense(3), ("input",)), Layer("label", LabelSelect(), ("dense",))
    net = random_network(Network(Input((4,)), layers), 0)
    assert simplified(net)[1] == Savings()
