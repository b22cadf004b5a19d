"""Sparse layers: weights against numpy, gradients, stacks, groups, and the operation `row` against interpolation."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zerocross.models.activation import evaluate
from zerocross.models.errors import ModelError
from zerocross.models.expressions import parse
from zerocross.models.layers import install
from zerocross.models.sparse import GroupSum, SparseLinear
from zerocross.models.stacking import check_stack, stack, unstack
from zerocross.models.topologies import build

KNOTS = np.arange(-4, 4.5, 0.5)


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_the_largest_weights_connect_a_channel(data):
    features = data.draw(st.integers(1, 12))
    inputs = data.draw(st.integers(1, features))
    torch.manual_seed(data.draw(st.integers(0, 1000)))
    layer = SparseLinear(features, 5, inputs)
    latent = layer.weight.detach().numpy().copy()
    expected = np.zeros_like(latent)
    for row, weights in zip(expected, latent, strict=True):
        chosen = sorted(range(features), key=lambda place: -abs(weights[place]))[:inputs]
        row[chosen] = np.sign(weights[chosen])
    x = torch.randint(0, 2, (7, features)).float() * 2 - 1
    sums = layer(x).detach().numpy() / layer.few.step
    assert np.array_equal(sums, x.numpy() @ expected.T)
    assert 2.0**-0.5 <= layer.few.step * np.sqrt(inputs) <= 2.0**0.5
    layer.harden()
    assert np.array_equal(layer(x).detach().numpy() / layer.few.step, sums)


def test_the_gradient_reaches_all_weights_unless_connections_are_fixed():
    x = torch.ones(1, 9)
    learned, fixed = SparseLinear(9, 4, 3), SparseLinear(9, 4, 3, "random")
    for layer in (learned, fixed):
        layer(x).sum().backward()
    assert (learned.weight.grad == learned.few.step).all()
    assert fixed.weight.grad is not None
    assert torch.equal(fixed.weight.grad != 0, fixed.weight != 0)
    assert ((fixed.weight != 0).sum(dim=1) == 3).all()


@pytest.mark.parametrize(("features", "classes"), [(12, 4), (11, 4), (5, 5), (7, 2)])
def test_groups_vote_for_their_class(features, classes):
    head = GroupSum(features, classes)
    x = torch.randint(0, 2, (6, features)).float() * 2 - 1
    expected = [part.sum(axis=1) for part in np.array_split(x.numpy(), classes, axis=1)]
    assert np.array_equal(head(x).numpy() / head.few.step, np.stack(expected, axis=1))
    assert not head.weight.requires_grad


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(-3, 3, width=32), min_size=17, max_size=17), st.lists(st.floats(-6, 6), min_size=1))
def test_row_interpolates(values, places):
    x = torch.tensor(places, dtype=torch.float32)
    found = evaluate(parse("row(x)"), x, values).numpy()
    assert np.allclose(found, np.interp(x.numpy(), KNOTS, values), atol=1e-4)


@pytest.mark.parametrize("inputs", range(1, 17))
def test_row_gives_every_sum_any_bit(inputs):
    """Each reachable sum of a sparse layer has a knot beside it that no other sum reads."""
    step = SparseLinear(inputs, 1, inputs).few.step
    sums = step * np.arange(-inputs, inputs + 1, 2)
    weights = np.stack([np.interp(sums, KNOTS, unit) for unit in np.eye(17)])
    assert np.linalg.matrix_rank(weights) == len(sums)


def networks(expressions, **parameters):
    made = []
    for seed, expression in enumerate(expressions):
        torch.manual_seed(seed)
        made.append(build("hardwired", (1, 4, 4), 3, {"widths": [9, 7], **parameters}))
        install(made[-1], [parse(expression)])
    return made


@pytest.mark.parametrize("parameters", [{}, {"connections": "random"}, {"head": "sparse"}, {"norm": False}])
def test_a_stack_gives_the_logits_of_its_networks(parameters):
    models = networks(["x", "sin(x)", "row(x)"], inputs=[3, 2], **parameters)
    x = torch.randint(0, 256, (8, 1, 4, 4)).float()
    stacked = stack(models)
    check_stack(stacked, models, x)
    before = [model(x).detach() for model in models]
    optimizer = torch.optim.Adam(p for p in stacked.parameters() if p.requires_grad)
    stacked.train()(x).square().sum().backward()
    optimizer.step()
    unstack(stacked, models)
    check_stack(stacked, models, x)
    assert all(not torch.equal(model.train()(x), old) for model, old in zip(models, before, strict=True))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"widths": []}, "at least one layer"),
        ({"widths": [8], "inputs": 49}, "inputs: a neuron cannot read 49 inputs of 48"),
        ({"widths": [8, 9], "inputs": [6, 9]}, "inputs of layer 2: a neuron cannot read 9 inputs of 8"),
        ({"widths": [8], "inputs": 0}, "cannot read 0 inputs"),
        ({"widths": [8, 8], "inputs": [3]}, "1 entries for 2 layers: give a number, or a list of 2"),
        ({"widths": [2]}, "widths: 2 neurons cannot vote for 3 classes"),
        ({"widths": [8], "input_bits": 8}, "reads bits"),
        (
            {"widths": [8], "head": "sparse", "head_inputs": 9},
            "head_inputs: a neuron cannot read 9 inputs of 8",
        ),
    ],
)
def test_impossible_networks_are_refused(parameters, message):
    with pytest.raises(ModelError, match=message):
        build("hardwired", (1, 4, 4), 3, parameters)
