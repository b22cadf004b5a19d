"""A search guided by a surrogate model, which predicts objectives from an activation's values and operations.

The features of a function are its properties on a grid (values, signs, slopes, share that passes a gradient), the count of
each operation in it, and the values of the other genes. A forest of randomized trees (Geurts et al., 2006) learns the
objectives from the evaluations so far. For each new candidate, the search draws one tree and random weights (as in ParEGO,
Knowles, 2006) and takes the genome with the smallest predicted Tchebycheff distance, similar to Thompson sampling. Trees
differ where data is scarce, so the search explores there.
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
from zerocross.models.operations import OPERATIONS, forget_by
from zerocross.models.surrogates import WINDOW
from zerocross.reports.pareto import Floats, Front

CHILDREN = 8
"""Default number of candidates per generation. It is small because each evaluation improves the next choice."""

_TREES = 50
_WHOLE = 6000
"""Largest number of genomes in a space for which the forest predicts all of them."""

_DRAWN = 2000
"""Number of genomes to predict in a larger space, drawn again for each forest. Their features take most of a second."""

_DRAWS = 200
"""Most draws of the first candidates: in some spaces nearly all activations are dead."""

_MORE = 1.05
"""Growth factor of the evaluations before a new forest is fitted. A factor keeps the time per candidate constant."""

_WORST = 4.0
"""Upper limit of scaled objectives, and the value of all objectives of a failed candidate."""

_GRID = torch.linspace(-3.0, 3.0, 41)
"""Grid over the range of nearly all outputs of batch norm."""


class Surrogate:
    """See the module's docstring.

    Args:
        config: Section `search`. The search requests `population` candidates, then `generations` - 1 times `children`.
        space: Space to search.
        objectives: Number of objectives.
        key: Function from a genome to its candidate's key.
        starts: Genomes of the first population, before the space's seeds.
    """

    def __init__(
        self,
        config: StrategyConfig,
        space: Space,
        objectives: int,
        key: Key,
        starts: Sequence[Genome] = (),
    ) -> None:
        self._starts = list(starts)
        self._first_count, self._count = config.population, config.children or CHILDREN
        self.planned = min(self._first_count + (config.most_generations - 1) * self._count, space.size)
        self._left = self.planned
        self._space, self._key, self._objectives = space, key, objectives
        self._rng = np.random.default_rng(config.seed)
        self._operations = sorted(OPERATIONS)
        self._seen: set[str] = set()
        self._inputs: list[Floats] = []
        self._scores: list[Score] = []
        self._front = Front[Genome]()
        self._known = 0  # number of evaluations that the forest was fitted to
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
        """Return the starts, the space's seeds, and further genomes drawn uniformly."""
        found = []
        for genome in [*self._starts, *self._space.seeds()][: count // 2]:
            if self._key(genome) not in self._seen:
                self._seen.add(self._key(genome))
                found.append(genome)
        for _ in range(_DRAWS):
            drawn = distinct(count - len(found), self._space.sizes, self._key, self._rng, self._seen)
            if not drawn:
                break
            found += [genome for genome in drawn if self._is_alive(genome)]
        return found

    def _promising(self, count: int) -> list[Genome]:
        if len(self._scores) >= _MORE * self._known:
            self._refit()
        chosen = self._best(count)
        if not chosen and self._space.size > _WHOLE:  # the whole pool was requested before
            self._refit()
            chosen = self._best(count)
        return chosen

    def _refit(self) -> None:
        """Fit a forest to all evaluations and predict the objectives of the pool."""
        self._known = len(self._scores)
        self._renew_pool()
        self._predicted = self._predict(np.array([self._describe(genome) for genome in self._pool]))

    def _best(self, count: int) -> list[Genome]:
        """Return the best genomes of the pool, each with its own random tree and weights; none if all were requested."""
        chosen: list[Genome] = []
        while len(chosen) < count:
            weighted = (
                self._rng.dirichlet(np.ones(self._objectives)) * self._predicted[self._rng.integers(_TREES)]
            )
            # Tchebycheff distance from the ideal, plus a small share of the sum, so that every objective counts.
            worth = weighted.max(axis=1) + 0.05 * weighted.sum(axis=1)
            place = next((place for place in np.argsort(worth, kind="stable") if self._is_new(place)), None)
            if place is None:
                break
            chosen.append(self._pool[place])
        return chosen

    def _is_new(self, place: int) -> bool:
        """Return whether a genome of the pool may be requested, and bar it from further requests."""
        if self._barred[place]:
            return False
        self._barred[place] = True
        # The key and the check for a constant bit are slow, so they run only for chosen genomes.
        genome, name = self._pool[place], self._key(self._pool[place])
        if name in self._seen or not self._is_alive(genome):
            return False
        self._seen.add(name)
        return True

    def _renew_pool(self) -> None:
        """Set the pool: all genomes of a small space, else neighbours of the front (one gene random) and random genomes."""
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
        """Return every tree's predictions, (trees, n, objectives)."""
        from sklearn.ensemble import ExtraTreesRegressor

        targets = self._targets()
        forest = ExtraTreesRegressor(
            _TREES, min_samples_leaf=2, max_features=0.5, random_state=int(self._rng.integers(2**31))
        )
        forest.fit(np.array(self._inputs), targets if self._objectives > 1 else targets[:, 0])
        each = np.stack([tree.predict(inputs) for tree in forest.estimators_])
        return each.reshape(_TREES, len(inputs), self._objectives)

    def _targets(self) -> Floats:
        """Return the objectives of all evaluations, scaled so that the forest learns differences among good candidates.

        The best known value becomes 0 and the median 1. The scale is at least a quarter of the best value, so that an
        objective that hardly varies does not dominate the search. Values above 1 grow logarithmically.
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
            # A shallower network has fewer slots than the genome has expressions.
            parts += [np.zeros_like(parts[0])] * (self._space.copies - len(parts))
            choices = np.array(genome[len(genome) - len(self._space.choices) :], float)
            self._described[genome] = np.concatenate([*parts, choices])
        return self._described[genome]

    def _made_of(self, expression: Expression) -> Floats:
        """Return the count of each operation in an expression."""
        counts = Counter(node.name for node in expression.nodes())
        return np.array([counts[name] for name in self._operations], float)

    def _is_alive(self, genome: Genome) -> bool:
        return self._space.dead(self._space.candidate(genome)) is None


@lru_cache(maxsize=200_000)
def shape(expression: Expression) -> np.ndarray:
    """Return the features of a function with its initial parameters.

    Returns:
        Its values on a grid of -3..3 (clipped to -4..4), their signs, and eight numbers: crossings, learnable parameters,
        mean value, mean absolute slope, share of the grid where a straight-through gradient passes, mean slope there, and
        mean distance from an odd and from an even function.
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


forget_by(shape.cache_clear)
