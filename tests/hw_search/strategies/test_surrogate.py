"""The surrogate finds the best of a made-up table in a fraction of the candidates that chance needs."""

from functools import cache
from statistics import median

import numpy as np
import pytest

from tests.hw_search.conftest import CONTENT, merged
from zerocross.hw_search.config import SearchConfig, make_config
from zerocross.hw_search.space import Genome, Space
from zerocross.hw_search.strategies.making import make_strategy
from zerocross.hw_search.strategies.strategy import Score
from zerocross.hw_search.strategies.surrogate import shape
from zerocross.models.expressions import parse

MOST = 160
UNARY = ["x", "sin", "cos", "abs", "sigmoid", "atan", "square", "relu", "gauss", "cube", "neg", "erf"]
TARGET = parse("sub(sin(x), abs(x))")


@pytest.fixture(scope="module")
def space() -> Space:
    activation = {"unary": UNARY, "binary": ["add", "sub", "mul", "max"]}
    return Space(make_config(merged(CONTENT, {"activation": activation})), (1, 8, 8), 10)


@cache
def distance(space: Space, genome: Genome) -> float:
    """The made-up error of a genome: how far its function's values are from the target's."""
    (expression,) = space.candidate(genome).expressions
    return float(np.abs(shape(expression)[:41] - shape(TARGET)[:41]).mean())


def feasible(space: Space, genome: Genome) -> bool:
    """Made-up constraint: functions that contain a square are infeasible."""
    return "square" not in str(space.candidate(genome).expressions[0])


def needed(space: Space, name: str, seed: int, good: float) -> int:
    """Return how many candidates a strategy asks for until one is feasible and good; `MOST` if none is."""
    config = SearchConfig(
        strategy=name, population=16, children=8, generations=1 + (MOST - 16) // 8, seed=seed
    )
    strategy = make_strategy(config, space, 1, lambda genome: space.candidate(genome).id, 0.9)
    asked = 0
    while genomes := strategy.ask():
        scores = []
        for genome in genomes:
            asked += 1
            fits = feasible(space, genome)
            if fits and distance(space, genome) <= good:
                return asked
            scores.append(Score((distance(space, genome),), 0.0 if fits else 1.0))
        strategy.tell(genomes, scores)
    return MOST


@pytest.mark.parametrize("seeds", [5, pytest.param(20, marks=pytest.mark.slow)])
def test_it_needs_a_fraction_of_what_chance_needs(space: Space, seeds: int) -> None:
    errors = sorted(distance(space, genome) for genome in space.genomes() if feasible(space, genome))
    good = errors[len(errors) // 200]  # the best half per cent
    guided, chance = (
        [needed(space, name, seed, good) for seed in range(seeds)] for name in ("surrogate", "random")
    )
    assert median(guided) <= median(chance) / 3, (guided, chance)
    assert max(guided) < MOST
