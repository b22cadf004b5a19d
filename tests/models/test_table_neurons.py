"""Layers of tables: forward against loops over the inputs, gradients against differences, choices, and what is refused."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zerocross.models.errors import ModelError
from zerocross.models.expressions import parse
from zerocross.models.layers import install, slots
from zerocross.models.stacking import Unstackable, stack
from zerocross.models.table_neurons import TableLinear, TableSlot, table_slots
from zerocross.models.topologies import build, has_slots


def a_layer(features: int, channels: int, inputs: int, seed: int = 0) -> tuple[TableLinear, TableSlot]:
    torch.manual_seed(seed)
    layer = TableLinear(features, channels, inputs)
    return layer, TableSlot(layer)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 6), st.integers(0, 6), st.integers(0, 1000))
def test_a_channel_is_the_function_in_its_table(inputs, more, seed):
    layer, slot = a_layer(inputs + more, 4, inputs, seed)
    x = torch.randint(0, 2, (9, layer.in_features)).float() * 2 - 1
    chosen = layer.chosen()
    assert all(len(set(row)) == inputs for row in chosen.tolist())
    made = slot(layer(x))
    for sample, channel in itertools.product(range(9), range(4)):
        index = sum(
            (x[sample, place] > 0).int().item() << power for power, place in enumerate(chosen[channel])
        )
        assert made[sample, channel] == (1.0 if layer.table[channel, index] >= 0 else -1.0)
    before = layer(x).detach()
    layer.harden()
    assert torch.equal(layer(x), before) and torch.equal(slot(layer(x)), made)
    assert torch.equal(slot.response(before[:, 0])[0], torch.where(made[:, 0] > 0, 1.0, -1.0))


def test_each_slot_of_a_channel_reads_its_largest_free_input():
    layer, _ = a_layer(4, 1, 3)
    with torch.no_grad():
        layer.latent.copy_(torch.tensor([[[0.1, 0.9, 0.2, 0.3], [0.4, 0.8, 0.5, 0.1], [0.3, 0.7, 0.6, 0.5]]]))
    assert layer.chosen().tolist() == [[1, 2, 3]]


def test_gradients_are_differences_of_entries():
    layer, slot = a_layer(7, 5, 3)
    x = (torch.randint(0, 2, (6, 7)).float() * 2 - 1).requires_grad_()
    weights = torch.randn(6, 5)
    (slot(layer(x)) * weights).sum().backward()
    chosen, table = layer.chosen(), layer.table.detach()
    of_x, of_latent, of_table = (
        np.zeros((6, 7)),
        np.zeros((5, 3, 7)),
        np.zeros((5, 8)),
    )
    for sample, channel in itertools.product(range(6), range(5)):
        bits = [int(x[sample, place] > 0) for place in chosen[channel]]
        index = sum(bit << power for power, bit in enumerate(bits))
        of_table[channel, index] += weights[sample, channel]  # all entries start within -1..1
        for power, place in enumerate(chosen[channel]):
            ends = table[channel, index | 1 << power] - table[channel, index & ~(1 << power)]
            slope = float(ends * weights[sample, channel] / 2)
            of_x[sample, place] += slope
            of_latent[channel, power] += slope * x[sample].detach().numpy()
    assert np.allclose(x.grad, of_x, atol=1e-5)
    assert np.allclose(layer.latent.grad, of_latent, atol=1e-5)
    assert np.allclose(layer.table.grad, of_table, atol=1e-5)


def test_every_entry_can_change_its_sign_soon():
    layer, slot = a_layer(3, 2, 2)
    with torch.no_grad():
        layer.table.fill_(1.5)
    slot(layer(torch.ones(1, 3))).sum().backward()
    assert (layer.table == 1).all() and layer.table.grad.sum() == 2


def test_a_training_takes_the_hardening_back():
    layer, _ = a_layer(5, 3, 2)
    layer.eval().harden()
    with torch.no_grad():
        layer.latent.copy_(torch.rand_like(layer.latent))
    x = torch.randint(0, 2, (6, 5)).float() * 2 - 1
    layer.train()(x).sum().backward()
    assert layer.latent.grad is not None
    assert torch.equal(layer.eval()(x), x @ layer.quant_weight().value.T)


def test_fixed_connections_do_not_learn():
    layer = TableLinear(9, 4, 3, "random")
    assert not layer.latent.requires_grad and layer.table.requires_grad


def test_a_network_of_tables_has_no_slots_for_activations():
    parameters = {"widths": [9, 6], "inputs": [3, 2], "neurons": "tables"}
    model = build("hardwired", (1, 4, 4), 3, parameters)
    install(model, [parse("sin(x)")])
    assert not slots(model) and list(table_slots(model)) == ["sparse1_sign", "sparse2_sign"]
    assert not has_slots("hardwired", parameters)
    mixed = {**parameters, "neurons": ["tables", "sums"]}
    assert len(slots(build("hardwired", (1, 4, 4), 3, mixed))) == 1 and has_slots("hardwired", mixed)
    assert has_slots("hardwired", {"widths": [9]}) and has_slots("mlp", {})
    with pytest.raises(Unstackable, match="sparse1"):
        stack([model, model])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"inputs": 7}, "inputs: a table cannot read 7 inputs of 48: it reads 1 to 6"),
        ({"inputs": 0}, "inputs: a table cannot read 0 inputs"),
        ({"neurons": ["tables", "sums"]}, "neurons has 2 entries for 1 layers: give a kind, or a list of 1"),
        ({"neurons": "trees"}, "neurons"),
    ],
)
def test_impossible_tables_are_refused(parameters, message):
    with pytest.raises(ModelError, match=message):
        build("hardwired", (1, 4, 4), 3, {"widths": [9], "neurons": "tables", **parameters})
