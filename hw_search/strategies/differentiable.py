"""NASB's differentiable search: mixtures of operations are trained, and the networks they choose are evaluated.

A mixture has all operations of every cell of topology `nasb`, and weights of them that are learnt (`models/nasb.py`). One
is trained for each activation, each price weight and each repetition; what it chooses becomes a candidate like any other,
trained and priced as such. An operation's price is what it adds to the first objective that is a cost, where all other edges
are skips: a table that the mixture's loss takes the expected price from.
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from zerocross.hw_search.choice import alternatives
from zerocross.hw_search.config import Config
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.execution.tasks import Mixture, Result, TrainingTask, to_json
from zerocross.hw_search.pricing import Infeasible, Pricer
from zerocross.hw_search.space import Candidate, Genome, Space
from zerocross.hw_search.strategies.strategy import Score
from zerocross.hw_search.trainings import task

Results = Callable[[dict[str, TrainingTask]], Iterator[tuple[str, Result, bool]]]
"""Does tasks by store key; yields (key, result, whether it was stored)."""

Prices = tuple[tuple[int, int, str, float], ...]

OPERATIONS = ("topology", "operations")


class Differentiable:
    """A strategy that asks for the networks which trained mixtures choose.

    Args:
        config: the configuration; its topology is `nasb`, with operations to choose from.
        space: its space. Choices other than operations are left at their middle.
        pricer: for the prices of operations.
        fingerprint: of the data and the code that decide what a mixture comes to.
        results: does the mixtures' tasks.

    Raises:
        UserError: if the topology is another, or has no choice of operations.
    """

    def __init__(
        self, config: Config, space: Space, pricer: Pricer, fingerprint: str, results: Results
    ) -> None:
        if config.topology.get("name") != "nasb" or not any(
            choice.path[:2] == OPERATIONS for choice in space.choices
        ):
            raise UserError(
                "search.strategy differentiable chooses the operations of topology nasb: write topology.operations as lists "
                "of {choose: [...]}"
            )
        self._config, self._space, self._pricer = config, space, pricer
        self._fingerprint, self._results = fingerprint, results
        self._seeds = space.seeds()
        self.planned = len(self._seeds) * len(config.search.price_weights) * config.search.generations
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
                for repetition in range(self._config.search.generations):
                    work = self._task(candidate, prices, weight, self._config.search.seed + repetition)
                    text = to_json(work) + self._fingerprint
                    key = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
                    tasks[key], genomes[key] = work, genome
        chosen = {key: result for key, result, _ in self._results(tasks) if result["status"] == "ok"}
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
        """Return (stage, edge, operation, price) for every operation, the largest price 1."""
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
        # What cannot be built costs twice the dearest that can.
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
