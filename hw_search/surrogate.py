"""A search led by a model of what it has seen: the shape of an activation tells much of what it is worth.

Every function is described by what it does on a grid (values, signs, slopes, how much of it lets a gradient pass), beside
the values of the other genes. A forest of randomized trees (Geurts et al., 2006) learns each objective from the evaluations
so far; the spread of its trees says how sure it is. The next candidates are those whose lower confidence bounds are best by
randomly weighted objectives (ParEGO, Knowles, 2006), one draw of weights for each.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch

from hw_search.config import SearchConfig
from hw_search.space import Genome, Space
from hw_search.strategies import Key, Score, distinct
from models.activation import evaluate
from models.expressions import Expression
from models.quantizers import WINDOW
from reports.pareto import nondominated

_TREES = 100
_POOL = 6000
"""Genomes whose prediction is looked at: all of a space of this size, else as many drawn anew each time."""

_DEVIATIONS = 1.0
"""A lower confidence bound is so many standard deviations below the mean, at most: each draw takes its own share."""

_GRID = torch.linspace(-3.0, 3.0, 41)
"""Where batch norm leaves nearly everything."""


class Surrogate:
    """See the module's text.

    Args:
        config: the search section; `population` candidates are asked for at a time, `generations` times.
        space: what to search.
        objectives: how many there are.
        key: names what a genome stands for.
    """

    def __init__(self, config: SearchConfig, space: Space, objectives: int, key: Key) -> None:
        self.planned = min(config.population * config.generations, space.size)
        self._batch, self._left = config.population, self.planned
        self._space, self._key, self._objectives = space, key, objectives
        self._rng = np.random.default_rng(config.seed)
        self._pool = list(space.genomes()) if space.size <= _POOL else []
        self._seen: set[str] = set()
        self._genomes: list[Genome] = []
        self._inputs: list[np.ndarray] = []
        self._scores: list[Score] = []

    def ask(self) -> list[Genome]:
        """See `Strategy`."""
        count = min(self._batch, self._left)
        if count <= 0:
            return []
        chosen = self._first(count) if len(self._inputs) < self._batch else self._promising(count)
        self._left -= len(chosen)
        return chosen

    def tell(self, genomes: Sequence[Genome], scores: Sequence[Score]) -> None:
        """See `Strategy`."""
        self._genomes += genomes
        self._inputs += [self._describe(genome) for genome in genomes]
        self._scores += scores

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
        pool = self._candidates()
        mean, deviation = self._predict(np.array([self._describe(genome) for genome in pool]))
        chosen: list[Genome] = []
        barred = np.zeros(len(pool), bool)
        while len(chosen) < count and not barred.all():
            weights = self._rng.dirichlet(np.ones(self._objectives))
            bound = mean - self._rng.uniform(0, _DEVIATIONS) * deviation
            # Tchebycheff's distance from the ideal, and a little of the sum, so that no objective is given away.
            worth = (weights * bound).max(axis=1) + 0.05 * (weights * bound).sum(axis=1)
            best = int(np.argmin(np.where(barred, np.inf, worth)))
            genome, name = pool[best], self._key(pool[best])
            barred[best] = True
            if name not in self._seen and self._is_alive(genome):
                self._seen.add(name)
                chosen.append(genome)
        return chosen

    def _candidates(self) -> list[Genome]:
        """Return genomes to choose from: all; or neighbours of the best, one gene drawn anew, and some drawn anew."""
        if self._pool:
            return self._pool
        sizes = np.array(self._space.sizes)
        drawn = self._rng.integers(0, sizes, size=(_POOL, len(sizes)))
        front = self._front()
        if front:
            near = np.array(front)[self._rng.integers(len(front), size=_POOL // 2)]
            rows, genes = np.arange(len(near)), self._rng.integers(len(sizes), size=len(near))
            near[rows, genes] = drawn[rows, genes]
            drawn[: len(near)] = near
        return list(dict.fromkeys(tuple(int(gene) for gene in row) for row in drawn))

    def _front(self) -> list[Genome]:
        """Return the genomes evaluated that no other dominates."""
        points = [score.objectives if score.feasible else None for score in self._scores]
        known = [point or (np.nan,) * self._objectives for point in points]
        return [self._genomes[index] for index in np.flatnonzero(nondominated(known))]

    def _predict(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and deviation of every objective, (n, objectives), the known ones scaled to 0..1."""
        from sklearn.ensemble import ExtraTreesRegressor

        good = [score.objectives for score in self._scores if score.feasible and score.objectives]
        known = np.array(good) if good else np.zeros((1, self._objectives))
        low, span = known.min(axis=0), np.ptp(known, axis=0)
        span = np.where(span > 0, span, 1.0)
        # What failed is as bad as the worst that did not, in everything.
        targets = np.array(
            [
                (np.array(score.objectives) - low) / span
                if score.feasible and score.objectives
                else np.ones(self._objectives)
                for score in self._scores
            ]
        )
        forest = ExtraTreesRegressor(
            _TREES, min_samples_leaf=2, max_features=0.5, random_state=int(self._rng.integers(2**31))
        )
        forest.fit(np.array(self._inputs), targets if self._objectives > 1 else targets[:, 0])
        each = np.stack([tree.predict(inputs) for tree in forest.estimators_])
        each = each.reshape(_TREES, len(inputs), self._objectives)
        return each.mean(axis=0), each.std(axis=0)

    def _describe(self, genome: Genome) -> np.ndarray:
        candidate = self._space.candidate(genome)
        shapes = [shape(expression) for expression in candidate.expressions]
        # A shallower network has fewer slots than there are genes for.
        shapes += [np.zeros_like(shapes[0])] * (self._space.copies - len(shapes))
        choices = np.array(genome[len(genome) - len(self._space.choices) :], float)
        return np.concatenate([*shapes, choices])

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
