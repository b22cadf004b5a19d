"""Strategies on landscapes with a known optimum."""

from collections.abc import Callable

import numpy as np
import pytest

from tests.hw_search.conftest import CONTENT, merged
from zerocross.hw_search.config import SearchConfig, make_config
from zerocross.hw_search.space import Genome, Space
from zerocross.hw_search.strategies.making import make_strategy
from zerocross.hw_search.strategies.strategy import Score, Strategy
from zerocross.hw_search.strategy_config import StrategyConfig
from zerocross.reports.pareto import hypervolume


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
    total = 0
    while batch := strategy.ask():
        assert len({space.candidate(genome).id for genome in batch}) == len(batch) <= 12
        strategy.tell(batch, [Score(objectives(genome)) for genome in batch])
        total += len(batch)
    assert 60 <= total <= 72


class Genes:
    """A made-up space of six genes of twenty values; a genome with only zeros and ones is on its front.

    The first objective counts the genes that are not 0, the second those that are not 1. Their sum is 6 on the front, and
    more by one for every other gene. Drawn evenly, nine of ten genes are others.
    """

    sizes = (20,) * 6
    size = 20**6
    choices = ()
    copies = 1
    front = tuple((float(zeros), float(6 - zeros)) for zeros in range(7))

    def seeds(self) -> list[Genome]:
        return []

    @staticmethod
    def objectives(genome: Genome) -> tuple[float, float]:
        return float(sum(gene != 0 for gene in genome)), float(sum(gene != 1 for gene in genome))

    def search(self, name: str, seed: int, score: Callable[[Genome], Score]) -> list[list[Score]]:
        """Return the scores of every generation."""
        settings = StrategyConfig(strategy=name, population=24, children=24, generations=20, seed=seed)
        strategy = make_strategy(settings, self, 2, str, 0.9)  # type: ignore[arg-type]
        found = []
        while genomes := strategy.ask():
            found.append([score(genome) for genome in genomes])
            strategy.tell(genomes, found[-1])
        return found


SEEDS = range(6)


@pytest.mark.parametrize("seed", SEEDS)
def test_nsga2_covers_a_known_front_as_chance_does_not(seed: int) -> None:
    space, corner = Genes(), (7.0, 7.0)
    whole = hypervolume(space.front, corner)

    def share(name: str) -> float:
        scores = space.search(name, seed, lambda genome: Score(space.objectives(genome)))
        points = [score.objectives for generation in scores for score in generation]
        assert len(points) == 480
        return hypervolume(points, corner) / whole

    assert share("nsga2") > 0.55
    assert share("random") < 0.45


@pytest.mark.parametrize("seed", SEEDS)
def test_gaaf_finds_a_known_best_as_chance_does_not(seed: int) -> None:
    space = Genes()

    def least(name: str) -> float:
        scores = space.search(name, seed, lambda genome: Score((space.objectives(genome)[0] / 8,)))
        return 8 * min(
            score.objectives[0] for generation in scores for score in generation if score.objectives
        )

    assert least("gaaf") <= 1
    assert least("random") >= 3


@pytest.mark.parametrize("seed", SEEDS)
def test_nsga2_leaves_failures_and_violations_behind(seed: int) -> None:
    """Three of four random genomes fail or violate a constraint, by different amounts."""
    space = Genes()

    def score(genome: Genome) -> Score:
        if genome[1] % 2:
            return Score(None)
        return Score(space.objectives(genome), float(max(0, genome[0] - 9)))

    generations = space.search("nsga2", seed, score)
    feasible = [np.mean([score.feasible for score in generation]) for generation in generations]
    assert len(generations) == 20
    assert feasible[0] < 0.4 and np.mean(feasible[-5:]) > 0.45
    sums = [sum(each.objectives or ()) for generation in generations for each in generation if each.feasible]
    assert min(sums) <= 7  # one gene from the front, with the second gene even: 0


def test_nsga2_ends_where_the_space_is_exhausted() -> None:
    content = merged(CONTENT, {"activation": {"unary": ["x"], "binary": ["add"]}})
    small = Space(make_config(content), (1, 8, 8), 10)
    strategy = make(small, population=4, generations=50)
    assert strategy.planned == small.size
    asked = [genome for genome, _ in run(strategy)]
    assert sorted(asked) == sorted(small.genomes())


def test_surrogate_ends_where_no_activation_is_alive() -> None:
    content = merged(CONTENT, {"activation": {"encoding": "tree", "depth": 3}})
    content["activation"] |= {"unary": ["abs", "square", "sigmoid"], "binary": ["max"]}
    dead = Space(make_config(content), (1, 8, 8), 10)
    assert make(dead, strategy="surrogate").ask() == []


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
    assert len(best) > 8 and best == sorted(best, reverse=True)
    kept = [genome for _, genome in strategy._population]  # type: ignore[attr-defined]
    assert len(kept) == 6 and all(genome[0] >= 4 for genome in kept)


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
    """Spaces too large to predict completely, and networks of several depths with one function per layer."""
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
