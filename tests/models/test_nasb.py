"""NASB's cells: their graph against a plain sum over paths, the mixture against the network it chooses."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from zerocross.models.data import Data, Split
from zerocross.models.errors import ModelError
from zerocross.models.nasb import (
    OPERATIONS,
    Cell,
    Supernet,
    SupernetSettings,
    edge_pairs,
    nasb,
    operation,
    train_supernet,
    used_edges,
)
from zerocross.models.residual import ResidualStream
from zerocross.models.surrogates import Tanh
from zerocross.models.topologies import build
from zerocross.models.training import TrainingSettings

STREAM = ResidualStream(4, 0.5)
SHAPE = (1, 8, 8)
CHOICES = [[("conv3", "skip", "none"), ("pool", "conv1"), ("none", "dilated3", "depthwise3")]] * 2


class Times(nn.Module):
    """An edge with a factor, so that sums show which edges contribute."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.factor * x


def paths(factors: list[float | None]) -> float:
    """Return the factor of a cell from all paths between the first node and the last."""
    pairs = edge_pairs(len(factors))
    by_pair, last = dict(zip(pairs, factors, strict=True)), pairs[-1][1]
    total = 0.0
    for count in range(last):
        for between in itertools.combinations(range(1, last), count):
            way = [by_pair[pair] for pair in itertools.pairwise((0, *between, last))]
            if None not in way:
                total += float(np.prod(way))  # type: ignore[arg-type]
    return total


@given(
    st.sampled_from([1, 3, 6]).flatmap(
        lambda n: st.lists(st.sampled_from([None, 2.0, 3.0]), min_size=n, max_size=n)
    )
)
def test_a_cell_is_the_sum_over_its_paths(factors: list[float | None]) -> None:
    cell = Cell([None if factor is None else Times(factor) for factor in factors], nn.Identity())
    assert float(cell(torch.ones(1))) == 1 + paths(factors)


@given(
    st.sampled_from([1, 3, 6]).flatmap(
        lambda n: st.lists(st.sampled_from(["skip", "none"]), min_size=n, max_size=n)
    )
)
def test_edges_that_lead_nowhere_are_not_used(names: list[str]) -> None:
    kept = used_edges(names)
    whole = [1.0 if name == "skip" else None for name in names]
    least = [1.0 if used else None for used in kept]
    assert paths(whole) == paths(least)
    for index, used in enumerate(kept):
        if used:
            assert paths([None if place == index else factor for place, factor in enumerate(whole)]) < paths(
                whole
            )


def settle(supernet: Supernet) -> None:
    """Set the largest share of every edge to 1 and the others to 0, so that the mixture is the chosen network."""
    with torch.no_grad():
        for logits in supernet.logits.values():
            best = int(logits.argmax())
            logits.fill_(-math.inf)
            logits[best] = 0.0


def test_operations_keep_the_shape() -> None:
    x = torch.randn(2, 4, 6, 5)
    for name in OPERATIONS:
        made = operation(name, 4, STREAM)
        assert made is None if name == "none" else made is not None and made(x).shape == x.shape


def trained(supernet: Supernet) -> Supernet:
    """Change running statistics and mixture weights from their initial values."""
    torch.manual_seed(1)
    with torch.no_grad():
        for logits in supernet.logits.values():
            logits.copy_(torch.randn(len(logits)))
    for _ in range(3):
        supernet(torch.randint(0, 256, (16, *SHAPE)).float())
    return supernet.eval()


@pytest.mark.parametrize("seed", range(3))
def test_the_settled_mixture_is_the_chosen_network(seed: int) -> None:
    torch.manual_seed(seed)
    supernet = trained(Supernet(SHAPE, 5, CHOICES, STREAM, [4, 6], [2, 1], input_bits=8))
    chosen = supernet.chosen()
    network = nasb(SHAPE, 5, chosen, STREAM, [4, 6], [2, 1]).eval()
    weights = supernet.backbone.state_dict()
    own = {}
    for name in network.state_dict():
        parts = name.split(".")
        if "edges" in parts:
            place = parts.index("edges") + 1
            stage = int(parts[1])
            edge = edge_pairs(len(chosen[stage])).index(tuple(map(int, parts[place].split("_"))))  # type: ignore[arg-type]
            parts[place + 1 : place + 1] = ["operations", chosen[stage][edge]]
        own[name] = weights[".".join(parts)]
    network.load_state_dict(own)
    x = torch.randint(0, 256, (8, *SHAPE)).float()
    assert not torch.equal(supernet(x), network(x))
    settle(supernet)
    assert supernet.chosen() == chosen
    assert torch.equal(supernet(x), network(x))


def test_the_expected_price_is_that_of_the_settled_choice() -> None:
    supernet = trained(Supernet(SHAPE, 5, CHOICES, STREAM, [4, 6], [1, 1]))
    prices = {
        (stage, edge, name): float(1 + stage + 10 * edge + len(name))
        for stage, edges in enumerate(CHOICES)
        for edge, names in enumerate(edges)
        for name in names
    }
    shares = [[torch.softmax(supernet.logits[f"{s}_{e}"], 0) for e in range(3)] for s in range(2)]
    expected = sum(
        float(shares[s][e][k]) * prices[s, e, name]
        for s in range(2)
        for e in range(3)
        for k, name in enumerate(CHOICES[s][e])
    )
    assert float(supernet.price(prices).detach()) == pytest.approx(expected)
    settle(supernet)
    settled = sum(prices[s, e, supernet.chosen()[s][e]] for s in range(2) for e in range(3))
    assert float(supernet.price(prices).detach()) == pytest.approx(settled)


def test_a_high_price_is_avoided(small_data: Data) -> None:
    def chosen(weight: float) -> list[str]:
        torch.manual_seed(0)
        supernet = Supernet(SHAPE, 10, [[("conv3", "none")]], ResidualStream(4, 0.5), [4], [1])
        search = SupernetSettings(price_weight=weight, rate=0.1)
        train_supernet(supernet, small_data, TrainingSettings(3, 20), search, {(0, 0, "conv3"): 1.0}, seed=0)
        return supernet.chosen()[0]

    assert chosen(100.0) == ["none"]
    assert chosen(-100.0) == ["conv3"]


def test_a_mixture_trains_by_the_settings(small_data: Data) -> None:
    torch.manual_seed(0)
    supernet = Supernet(SHAPE, 10, CHOICES[:1], ResidualStream(4, 0.5), [4], [1])
    settings = TrainingSettings(2, 20, surrogate="tanh", clip_weights=True, learning_rate=0.5)
    search, names = SupernetSettings(), [name for edge in CHOICES[0] for name in edge]
    prices = {(0, edge, name): 1.0 for edge in range(len(CHOICES[0])) for name in names}
    losses = list[float]()
    train_supernet(
        supernet, small_data, settings, search, prices, 0, after_epoch=lambda _, loss: losses.append(loss)
    )
    assert len(losses) == 2 and not supernet.training
    found = [module.surrogate for module in supernet.modules() if hasattr(module, "surrogate")]
    assert found and all(isinstance(each, Tanh) and float(each.nu) == 4.0 for each in found)
    weights = [p for name, p in supernet.named_parameters() if name.endswith("weight") and p.dim() > 1]
    assert weights and all(p.abs().max() <= 1 for p in weights)
    assert all(
        p.requires_grad and p.abs().sum() > 0 for p in supernet.logits.parameters()
    )  # the shares moved


@pytest.fixture(name="small_data")
def _small_data() -> Data:
    generator = torch.Generator().manual_seed(0)

    def split(count: int) -> Split:
        x = torch.randint(0, 256, (count, *SHAPE), generator=generator, dtype=torch.uint8)
        return Split(x, torch.arange(count) % 10)

    return Data(split(80), split(20), SHAPE, 10, "none")


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"operations": [["conv3", "skip"]]}, "1 for one node, 3 for two"),
        ({"operations": [["conv9"]]}, "unknown operation 'conv9' of a cell"),
        ({"operations": [["skip"]] * 3}, "3 cells for 2 stages"),
        ({"operations": [["skip"]], "cells": [1]}, "the same number of each"),
    ],
)
def test_what_cannot_be_built_is_named(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        build("nasb", SHAPE, 5, parameters)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.sampled_from(OPERATIONS), min_size=3, max_size=3))
def test_any_choice_builds(names: list[str]) -> None:
    network = build("nasb", SHAPE, 5, {"operations": [names], "widths": [4, 6]}).eval()
    assert network(torch.zeros(1, *SHAPE)).shape == (1, 5)
