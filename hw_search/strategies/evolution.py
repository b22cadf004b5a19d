"""Evolutionary strategies: NSGA-II, and GAAF's genetic algorithm."""

from collections.abc import Sequence

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.duplicate import DuplicateElimination
from pymoo.core.mutation import Mutation
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.operators.crossover.ux import UniformCrossover

from zerocross.hw_search.space import Genome, Space
from zerocross.hw_search.strategies.strategy import Key, Score, distinct
from zerocross.hw_search.strategy_config import StrategyConfig


class _ResetMutation(Mutation):
    """Replaces each gene by a random value with a given probability, and at least one gene per genome."""

    def __init__(self, chance: float) -> None:
        super().__init__()
        self.chance = chance

    def _do(self, problem, X, *args, random_state=None, **kwargs):  # type: ignore[no-untyped-def] # noqa: N803
        sizes = problem.xu + 1
        anew = random_state.random(X.shape) < self.chance
        anew[np.arange(len(X)), random_state.integers(X.shape[1], size=len(X))] = True
        return np.where(anew, random_state.integers(0, sizes, size=X.shape), X)


class _OneOfEach(DuplicateElimination):
    """Keeps one of several genomes that encode the same candidate."""

    def __init__(self, key: Key) -> None:
        super().__init__()
        self.key = key

    def _do(self, pop, other, is_duplicate):  # type: ignore[no-untyped-def]
        seen = set() if other is None else {self.key(_genome(individual.X)) for individual in other}
        for index, individual in enumerate(pop):
            name = self.key(_genome(individual.X))
            is_duplicate[index] |= name in seen
            seen.add(name)
        return is_duplicate


class EvolutionNSGA2:
    """NSGA-II (Deb et al., 2002) from pymoo, on categorical genes.

    Feasible candidates rank before infeasible ones. The first population contains
    `starts` and the space's seeds, up to its half; the rest is random.
    """

    def __init__(
        self,
        config: StrategyConfig,
        space: Space,
        objectives: int,
        key: Key,
        starts: Sequence[Genome] = (),
    ) -> None:
        children = config.children or config.population
        self.planned = min(config.population + (config.most_generations - 1) * children, space.size)
        rng = np.random.default_rng(config.seed)
        seen: set[str] = set()
        first = []
        for genome in [*starts, *space.seeds()][: config.population // 2]:
            if key(genome) not in seen:
                seen.add(key(genome))
                first.append(genome)
        first += distinct(config.population - len(first), space.sizes, key, rng, seen)
        sizes = np.array(space.sizes)
        self._objectives = objectives
        self._algorithm = NSGA2(
            pop_size=config.population,
            n_offsprings=config.children,
            sampling=Population.new("X", np.array(first, dtype=int)),
            crossover=UniformCrossover(),
            mutation=_ResetMutation(config.mutation),
            eliminate_duplicates=_OneOfEach(key),
        )
        problem = Problem(n_var=len(sizes), n_obj=objectives, n_ieq_constr=1, xl=0, xu=sizes - 1, vtype=int)
        self._algorithm.setup(
            problem, termination=("n_gen", config.most_generations), seed=config.seed, verbose=False
        )
        self._asked: Population | None = None

    def ask(self) -> list[Genome]:
        """See `Strategy`."""
        if not self._algorithm.has_next():
            return []
        self._asked = self._algorithm.ask()
        if self._asked is None or len(self._asked) == 0:
            return []
        return [_genome(individual.X) for individual in self._asked]

    def tell(self, genomes: Sequence[Genome], scores: Sequence[Score]) -> None:
        """See `Strategy`."""
        assert self._asked is not None
        # A failed candidate has no objectives: the largest violation ranks it last.
        values = [score.objectives or (1e30,) * self._objectives for score in scores]
        violations = [1e30 if score.objectives is None else score.violation for score in scores]
        self._asked.set("F", np.array(values, float))
        self._asked.set("G", np.array(violations, float)[:, None])
        for individual in self._asked:
            individual.evaluated.update(("F", "G", "H"))
        self._algorithm.tell(infills=self._asked)


def _genome(row: np.ndarray) -> Genome:
    return tuple(int(value) for value in row)


class EvolutionGAAF:
    """The genetic algorithm of GAAF (Li et al., 2023). It minimises only the error.

    Each generation draws one method of selecting parents:

    - elitism: the best two in turn;
    - tournament: a random place in the ranking, then one place further down with probability 1/2 at every step;
    - proportional: with probability proportional to accuracy.

    A child is one parent with one gene replaced by a random value. It replaces the worst member if it is better. The first
    population contains only networks at least a tenth better than guessing. Unlike the paper's code, this one has a seed, a
    cache, and validation data instead of test data.
    """

    _ROUNDS = 20

    def __init__(self, config: StrategyConfig, space: Space, key: Key, chance: float) -> None:
        self._size, self._children = config.population, config.children or 10
        self._generations = config.most_generations - 1
        self.planned = min(self._size + self._generations * self._children, space.size)
        self._sizes, self._key = space.sizes, key
        self._rng = np.random.default_rng(config.seed)
        self._limit = 1 - 1.1 * (1 - chance)
        self._population: list[tuple[float, Genome]] = []
        self._seen: set[str] = set()
        self._rounds = 0
        self._filling = True

    def ask(self) -> list[Genome]:
        """See `Strategy`."""
        missing = self._size - len(self._population)
        if self._filling and missing > 0 and self._rounds < self._ROUNDS:
            self._rounds += 1
            drawn = distinct(missing, self._sizes, self._key, self._rng, self._seen)
            if drawn:
                return drawn
        self._filling = False
        if self._generations <= 0 or not self._population:
            return []
        self._generations -= 1
        selection = int(self._rng.integers(3))
        return [self._mutated(self._parent(selection, child)) for child in range(self._children)]

    def _parent(self, selection: int, child: int) -> Genome:
        ranked = self._population
        if selection == 0:
            return ranked[child % min(2, len(ranked))][1]
        if selection == 1:
            place = int(self._rng.integers(len(ranked)))
            while place < len(ranked) - 1 and self._rng.random() < 0.5:
                place += 1
            return ranked[place][1]
        weights = np.array([1 - error for error, _ in ranked])
        return ranked[int(self._rng.choice(len(ranked), p=weights / weights.sum()))][1]

    def _mutated(self, parent: Genome) -> Genome:
        gene = int(self._rng.integers(len(parent)))
        return (*parent[:gene], int(self._rng.integers(self._sizes[gene])), *parent[gene + 1 :])

    def tell(self, genomes: Sequence[Genome], scores: Sequence[Score]) -> None:
        """See `Strategy`."""
        for genome, score in zip(genomes, scores, strict=True):
            if not score.feasible or score.objectives is None:
                continue
            error = score.objectives[0]
            if self._filling and error >= self._limit:
                continue
            if len(self._population) < self._size:
                self._population.append((error, genome))
            elif error < self._population[-1][0]:
                self._population[-1] = (error, genome)
            self._population.sort()
