"""Comparison of search strategies on a table: the share of the exactly known front that they find, and how soon.

Nothing is trained: a strategy requests genomes, and the table provides their scores. The unit of cost is one evaluation,
that is, the training of one function with all seeds:

- a rung costs its share of an evaluation;
- functions rejected before training, and functions known already, cost nothing.

The hypervolume counts only useful networks: at most five percentage points less accurate than the plain sign, and at most
1.5 times its cost. Without these bounds, networks that learned almost nothing and are cheap because of constant channels
would contribute most of it.
"""

import math
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from zerocross.hw_search.config import Config, make_config
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.plugins import import_plugins
from zerocross.hw_search.space import Genome, Space
from zerocross.hw_search.strategies.halving import Rung
from zerocross.hw_search.strategies.making import make_strategy
from zerocross.hw_search.strategies.strategy import Score
from zerocross.hw_search.tables.table import Row, Table
from zerocross.models.errors import nearest
from zerocross.reports.metrics import OBJECTIVES
from zerocross.reports.pareto import hypervolume, hypervolume_history, nondominated, reference_point

COMPARABLE = ("surrogate", "nsga2", "gaaf", "random")
LOOK = "+look"
"""Suffix of a strategy's name that adds the table's rung."""

_GOALS = (0.9, 0.95, 0.99)
WORSE = 0.05
"""Largest accuracy loss of a useful network against the plain sign, 0..1."""

_DEARER = 1.5

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Comparison:
    """The result of comparing strategies.

    Attributes:
        objectives: Metrics that were minimised.
        functions: Number of trainable functions, which is the number of evaluations in an exhaustive search.
        front: Number of useful functions on the exact front.
        budget: Evaluations per search.
        shares: Share of the exact hypervolume after 1, 2, ... evaluations, by strategy, (seeds, budget).
        gaps: Difference between the table's best accuracy and the best one found, by strategy, (seeds, budget).
    """

    objectives: tuple[str, ...]
    functions: int
    front: int
    budget: int
    shares: dict[str, np.ndarray]
    gaps: dict[str, np.ndarray]

    def needed(self, strategy: str, goal: float) -> float:
        """Return the median number of evaluations to reach a share of the hypervolume; infinity if it is not reached."""
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
    children: int | None = None,
    workers: int | None = None,
    progress: Progress = lambda what, done, total: None,
) -> Comparison:
    """Compare strategies by searches of a table.

    Args:
        table: Table to search.
        strategies: Names from COMPARABLE. The suffix LOOK requires a table with a rung; `search.keep` of the table's
            configuration is then the share of candidates for full training.
        seeds: Searches per strategy.
        share: Evaluations per search, as a share of all functions, 0..1.
        objectives: Metrics to minimise, from `zerocross.reports.metrics.OBJECTIVES`.
        population: Candidates in the first generation; `gaaf` keeps the paper's 30 and 10.
        children: Candidates in each later generation; None uses each strategy's own number.
        workers: Parallel searches; None uses one per core.
        progress: Receives the progress after every search.

    Raises:
        UserError: If a strategy or objective is unknown, or the table has no front.
    """
    if not strategies:
        raise UserError(f"--strategies is empty: name some of {', '.join(COMPARABLE)}")
    for name in strategies:
        if name.removesuffix(LOOK) not in COMPARABLE:
            known = [*COMPARABLE, *(known + LOOK for known in COMPARABLE)]
            raise UserError(f"--strategies: {name!r} cannot be compared: {nearest(name, known)}")
        if name.endswith(LOOK) and all(row.early is None for row in table.rows):
            raise UserError(
                f"--strategies: {name!r} needs a table with a rung: set search.rungs and run `zerocross tabulate` again"
            )
    for name in objectives:
        if name not in OBJECTIVES:
            raise UserError(f"--objectives: {name!r}: {nearest(name, OBJECTIVES)}")
        if table.good and all(math.isnan(row.objective(name)) for row in table.good):
            raise UserError(
                f"--objectives: the table does not contain {name}: run `zerocross tabulate` again"
            )
    _check(table)
    points = np.array([[row.objective(name) for name in objectives] for row in table.rows])
    if not np.isfinite(points).all(axis=1).any():
        raise UserError(
            "the table has no function whose training succeeded: tabulate another space or more epochs"
        )
    functions = sum(row.status != "dead" for row in table.rows)
    budget = max(1, round(share * functions))
    strategies = list(dict.fromkeys(strategies))
    for name in strategies:  # a mistake is reported before anything is searched
        _config(table, name.removesuffix(LOOK), 0, objectives, population, children, budget)
    jobs = [(name, seed) for name in strategies for seed in range(seeds)]
    corner = _corner(table, objectives, points)
    whole = hypervolume(points, corner)
    errors = np.array([row.objective("error") for row in table.rows])
    shares: dict[str, list[np.ndarray]] = {name: [] for name in strategies}
    gaps: dict[str, list[np.ndarray]] = {name: [] for name in strategies}
    count = min(len(jobs), workers or os.cpu_count() or 1)
    searches = _searches(jobs, count, (table, tuple(objectives), budget, population, children))
    for done, ((name, _), evaluated) in enumerate(searches, start=1):
        rows, spent = [row for row, _ in evaluated], [end for _, end in evaluated]
        # After 1, 2, ... evaluations so many of them are complete.
        complete = np.searchsorted(spent, np.arange(1, budget + 1) + 1e-6)
        volumes = hypervolume_history(points[rows], corner) / whole
        least = np.fmin.accumulate(errors[rows]) - np.nanmin(errors)
        shares[name].append(np.append(0.0, volumes)[complete])
        gaps[name].append(np.append(np.inf, least)[complete])
        progress("searching the table", done, len(jobs))
    return Comparison(
        tuple(objectives),
        functions,
        int(nondominated(points[np.less(points, corner).all(axis=1)]).sum()),
        budget,
        {name: np.stack(own) for name, own in shares.items()},
        {name: np.stack(own) for name, own in gaps.items()},
    )


def _corner(table: Table, objectives: Sequence[str], points: np.ndarray) -> np.ndarray:
    """Return upper bounds on the objectives of a useful network; without a plain sign, the front's largest plus a margin."""
    if table.plain is None or table.plain.status != "ok":
        return reference_point(points)
    plain = np.array([table.plain.objective(name) for name in objectives])
    return np.array(
        [
            value + WORSE if name == "error" else _DEARER * value + (value == 0)
            for name, value in zip(objectives, plain, strict=True)
        ]
    )


def _check(table: Table) -> None:
    """Check that every genome of the table's space has a row.

    Raises:
        UserError: If a genome has no row, or the table's configuration is invalid.
    """
    config = make_config(table.about["config"], "the table's configuration")
    import_plugins(config.plugins)
    space = Space(config, tuple(table.about["input_shape"]), table.about["classes"])
    missing = sum(genome not in table.places for genome in space.genomes())
    if missing:
        raise UserError(
            f"the table has no row for {missing:,} of {space.size:,} genomes: run `zerocross tabulate` again"
        )


_Setting = tuple[Table, tuple[str, ...], int, int, int | None]
"""Table, objectives, budget, population, children."""

_setting: _Setting


def _searches(
    jobs: Sequence[tuple[str, int]], count: int, setting: _Setting
) -> Iterator[tuple[tuple[str, int], list[tuple[int, float]]]]:
    """Yield the evaluations of each search (see `_search`), in the order of the jobs; `count` searches run in parallel."""
    if count == 1:
        _begin(setting)
        yield from ((job, _search(job)) for job in jobs)
        return
    # Spawned, not forked: a fork would leave locks of torch's threads held.
    pool = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _begin_worker, (setting,))
    try:
        yield from zip(jobs, pool.map(_search, jobs), strict=True)
    except BrokenProcessPool:
        raise UserError("a search's process died: try fewer --workers") from None
    finally:
        pool.shutdown(cancel_futures=True)


def _begin_worker(setting: _Setting) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process handles Ctrl-C
    _begin(setting)


def _begin(setting: _Setting) -> None:
    global _setting  # noqa: PLW0603 - once a process, instead of a table with every job
    _setting = setting


def _search(job: tuple[str, int]) -> list[tuple[int, float]]:
    """Return the rows that a search evaluates within the budget, with the cost so far when each was complete."""
    (name, seed), (table, objectives, budget, population, children) = job, _setting
    config = _config(table, name.removesuffix(LOOK), seed, objectives, population, children, budget)
    import_plugins(config.plugins)
    space = Space(config, tuple(table.about["input_shape"]), table.about["classes"])
    places, rows = table.places, table.rows

    def key(genome: Genome) -> str:
        return str(places[genome])

    strategy = make_strategy(config.search, space, len(objectives), key, 1 - 1 / table.about["classes"])
    rung = config.search.rungs[0] if name.endswith(LOOK) else None
    look = 0.0 if rung is None else rung.epochs * rung.data
    evaluator = _Replay(table, objectives, look, config.search.keep)
    while evaluator.spent < budget and (genomes := strategy.ask()):
        found = [places[genome] for genome in genomes]
        evaluator.evaluate([place for place in dict.fromkeys(found) if rows[place].status != "dead"])
        strategy.tell(genomes, [evaluator.scores.get(place, Score(None)) for place in found])
    return [(row, spent) for row, spent in evaluator.complete if spent <= budget + 1e-6]


class _Replay:
    """Replays `zerocross.hw_search.evaluator` with a table's results. A row with a status other than "ok" counts as failed.

    A table does not contain costs after a rung. Costs from the full training replace them, which favours strategies with a
    rung.
    """

    def __init__(self, table: Table, objectives: Sequence[str], look: float, keep: float) -> None:
        self.spent = 0.0
        self.complete: list[tuple[int, float]] = []
        self.scores: dict[int, Score] = {}
        self._rows, self._plain, self._objectives = table.rows, table.plain, objectives
        seeds = max(len(row.validation) for row in table.rows)
        self._look, self._rung = look / seeds, Rung(keep)

    def evaluate(self, places: Sequence[int]) -> None:
        """Evaluate the rows that are not known yet."""
        fresh = [place for place in places if place not in self.scores]
        for place in self._looked_at(fresh) if self._look else fresh:
            row = self._rows[place]
            self.spent += 1.0
            self.complete.append((place, self.spent))
            self.scores[place] = Score(
                self._point(row, fmean(row.validation)) if row.status == "ok" else None
            )

    def _looked_at(self, places: Sequence[int]) -> list[int]:
        looks = [place for place in places if self._rows[place] is not self._plain]
        self.spent += self._look * len(looks)
        points = dict[int, tuple[float, ...]]()
        for place in looks:
            row = self._rows[place]
            if row.early is None or not row.numbers:
                self.scores[place] = Score(None)
            else:
                points[place] = self._point(row, row.early)
        better = dict(zip(points, self._rung.better(list(points.values())), strict=True))
        self.scores |= {place: Score(points[place]) for place in points if not better[place]}
        return [place for place in places if place not in self.scores]

    def _point(self, row: Row, accuracy: float) -> tuple[float, ...]:
        return tuple(1 - accuracy if name == "error" else row.numbers[name] for name in self._objectives)


def _config(
    table: Table,
    strategy: str,
    seed: int,
    objectives: Sequence[str],
    population: int,
    children: int | None,
    budget: int,
) -> Config:
    content = dict(table.about["config"])
    given = content.get("search", {})
    known = {name: given[name] for name in ("first_look", "rungs", "keep") if name in given}
    # Enough generations for any budget: duplicates and dead functions cost nothing, a rung little.
    generations = 40 + 40 * budget
    search = {
        **known,
        "strategy": strategy,
        "seed": seed,
        "population": population,
        "children": children,
        "generations": generations,
    }
    if strategy == "gaaf":
        search |= {"population": 30, "children": 10}
    return make_config({**content, "search": search, "objectives": list(objectives)})


def comparison_table(found: Comparison) -> str:
    """Return a comparison as a Markdown table."""
    seeds = len(next(iter(found.shares.values())))
    lines = [
        f"{found.functions:,} functions, {found.front} useful ones on the exact front of {', '.join(found.objectives)}. "
        f"Medians over {seeds} searches per strategy with at most {found.budget} evaluations:",
        "",
        "| strategy | "
        + " | ".join(f"evaluations to {goal:.0%}" for goal in _GOALS)
        + f" | hypervolume after {found.budget} | gap to best accuracy, points |",
        "| --- |" + " --- |" * (len(_GOALS) + 2),
    ]
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
    """Return a summary of a table in a few lines."""
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
        f"{row.numbers['channel_crossings']:5.1f} crossings per channel  {row.expression}"
        for row in good[:5]
    ]
    return "\n".join([head, "The most accurate:", *lines])
