"""Search strategies measured on a table: what a search finds of a front that is known exactly, and how soon.

Nothing is trained: a strategy asks for genomes and is told what the table says of them. An evaluation is a function that a
search would have to train, counted once; those that are turned away untrained cost nothing.
"""

import math
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

import numpy as np

from hw_search.config import Config, make_config
from hw_search.errors import UserError
from hw_search.evaluation import import_plugins
from hw_search.space import Genome, Space
from hw_search.strategies import Score, make_strategy
from hw_search.table import COSTS, Table
from models.errors import nearest
from reports.pareto import hypervolume, hypervolume_history, nondominated, reference_point

COMPARABLE = ("surrogate", "nsga2", "gaaf", "random")

_GOALS = (0.9, 0.95, 0.99)
_FEW = 4
"""Networks on a front that tells little of those who search for it."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Comparison:
    """What came of comparing strategies.

    Attributes:
        objectives: what was minimised.
        functions: how many could be trained: the evaluations of a search of everything.
        front: how many of them no other dominates.
        budget: evaluations of each search.
        shares: by strategy, the share of the exact hypervolume after each evaluation, (seeds, budget).
        gaps: by strategy, how far the best accuracy found is below the table's best, likewise.
    """

    objectives: tuple[str, ...]
    functions: int
    front: int
    budget: int
    shares: dict[str, np.ndarray]
    gaps: dict[str, np.ndarray]

    def needed(self, strategy: str, goal: float) -> float:
        """Return the median number of evaluations until a share of the hypervolume is reached; infinity if it is not."""
        reached = [
            int(np.argmax(row >= goal)) + 1 if row[-1] >= goal else math.inf for row in self.shares[strategy]
        ]
        return float(np.median(reached))


def compare(
    table: Table,
    strategies: Sequence[str],
    seeds: int = 20,
    share: float = 0.25,
    objectives: Sequence[str] = ("error", "lut"),
    population: int = 24,
    workers: int | None = None,
    progress: Progress = lambda what, done, total: None,
) -> Comparison:
    """Let strategies search a table.

    Args:
        table: what is known.
        strategies: of COMPARABLE.
        seeds: searches of each.
        share: evaluations of each search, as a share of the functions, 0..1.
        objectives: what is minimised, of error and the costs.
        population: candidates of a generation; `gaaf` keeps the paper's 30 and 10.
        workers: searches at a time; one for each core where it is None.
        progress: told of every search.

    Raises:
        UserError: for an unknown strategy or objective, or a table without a front.
    """
    for name in strategies:
        if name not in COMPARABLE:
            raise UserError(f"--strategies: {name!r} cannot be compared: {nearest(name, COMPARABLE)}")
    for name in objectives:
        if name not in ("error", *COSTS):
            raise UserError(f"--objectives: {name!r}: {nearest(name, ('error', *COSTS))}")
    _check(table)
    points = np.array([[row.objective(name) for name in objectives] for row in table.rows])
    if not np.isfinite(points).all(axis=1).any():
        raise UserError("the table has no function that trained")
    functions = sum(row.status != "dead" for row in table.rows)
    budget = max(1, round(share * functions))
    strategies = list(dict.fromkeys(strategies))
    jobs = [(name, seed) for name in strategies for seed in range(seeds)]
    found: dict[str, list[list[int]]] = {name: [] for name in strategies}
    count = min(len(jobs), workers or os.cpu_count() or 1)
    for done, ((name, _), rows) in enumerate(
        _searches(jobs, count, (table, tuple(objectives), budget, population)), start=1
    ):
        found[name].append(rows)
        progress("searching the table", done, len(jobs))
    corner = reference_point(points)
    whole = hypervolume(points, corner)
    errors = np.array([row.objective("error") for row in table.rows])

    def padded(values: np.ndarray) -> np.ndarray:
        return np.pad(values, (0, budget - len(values)), mode="edge")

    return Comparison(
        tuple(objectives),
        functions,
        int(nondominated(points).sum()),
        budget,
        {
            name: np.stack([padded(hypervolume_history(points[rows], corner) / whole) for rows in own])
            for name, own in found.items()
        },
        {
            name: np.stack([padded(np.fmin.accumulate(errors[rows]) - np.nanmin(errors)) for rows in own])
            for name, own in found.items()
        },
    )


def _check(table: Table) -> None:
    """Make sure that every genome of the table's space has a row.

    Raises:
        UserError: if one has none, or the configuration is none.
    """
    config = make_config(table.about["config"], "the table's configuration")
    import_plugins(config.plugins)
    space = Space(config, tuple(table.about["input_shape"]), table.about["classes"])
    missing = sum(genome not in table.places for genome in space.genomes())
    if missing:
        raise UserError(f"the table has no row for {missing:,} of {space.size:,} genomes: make it anew")


_Setting = tuple[Table, tuple[str, ...], int, int]
"""Table, objectives, budget, population."""

_setting: _Setting


def _searches(
    jobs: Sequence[tuple[str, int]], count: int, setting: _Setting
) -> Iterator[tuple[tuple[str, int], list[int]]]:
    """Yield what each search evaluates, in the order of the jobs; `count` at a time."""
    if count == 1:
        _begin(setting)
        yield from ((job, _search(job)) for job in jobs)
        return
    # Spawned, not forked: torch has threads, which a fork leaves behind in whatever they held.
    pool = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _begin_worker, (setting,))
    try:
        yield from zip(jobs, pool.map(_search, jobs), strict=True)
    except BrokenProcessPool:
        raise UserError("a search's process died: fewer --workers may help") from None
    finally:
        pool.shutdown(cancel_futures=True)


def _begin_worker(setting: _Setting) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program that waits
    _begin(setting)


def _begin(setting: _Setting) -> None:
    global _setting  # noqa: PLW0603 - once a process, instead of a table with every job
    _setting = setting


def _search(job: tuple[str, int]) -> list[int]:
    """Return the rows a search evaluates, in its order, no more than the budget."""
    (name, seed), (table, objectives, budget, population) = job, _setting
    config = _config(table, name, seed, objectives, budget, population)
    import_plugins(config.plugins)
    space = Space(config, tuple(table.about["input_shape"]), table.about["classes"])
    places, rows = table.places, table.rows

    def key(genome: Genome) -> str:
        return str(places[genome])

    chance = 1 - 1 / table.about["classes"]
    strategy = make_strategy(config.search, space, len(objectives), key, chance)
    evaluated: dict[int, None] = {}
    while len(evaluated) < budget and (genomes := strategy.ask()):
        found = [places[genome] for genome in genomes]
        for place in found:
            if rows[place].status != "dead":
                evaluated.setdefault(place)
        scores = []
        for place in found:
            values = tuple(rows[place].objective(objective) for objective in objectives)
            scores.append(Score(values if rows[place].status == "ok" else None))
        strategy.tell(genomes, scores)
    return list(evaluated)[:budget]


def _config(
    table: Table, strategy: str, seed: int, objectives: Sequence[str], budget: int, population: int
) -> Config:
    content = dict(table.about["config"])
    # Generations enough for any budget: duplicates and dead functions cost none of it.
    search = {"strategy": strategy, "seed": seed, "population": population, "generations": 40 + 4 * budget}
    if strategy == "gaaf":
        search |= {"population": 30, "children": 10}
    return make_config({**content, "search": search, "objectives": list(objectives)})


def comparison_table(found: Comparison) -> str:
    """Return what was found, as Markdown."""
    lines = [
        f"{found.functions:,} functions, {found.front} of them on the exact front of {', '.join(found.objectives)}; "
        f"{len(next(iter(found.shares.values())))} searches each, {found.budget} evaluations at most. Medians:",
        "",
        "| strategy | "
        + " | ".join(f"evaluations to {goal:.0%}" for goal in _GOALS)
        + f" | hypervolume after {found.budget} | best accuracy missed by, points |",
        "| --- |" + " --- |" * (len(_GOALS) + 2),
    ]
    if found.front < _FEW:
        lines.insert(
            1, f"A front of {found.front} is no measure: a search has all of its hypervolume, or hardly any."
        )
    for name, shares in found.shares.items():
        needed = [found.needed(name, goal) for goal in _GOALS]
        cells = [
            f"{value:,.0f} ({value / found.functions:.1%})" if math.isfinite(value) else "not reached"
            for value in needed
        ]
        end = f"{np.median(shares[:, -1]):.1%} | {100 * np.median(found.gaps[name][:, -1]):.2f}"
        lines.append(f"| {name} | {' | '.join(cells)} | {end} |")
    return "\n".join(lines)


def table_summary(table: Table) -> str:
    """Return what a table holds, in a few lines."""
    counts = {
        status: sum(row.status == status for row in table.rows)
        for status in ("ok", "dead", "infeasible", "failed")
    }
    genomes = sum(len(row.genomes) for row in table.rows)
    head = f"{genomes:,} genomes, {len(table.rows):,} distinct functions: " + ", ".join(
        f"{count:,} {status}" for status, count in counts.items() if count
    )
    good = sorted(table.good, key=lambda row: row.objective("error"))
    lines = [
        f"  {100 - 100 * row.objective('error'):5.1f} % validation  {row.numbers['lut']:8,.0f} LUT  "
        f"{row.numbers['channel_crossings']:5.1f} crossings a channel  {row.expression}"
        for row in good[:5]
    ]
    return "\n".join([head, "The most accurate:", *lines])
