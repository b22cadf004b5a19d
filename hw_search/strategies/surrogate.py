"""A search led by a model of what it has seen: what an activation does, and what it is made of, predict its worth.

Every function is described by what it does on a grid (values, signs, slopes, how much of it lets a gradient pass) and by
how often each operation stands in it, beside the values of the other genes. A forest of randomized trees (Geurts et al.,
2006) learns the objectives from the evaluations so far. Each of the next candidates is the best by one tree, picked at
random, of a randomly weighted Tchebycheff distance (in the manner of Thompson sampling; the weights are ParEGO's, Knowles,
2006): trees differ where little is known, which is what leads the search there.
"""

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch

from zerocross.hw_search.space import Genome, Space
from zerocross.hw_search.strategies.strategy import Key, Score, distinct
from zerocross.hw_search.strategy_config import StrategyConfig
from zerocross.models.activation import evaluate
from zerocross.models.expressions import Expression
from zerocross.models.operations import OPERATIONS
from zerocross.models.quantizers import WINDOW
from zerocross.reports.pareto import Floats, Front

CHILDREN = 8
"""Candidates of a generation, if the configuration does not say: few, since each evaluation improves the next choice."""

_TREES = 50
_WHOLE = 6000
"""The largest space of which every genome is predicted."""

_DRAWN = 2000
"""Of a larger one so many genomes are, drawn anew for each forest: describing them takes most of a second."""

_MORE = 1.05
"""A forest is grown anew when so many times as much is known, so that long searches spend no more on each candidate."""

_WORST = 4.0
"""Scaled objectives end here; failures have it in all."""

_GRID = torch.linspace(-3.0, 3.0, 41)
"""Where batch norm leaves nearly everything."""


class Surrogate:
    """See the module's text.

    Args:
        config: the search section; `population` candidates are asked for first, then `generations` - 1 times `children`.
        space: what to search.
        objectives: how many there are.
        key: names what a genome stands for.
    """

    def __init__(self, config: StrategyConfig, space: Space, objectives: int, key: Key) -> None:
        self._first_count, self._count = config.population, config.children or CHILDREN
        self.planned = min(self._first_count + (config.generations - 1) * self._count, space.size)
        self._left = self.planned
        self._space, self._key, self._objectives = space, key, objectives
        self._rng = np.random.default_rng(config.seed)
        self._operations = sorted(OPERATIONS)
        self._seen: set[str] = set()
        self._inputs: list[Floats] = []
        self._scores: list[Score] = []
        self._front = Front[Genome]()
        self._known = 0  # evaluations when the forest was grown
        self._pool: list[Genome] = []
        self._barred = np.empty(0, bool)
        self._predicted = np.empty(0)
        self._described: dict[Genome, Floats] = {}

    def ask(self) -> list[Genome]:
        """See `Strategy`."""
        count = min(self._count if self._inputs else self._first_count, self._left)
        if count <= 0:
            return []
        chosen = self._promising(count) if self._front.items else self._first(count)
        self._left -= len(chosen)
        return chosen

    def tell(self, genomes: Sequence[Genome], scores: Sequence[Score]) -> None:
        """See `Strategy`."""
        self._inputs += [self._describe(genome) for genome in genomes]
        self._scores += scores
        for genome, score in zip(genomes, scores, strict=True):
            if score.feasible and score.objectives:
                self._front.add(genome, score.objectives)

    def _first(self, count: int) -> list[Genome]:
        """Return the space's seeds, and others drawn evenly."""
        found = []
        for genome in self._space.seeds()[: count // 2]:
            if self._key(genome) not in self._seen:
                self._seen.add(self._key(genome))
                found.append(genome)
        while len(found) < count:
            drawn = distinct(count - len(found), self._space.sizes, self._key, self._rng, self._seen)
            if not drawn:
                break
            found += [genome for genome in drawn if self._is_alive(genome)]
        return found

    def _promising(self, count: int) -> list[Genome]:
        if len(self._scores) >= _MORE * self._known:
            self._refit()
        chosen = self._best(count)
        if not chosen and self._space.size > _WHOLE:  # all of the pool was asked for
            self._refit()
            chosen = self._best(count)
        return chosen

    def _refit(self) -> None:
        """Grow a forest of all that is known, and predict what there is to choose from."""
        self._known = len(self._scores)
        self._renew_pool()
        self._predicted = self._predict(np.array([self._describe(genome) for genome in self._pool]))

    def _best(self, count: int) -> list[Genome]:
        """Return the best of the pool, each by another tree and other weights; none where all were asked for."""
        chosen: list[Genome] = []
        while len(chosen) < count:
            weighted = (
                self._rng.dirichlet(np.ones(self._objectives)) * self._predicted[self._rng.integers(_TREES)]
            )
            # Tchebycheff's distance from the ideal, and a little of the sum, so that no objective is given away.
            worth = weighted.max(axis=1) + 0.05 * weighted.sum(axis=1)
            place = next((place for place in np.argsort(worth, kind="stable") if self._is_new(place)), None)
            if place is None:
                break
            chosen.append(self._pool[place])
        return chosen

    def _is_new(self, place: int) -> bool:
        """Tell whether a genome of the pool can be asked for, and see to it that it is not asked for again."""
        if self._barred[place]:
            return False
        self._barred[place] = True
        # The key and the check whether it can learn are slow: they are made only where they matter.
        genome, name = self._pool[place], self._key(self._pool[place])
        if name in self._seen or not self._is_alive(genome):
            return False
        self._seen.add(name)
        return True

    def _renew_pool(self) -> None:
        """Make genomes to choose from: all; or neighbours of the best, one gene drawn anew, and some drawn anew."""
        if self._space.size <= _WHOLE:
            if not self._pool:
                self._pool = list(self._space.genomes())
                self._barred = np.zeros(len(self._pool), bool)
            return
        sizes = np.array(self._space.sizes)
        drawn = self._rng.integers(0, sizes, size=(_DRAWN, len(sizes)))
        near = np.array(self._front.items)[self._rng.integers(len(self._front.items), size=_DRAWN // 2)]
        rows, genes = np.arange(len(near)), self._rng.integers(len(sizes), size=len(near))
        near[rows, genes] = drawn[rows, genes]
        drawn[: len(near)] = near
        self._pool = list(dict.fromkeys(tuple(int(gene) for gene in row) for row in drawn))
        self._barred = np.zeros(len(self._pool), bool)
        self._described.clear()

    def _predict(self, inputs: Floats) -> Floats:
        """Return what every tree says of every objective, (trees, n, objectives)."""
        from sklearn.ensemble import ExtraTreesRegressor

        targets = self._targets()
        forest = ExtraTreesRegressor(
            _TREES, min_samples_leaf=2, max_features=0.5, random_state=int(self._rng.integers(2**31))
        )
        forest.fit(np.array(self._inputs), targets if self._objectives > 1 else targets[:, 0])
        each = np.stack([tree.predict(inputs) for tree in forest.estimators_])
        return each.reshape(_TREES, len(inputs), self._objectives)

    def _targets(self) -> Floats:
        """Return the objectives of everything known, scaled so that differences among the good ones are what is learned.

        0 is the best value known, 1 the median; an objective that hardly differs is scaled by a quarter of its best value,
        so that it does not claim half of the search. Above 1 they grow as the logarithm.
        """
        known = np.array([score.objectives for score in self._scores if score.feasible and score.objectives])
        best = known.min(axis=0)
        span = np.maximum(np.median(known, axis=0) - best, np.abs(best) / 4)
        worst = np.full(self._objectives, np.inf)
        values = np.array(
            [score.objectives if score.feasible and score.objectives else worst for score in self._scores]
        )
        scaled = (values - best) / np.where(span > 0, span, 1.0)
        return np.minimum(np.where(scaled < 1, scaled, 1 + np.log(np.maximum(scaled, 1))), _WORST)

    def _describe(self, genome: Genome) -> Floats:
        if genome not in self._described:
            candidate = self._space.candidate(genome)
            parts = [np.append(shape(e), self._made_of(e)) for e in candidate.expressions]
            # A shallower network has fewer slots than there are genes for.
            parts += [np.zeros_like(parts[0])] * (self._space.copies - len(parts))
            choices = np.array(genome[len(genome) - len(self._space.choices) :], float)
            self._described[genome] = np.concatenate([*parts, choices])
        return self._described[genome]

    def _made_of(self, expression: Expression) -> Floats:
        """Return how often each operation stands in an expression."""
        counts = Counter(node.name for node in expression.nodes())
        return np.array([counts[name] for name in self._operations], float)

    def _is_alive(self, genome: Genome) -> bool:
        return self._space.dead(self._space.candidate(genome)) is None


@lru_cache(maxsize=200_000)
def shape(expression: Expression) -> np.ndarray:
    """Describe a function at its initial parameters.

    Returns:
        Its values on a grid of -3..3 (cut to -4..4), their signs, and: crossings, learnable parameters, mean value, mean
        absolute slope, the share of the grid where a straight-through gradient passes and the mean slope there, and how far
        the function is from odd and from even.
    """
    values = evaluate(expression, _GRID, list(expression.initial_parameters())).expand_as(_GRID).numpy()
    values = np.clip(np.nan_to_num(values, nan=0.0, posinf=4.0, neginf=-4.0), -4.0, 4.0)
    signs = (values >= 0).astype(float)
    slopes = np.diff(values) / float(_GRID[1] - _GRID[0])
    passing = np.abs(values[1:] + values[:-1]) / 2 < WINDOW
    numbers = [
        np.abs(np.diff(signs)).sum(),
        len(expression.initial_parameters()),
        values.mean(),
        np.abs(slopes).mean(),
        passing.mean(),
        slopes[passing].mean() if passing.any() else 0.0,
        np.abs(values + values[::-1]).mean(),
        np.abs(values - values[::-1]).mean(),
    ]
    return np.concatenate([values, signs, numbers])
