"""Strategies that do not learn from scores: random and exhaustive search."""

import itertools
from collections.abc import Sequence

import numpy as np

from zerocross.hw_search.space import Genome, Space
from zerocross.hw_search.strategies.strategy import Key, Score, distinct
from zerocross.hw_search.strategy_config import StrategyConfig


class Random:
    """Candidates drawn uniformly, each once."""

    def __init__(self, config: StrategyConfig, space: Space, key: Key) -> None:
        self.planned = min(config.population * config.most_generations, space.size)
        self._batch, self._left = config.population, self.planned
        self._sizes, self._key = space.sizes, key
        self._rng = np.random.default_rng(config.seed)
        self._seen: set[str] = set()

    def ask(self) -> list[Genome]:
        """See `Strategy`."""
        drawn = distinct(min(self._batch, self._left), self._sizes, self._key, self._rng, self._seen)
        self._left -= len(drawn)
        return drawn

    def tell(self, genomes: Sequence[Genome], scores: Sequence[Score]) -> None:
        """See `Strategy`."""


class Exhaustive:
    """Every candidate of the space once, in order."""

    def __init__(self, config: StrategyConfig, space: Space, key: Key) -> None:
        self.planned = space.size
        self._batch, self._key = config.population, key
        self._genomes = iter(space.genomes())
        self._seen: set[str] = set()

    def ask(self) -> list[Genome]:
        """See `Strategy`."""
        fresh = (genome for genome in self._genomes if self._new(genome))
        return list(itertools.islice(fresh, self._batch))

    def _new(self, genome: Genome) -> bool:
        name = self._key(genome)
        if name in self._seen:
            return False
        self._seen.add(name)
        return True

    def tell(self, genomes: Sequence[Genome], scores: Sequence[Score]) -> None:
        """See `Strategy`."""
