"""NASB's differentiable search: prices of operations, mixtures as tasks, and what they choose."""

from pathlib import Path
from typing import Any

import pytest

from zerocross.hw_search.config import Config, make_config
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.execution.tasks import TrainingTask
from zerocross.hw_search.pipeline import search
from zerocross.hw_search.pricing import Pricer
from zerocross.hw_search.space import Space
from zerocross.hw_search.strategies.differentiable import Differentiable

SHAPE = (1, 8, 8)


def configured(output: Path, **changes: Any) -> Config:
    choice = {"choose": ["conv3", "conv5", "skip", "none"]}
    content: dict[str, Any] = {
        "name": "cells",
        "output": str(output),
        "data": {"name": "digits", "limit": 400},
        "topology": {"name": "nasb", "widths": [4, 6], "operations": [[choice], ["conv1"]]},
        "activation": {"encoding": "list", "expressions": ["sign"]},
        "folding": {"target_cycles": {"choose": [4000, 8000]}},
        "training": {"epochs": 6, "batch_size": 20, "learning_rate": 0.02, "device": "cpu"},
        "search": {
            "strategy": "differentiable",
            "generations": 1,
            "price_weights": [0.0, 500.0],
            "workers": 1,
        },
        "final": {"seeds": 1},
    }
    return make_config({**content, **changes})


def strategy(config: Config, operation: str) -> tuple[Differentiable, Space, list[TrainingTask]]:
    """Return the strategy with mixtures that always choose one operation, its space, and its tasks."""
    space = Space(config, SHAPE, 10)
    given: list[TrainingTask] = []

    def results(tasks: dict[str, TrainingTask]) -> Any:
        for key, work in tasks.items():
            given.append(work)
            yield key, {"status": "ok", "operations": [[operation], ["conv1"]]}, False

    return Differentiable(config, space, Pricer(config, space), "data", results), space, given


def test_what_a_mixture_chooses_becomes_a_candidate(tmp_path: Path) -> None:
    made, space, given = strategy(configured(tmp_path), "conv5")
    (genome,) = made.ask()  # both price weights choose the same
    assert space.candidate(genome).topology["operations"] == [["conv5"], ["conv1"]]
    assert [work.mixture.price_weight for work in given if work.mixture] == [0.0, 500.0]
    assert made.planned == 2 and made.ask() == []


def test_operations_are_priced_by_what_they_add(tmp_path: Path) -> None:
    made, _, given = strategy(configured(tmp_path), "skip")
    made.ask()
    assert given[0].mixture is not None
    prices = {name: price for stage, _, name, price in given[0].mixture.prices if stage == 0}
    assert prices["none"] == 0
    assert 0 <= prices["skip"] < prices["conv3"] <= prices["conv5"] == 1


@pytest.mark.slow
def test_a_search_by_mixtures(tmp_path: Path) -> None:
    found = search(configured(tmp_path))
    assert found.run.finished and found.front
    chosen = {evaluation.choices["topology.operations.0.0"] for evaluation in found.run.evaluations}
    assert chosen & {"skip", "none"}  # a high price weight chooses free operations
    again = search(configured(tmp_path))
    assert again.trained == 0
    assert [each.id for each in again.front] == [each.id for each in found.front]


@pytest.mark.parametrize(
    "topology",
    [
        {"name": "mlp", "hidden": [8]},
        {"name": "nasb", "operations": [["skip"]]},
    ],
)
def test_only_operations_are_chosen_so(topology: dict[str, Any], tmp_path: Path) -> None:
    config = configured(tmp_path, topology=topology)
    with pytest.raises(UserError, match="topology nasb"):
        strategy(config, "skip")
