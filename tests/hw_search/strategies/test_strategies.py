import numpy as np
import pytest

from tests.hw_search.conftest import CONTENT, merged
from zerocross.hw_search.config import SearchConfig, make_config
from zerocross.hw_search.space import Genome, Space
from zerocross.hw_search.strategies.making import make_strategy
from zerocross.hw_search.strategies.strategy import Score, Strategy
from zerocross.reports.pareto import nondominated


@pytest.fixture(scope="module")
def space() -> Space:
    content = merged(CONTENT, {"activation": {"unary": None, "binary": None}})
    return Space(make_config(content), (1, 8, 8), 10)


def objectives(genome: Genome) -> tuple[float, float]:
    """A landscape with a known front: the sum of the genes against their distance from the far corner."""
    genes = np.array(genome)
    return float(genes.sum()), float(((genes - np.array([21, 21, 10, 1, 1])) ** 2).sum())


def run(strategy: Strategy, count: int = 2) -> list[tuple[Genome, Score]]:
    seen = []
    while genomes := strategy.ask():
        scores = [Score(objectives(genome)[:count]) for genome in genomes]
        strategy.tell(genomes, scores)
        seen += zip(genomes, scores, strict=True)
    return seen


def make(space: Space, **settings: object) -> Strategy:
    config = SearchConfig(**{"population": 12, "generations": 6, **settings})
    return make_strategy(config, space, 2, lambda genome: space.candidate(genome).id, 0.9)


@pytest.mark.parametrize("name", ["nsga2", "surrogate", "random", "gaaf"])
def test_the_seed_decides_everything(space: Space, name: str) -> None:
    first, again = (run(make(space, strategy=name, seed=5)) for _ in range(2))
    assert first == again
    assert first != run(make(space, strategy=name, seed=6))


@pytest.mark.parametrize("name", ["nsga2", "surrogate", "random"])
def test_about_as_many_as_planned_are_asked_for_none_twice_in_a_batch(space: Space, name: str) -> None:
    strategy = make(space, strategy=name, children=12)
    assert strategy.planned == 72
    batch = strategy.ask()
    assert len({space.candidate(genome).id for genome in batch}) == len(batch) == 12


def test_nsga2_comes_closer_to_the_front_than_chance(space: Space) -> None:
    def best(name: str) -> float:
        found = np.array([score.objectives for _, score in run(make(space, strategy=name, generations=20))])
        front = found[nondominated(found)] / [55, 1000]
        return float(np.prod(1.2 - front, axis=1).max())

    assert best("nsga2") > best("random")


def test_nsga2_takes_failures_and_violations(space: Space) -> None:
    strategy = make(space)
    while genomes := strategy.ask():
        scores = [
            Score(None) if sum(genome) % 3 == 0 else Score(objectives(genome), float(genome[0] > 10))
            for genome in genomes
        ]
        strategy.tell(genomes, scores)


def test_nsga2_ends_where_the_space_is_exhausted() -> None:
    content = merged(CONTENT, {"activation": {"unary": ["x"], "binary": ["add"]}})
    small = Space(make_config(content), (1, 8, 8), 10)
    assert len(run(make(small, population=4, generations=50))) < 200


def test_exhaustive_asks_for_every_candidate_once() -> None:
    small = Space(make_config(CONTENT), (1, 8, 8), 10)
    asked = [genome for genome, _ in run(make(small, strategy="exhaustive"))]
    ids = [small.candidate(genome).id for genome in asked]
    assert len(ids) == len(set(ids)) == len({small.candidate(genome).id for genome in small.genomes()})


def test_gaaf_keeps_its_best_and_turns_guessers_away(space: Space) -> None:
    config = SearchConfig(strategy="gaaf", population=6, generations=8)
    strategy = make_strategy(config, space, 1, lambda genome: space.candidate(genome).id, 0.9)
    best: list[float] = []
    while genomes := strategy.ask():
        scores = [Score((0.95 if genome[0] < 4 else 1 / (1 + sum(genome)),)) for genome in genomes]
        strategy.tell(genomes, scores)
        errors = [error for error, _ in strategy._population]  # type: ignore[attr-defined]
        assert errors == sorted(errors) and len(errors) <= 6
        best.append(errors[0])
    assert best == sorted(best, reverse=True)
    assert all(genome[0] >= 4 for error, genome in strategy._population[:1])  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "change",
    [
        {"activation": {"encoding": "nested"}},
        {
            "activation": {"encoding": "list", "per_layer": True},
            "topology": {"name": "mlp", "hidden": {"choose": [[4], [4, 4]]}},
        },
    ],
)
@pytest.mark.parametrize("count", [1, 2])
def test_a_surrogate_searches_any_space(change: dict[str, object], count: int) -> None:
    """Spaces too large to look at whole, and networks of several depths with a function for each layer."""
    config = make_config({**CONTENT, **change})
    space = Space(config, (1, 8, 8), 10)
    settings = SearchConfig(strategy="surrogate", population=6, generations=4)
    strategy = make_strategy(settings, space, count, lambda genome: space.candidate(genome).id, 0.9)
    seen = []
    while genomes := strategy.ask():
        seen += [space.candidate(genome).id for genome in genomes]
        scores = [Score((sum(genome) / 100, 1.0 + genome[0])[:count]) for genome in genomes]
        scores[0] = Score(None)
        strategy.tell(genomes, scores)
    assert len(seen) == len(set(seen)) == strategy.planned == 30


def test_a_surrogate_goes_on_when_all_it_had_drawn_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zerocross.hw_search.strategies.surrogate._WHOLE", 10)
    monkeypatch.setattr("zerocross.hw_search.strategies.surrogate._DRAWN", 12)
    monkeypatch.setattr("zerocross.hw_search.strategies.surrogate._MORE", 1e9)
    space = Space(
        make_config(merged(CONTENT, {"activation": {"unary": None, "binary": None}})), (1, 8, 8), 10
    )
    settings = SearchConfig(strategy="surrogate", population=6, generations=12)
    strategy = make_strategy(settings, space, 2, lambda genome: space.candidate(genome).key, 0.9)
    assert len(run(strategy)) > 40
