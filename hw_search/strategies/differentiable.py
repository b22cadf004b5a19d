"""NASB's differentiable search: it trains mixtures of operations and evaluates the networks that they choose.

A mixture contains all operations of every cell of topology `nasb`, with learned weights (`models/nasb.py`). One mixture is
trained for each activation, price weight and repetition. The network that it chooses becomes a candidate, which is trained
and priced like any other. The price of an operation is its contribution to the first objective that is a cost, with skips on
all other edges. The mixture's loss contains the expected price from the table of these prices.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from zerocross.hw_search.choice import alternatives
from zerocross.hw_search.config import Config
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.execution.tasks import Mixture, Result, TrainingTask
from zerocross.hw_search.pricing import Infeasible, Pricer
from zerocross.hw_search.space import Candidate, Genome, Space
from zerocross.hw_search.strategies.strategy import Score
from zerocross.hw_search.trainings import task, task_key
from zerocross.reports.wording import count

Results = Callable[[dict[str, TrainingTask]], Iterator[tuple[str, Result, bool]]]
"""Runs tasks by store key; yields (key, result, whether it came from the store)."""

Prices = tuple[tuple[int, int, str, float], ...]

OPERATIONS = ("topology", "operations")


class Differentiable:
    """A strategy whose candidates are the networks that trained mixtures choose.

    Args:
        config: The configuration. Its topology must be `nasb`, with operations to choose from.
        space: Space of the configuration. Choices other than operations keep their middle value.
        pricer: Estimates the prices of operations.
        fingerprint: Digest of the data.
        results: Runs the mixtures' tasks.

    Raises:
        UserError: If the topology is not `nasb`, or has no choice of operations.
    """

    def __init__(
        self, config: Config, space: Space, pricer: Pricer, fingerprint: str, results: Results
    ) -> None:
        if config.topology.get("name") != "nasb" or not any(
            choice.path[:2] == OPERATIONS for choice in space.choices
        ):
            raise UserError(
                "search.strategy differentiable requires topology nasb with a choice of operations: write "
                "topology.operations as lists of {choose: [...]}"
            )
        self._config, self._space, self._pricer = config, space, pricer
        self._fingerprint, self._results = fingerprint, results
        self._seeds = space.seeds()
        self.planned = len(self._seeds) * len(config.search.price_weights) * config.search.most_generations
        self._asked = False

    def ask(self) -> list[Genome]:
        """See `Strategy`."""
        if self._asked:
            return []
        self._asked = True
        tasks: dict[str, TrainingTask] = {}
        genomes: dict[str, Genome] = {}
        for genome in self._seeds:
            candidate = self._space.candidate(genome)
            prices = self._prices(candidate)
            for weight in self._config.search.price_weights:
                for repetition in range(self._config.search.most_generations):
                    work = self._task(candidate, prices, weight, self._config.search.seed + repetition)
                    key = task_key(candidate, work, self._fingerprint)
                    tasks[key], genomes[key] = work, genome
        results = {key: result for key, result, _ in self._results(tasks)}
        chosen = {key: result for key, result in results.items() if result["status"] == "ok"}
        if tasks and not chosen:
            reason = results[next(iter(tasks))]["reason"]
            raise UserError(
                f"none of {count(len(tasks), 'mixture')} of operations could be trained: {reason}"
            )
        found = [self._with(genomes[key], chosen[key]["operations"]) for key in tasks if key in chosen]
        return list(dict.fromkeys(found))

    def tell(self, genomes: Sequence[Genome], scores: Sequence[Score]) -> None:
        """See `Strategy`."""

    def _choices(self) -> list[list[list[str]]]:
        return [[alternatives(edge) for edge in stage] for stage in self._config.topology["operations"]]

    def _task(self, candidate: Candidate, prices: Prices, weight: float, seed: int) -> TrainingTask:
        choices = tuple(tuple(tuple(edge) for edge in stage) for stage in self._choices())
        return replace(task(self._config, candidate, seed), mixture=Mixture(choices, prices, weight))

    def _prices(self, candidate: Candidate) -> Prices:
        """Return (stage, edge, operation, price) for every operation, scaled so that the largest price is 1."""
        measure = next((name for name in self._config.objectives if name != "error"), "lut")
        skips = [["skip"] * len(stage) for stage in self._choices()]

        def cost(stage: int, edge: int, name: str) -> float:
            operations = [list(row) for row in skips]
            operations[stage][edge] = name
            topology = {**candidate.topology, "operations": operations}
            try:
                priced = self._pricer.cost(Candidate((), topology, {}, candidate.folding, {}))
            except Infeasible:
                return math.inf
            return self._pricer.metrics(priced)[measure]

        table = {
            (stage, edge, name): cost(stage, edge, name) - cost(stage, edge, "none")
            for stage, edges in enumerate(self._choices())
            for edge, names in enumerate(edges)
            for name in names
        }
        top = max((abs(price) for price in table.values() if math.isfinite(price)), default=0.0) or 1.0
        # An operation that cannot be built costs twice the most expensive one that can.
        return tuple((*place, price / top if math.isfinite(price) else 2.0) for place, price in table.items())

    def _with(self, genome: Genome, operations: list[list[str]]) -> Genome:
        """Return a genome with other operations."""
        genes, begin = list(genome), len(genome) - len(self._space.choices)
        for index, choice in enumerate(self._space.choices):
            if choice.path[:2] == OPERATIONS:
                _, _, stage, edge = choice.path
                assert isinstance(stage, int) and isinstance(edge, int)
                genes[begin + index] = choice.values.index(operations[stage][edge])
        return tuple(genes)
