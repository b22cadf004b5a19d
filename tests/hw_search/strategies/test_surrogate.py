"""The surrogate finds the best of a made-up table in a fraction of the candidates that chance needs."""

from functools import cache
from statistics import median

import numpy as np
import pytest

from tests.hw_search.conftest import CONTENT, merged
from zerocross.hw_search.config import SearchConfig, make_config
from zerocross.hw_search.space import Genome, Space
from zerocross.hw_search.strategies import surrogate
from zerocross.hw_search.strategies.making import make_strategy
from zerocross.hw_search.strategies.strategy import Score
from zerocross.hw_search.strategies.surrogate import Surrogate, shape
from zerocross.models.expressions import parse
from zerocross.reports.pareto import hypervolume

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


@pytest.mark.parametrize("seed", range(2))
def test_of_two_objectives_it_covers_the_front_as_chance_does_not(space: Space, seed: int) -> None:
    """The second objective is the length of the expression."""

    def objectives(genome: Genome) -> tuple[float, float]:
        return distance(space, genome), float(len(str(space.candidate(genome).expressions[0])))

    def share(name: str, generations: int) -> float:
        config = SearchConfig(strategy=name, population=16, children=8, generations=generations, seed=seed)
        strategy = make_strategy(config, space, 2, lambda genome: space.candidate(genome).id, 0.9)
        points = []
        while genomes := strategy.ask():
            points += [objectives(genome) for genome in genomes]
            strategy.tell(genomes, [Score(objectives(genome)) for genome in genomes])
        assert len(points) in (72, 80)
        return hypervolume(points, corner) / whole

    every = np.array([objectives(genome) for genome in space.genomes()])
    corner = every.max(axis=0)
    whole = hypervolume(every, corner)
    assert share("surrogate", 8) > 0.95
    assert share("random", 5) < 0.9


@pytest.mark.parametrize(("children", "generations"), [(1, 6), (4, 3)])
def test_it_asks_for_as_many_as_planned(space: Space, children: int, generations: int) -> None:
    config = SearchConfig(strategy="surrogate", population=5, children=children, generations=generations)
    strategy = make_strategy(config, space, 1, lambda genome: space.candidate(genome).id, 0.9)
    sizes = []
    while genomes := strategy.ask():
        strategy.tell(genomes, [Score((distance(space, genome),)) for genome in genomes])
        sizes.append(len(genomes))
    assert sizes == [5] + [children] * (generations - 1)


def test_features_of_functions() -> None:
    """Values, signs and eight numbers, on 41 points of -3..3; a gradient passes where the value is below 1.3."""
    grid = np.linspace(-3, 3, 41)
    distance = 2 * np.abs(grid).mean()
    known = {
        "scale(x)": (grid, [1, 1, 0, 1, 18 / 40, 1, 0, distance]),
        "abs(x)": (np.abs(grid), [0, 0, distance / 2, 1, 18 / 40, 0, distance, 0]),
        "sub(x, 0.01)": (grid - 0.01, [1, 0, -0.01, 1, 18 / 40, 1, 0.02, distance]),
    }
    for text, (values, numbers) in known.items():
        found = shape(parse(text))
        assert found[:41] == pytest.approx(values, abs=1e-6)
        assert found[41:82].tolist() == (found[:41] >= 0).tolist()
        assert found[82:] == pytest.approx(numbers, abs=1e-5)
    infinite = shape(parse("neg(square(square(square(mul(100000, x)))))"))[:41]
    assert set(infinite[np.abs(grid) > 1e-6]) == {-4.0}


def test_half_of_the_first_population_is_drawn(space: Space) -> None:
    seeds = list(space.seeds())
    config = SearchConfig(strategy="surrogate", population=4, generations=2)
    first = make_strategy(config, space, 1, lambda genome: space.candidate(genome).id, 0.9).ask()
    assert len(seeds) >= 4 and len(first) == 4
    assert first[:2] == seeds[:2] and not set(first[2:]) & set(seeds)


def test_starts_come_ahead_of_the_spaces_seeds(space: Space) -> None:
    seeds = list(space.seeds())
    start = next(genome for genome in space.genomes() if genome not in seeds and feasible(space, genome))
    config = SearchConfig(strategy="surrogate", population=6, generations=2)
    first = make_strategy(
        config, space, 1, lambda genome: space.candidate(genome).id, 0.9, [start, start]
    ).ask()
    assert first[0] == start and first[1] == seeds[0] and len(set(first)) == len(first) == 6


def test_a_space_of_fewer_functions_than_planned_is_asked_for_whole() -> None:
    """Of 16 genomes some are the same function, and some are constants."""
    activation = {"unary": ["x", "abs", "neg", "sin"], "binary": ["max"]}
    small = Space(make_config(merged(CONTENT, {"activation": activation})), (1, 8, 8), 10)
    alive = {
        small.candidate(genome).id
        for genome in small.genomes()
        if small.dead(small.candidate(genome)) is None
    }
    assert len(alive) < small.size
    for population in (small.size, 3):
        config = SearchConfig(strategy="surrogate", population=population, children=4, generations=20)
        strategy = make_strategy(config, small, 1, lambda genome: small.candidate(genome).id, 0.9)
        asked: list[str] = []
        while genomes := strategy.ask():
            strategy.tell(genomes, [Score((distance(small, genome),)) for genome in genomes])
            asked += [small.candidate(genome).id for genome in genomes]
        assert set(asked) >= alive and len(asked) == len(set(asked))


def told(space: Space, values: list[tuple[float, ...] | None]) -> Surrogate:
    """A surrogate that knows these objectives; None is a failed or an infeasible candidate."""
    config = SearchConfig(strategy="surrogate", population=4, generations=50)
    objectives = len(next(value for value in values if value))
    strategy = Surrogate(config, space, objectives, lambda genome: space.candidate(genome).id)
    genomes = list(space.genomes())[: len(values)]
    strategy.tell(genomes, [Score(value) if value else Score((), 1.0) for value in values])
    return strategy


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([2.0, 4.0, 4.0, 3.0, 6.0], [0.0, 1.0, 1.0, 0.5, 1 + np.log(2)]),  # best and median
        ([0.02, 0.04, 0.04, 0.03, 0.06], [0.0, 1.0, 1.0, 0.5, 1 + np.log(2)]),
        ([8.0, 8.0, 8.0, 8.5, 9.0, 9.5], [0.0, 0.0, 0.0, 0.25, 0.5, 0.75]),  # a quarter of the best is more
        ([-8.0, -8.0, -8.0, -7.5], [0.0, 0.0, 0.0, 0.25]),
        ([0.0, 0.0, 0.0, 0.5, 3.0], [0.0, 0.0, 0.0, 0.5, 1 + np.log(3)]),  # nothing to scale with
        ([1.0, 2.0, 2.0, 1 + np.exp(2.9), 1 + np.exp(3.1)], [0.0, 1.0, 1.0, 3.9, 4.0]),
        ([1.0, None, 2.0, 3.0], [0.0, 4.0, 1.0, 1 + np.log(2)]),
    ],
)
def test_the_forest_learns_differences_among_good_candidates(
    values: list[float | None], expected: list[float], space: Space
) -> None:
    """0 is the best known value, 1 the median; above, they grow as their logarithm, up to 4."""
    of_one = told(space, [None if value is None else (value,) for value in values])
    assert of_one._targets()[:, 0] == pytest.approx(expected)
    both = [None if value is None else (value, -3.0) for value in values]
    of_two = told(space, both)._targets()
    assert of_two[:, 0] == pytest.approx(expected)
    assert of_two[:, 1] == pytest.approx([4.0 if value is None else 0.0 for value in values])


def test_the_forest_is_fitted_again_where_it_knows_a_twentieth_more(
    space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    strategy = told(space, [(float(each),) for each in range(100)])
    fitted, refit = [], strategy._refit
    monkeypatch.setattr(strategy, "_refit", lambda: fitted.append(len(strategy._scores)) or refit())
    genomes = list(space.genomes())[100:]
    for _ in range(12):
        strategy.ask()
        strategy.tell(genomes[:1], [Score((50.0,))])
    assert fitted == [100, 105, 111]


def test_half_of_a_large_spaces_pool_is_next_to_the_front(
    space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A neighbour differs in one gene at most; the other half is drawn over the whole space."""
    monkeypatch.setattr(surrogate, "_WHOLE", space.size - 1)
    monkeypatch.setattr(surrogate, "_DRAWN", 200)
    strategy = told(space, [(float(each),) for each in range(9, 0, -1)])
    (best,) = strategy._front.items
    strategy._renew_pool()

    def is_near(genome: Genome) -> bool:
        return sum(one != other for one, other in zip(genome, best, strict=True)) <= 1

    pool = strategy._pool
    assert len(set(pool)) == len(pool) == len(strategy._barred) and not strategy._barred.any()
    near = [is_near(genome) for genome in pool]
    apart = near.index(False)
    assert all(near[:apart]) and sum(near[apart:]) < 20 and 70 < len(pool) - apart <= 100
    varied = [{genome[gene] for genome in pool[:apart]} for gene in range(len(best))]
    wide = [{genome[gene] for genome in pool[apart:]} for gene in range(len(best))]
    for gene, size in enumerate(space.sizes):
        assert varied[gene] <= set(range(size)) and wide[gene] == set(range(size))
        assert len(varied[gene]) > 1 or size == 1


@pytest.mark.parametrize("whole", [0, 1])
def test_the_whole_pool_of_a_small_space_is_predicted_and_kept(
    whole: int, space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surrogate, "_WHOLE", space.size - 1 + whole)
    strategy = told(space, [(float(each),) for each in range(9)])
    strategy._renew_pool()
    first = strategy._pool
    assert (first == list(space.genomes())) == bool(whole)
    strategy._barred[:3] = True
    strategy._renew_pool()
    assert (strategy._pool is first) == bool(whole) and strategy._barred.any() == bool(whole)
