"""`zerocross tabulate`: train every distinct function of a space, on one network and data set, and write them down."""

import datetime
import os
import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

from hw_search.bench import Bench, learned_nothing
from hw_search.config import Config
from hw_search.errors import UserError
from hw_search.evaluation import task, task_key
from hw_search.executor import Executor, Result, Task
from hw_search.pipeline import versions, workbench
from hw_search.pricing import Infeasible
from hw_search.space import Candidate, Genome, Space
from hw_search.table import COSTS, Row, Table
from hw_search.watcher import Silent

TABLE = "table.csv.gz"
_MOST = 200_000
_BATCH = 256

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""


def tabulate(config: Config, progress: Progress, executor: Executor | None = None) -> Path:
    """Make a table, or go on with one.

    Args:
        config: its space of activations is tabulated, every function with `search.seeds` seeds; nothing else may be left
            to choose. Strategy and finals are not used.
        progress: told of every step.
        executor: where networks are trained; worker processes on this machine by default.

    Returns:
        The table's file, in the run's folder.

    Raises:
        UserError: for anything the user can mend.
    """
    with workbench(config, Silent(), executor, _check) as bench:
        functions = _functions(bench, progress)
        rows = list(_rows(bench, functions, progress))
        about = {
            "config": _portable(config),
            "input_shape": list(bench.data.input_shape),
            "classes": bench.data.classes,
            "versions": versions(),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
            "made": datetime.date.today().isoformat(),
            "seconds": round(bench.seconds()),
        }
        path = Path(config.output) / config.name / TABLE
        Table(about, rows).save(path)
    return path


def _portable(config: Config) -> dict[str, Any]:
    """Return a configuration without paths of this machine."""
    data = config.data.model_copy(update={"name": Path(config.data.name).name})
    return config.model_copy(update={"data": data}).model_dump(exclude={"output"})


def _check(space: Space) -> None:
    if space.choices:
        names = ", ".join(choice.name for choice in space.choices)
        raise UserError(f"{names}: a table is of one network, leave nothing to choose but the activation")
    if space.size > _MOST:
        raise UserError(
            f"activation: {space.size:,} genomes are too many for a table (at most {_MOST:,}): allow fewer operations, or "
            "encoding pair"
        )


def _functions(bench: Bench, progress: Progress) -> list[tuple[Candidate, list[Genome]]]:
    """Return every distinct function with its genomes, in the order of the first ones."""
    found: dict[str, tuple[Candidate, list[Genome]]] = {}
    for count, genome in enumerate(bench.space.genomes()):
        candidate = bench.space.candidate(genome)
        found.setdefault(candidate.id, (candidate, []))[1].append(genome)
        if count % 50 == 0:
            progress("comparing functions", count, bench.space.size)
    return list(found.values())


def _rows(bench: Bench, functions: list[tuple[Candidate, list[Genome]]], progress: Progress) -> Iterator[Row]:
    seeds = range(bench.config.search.seed, bench.config.search.seed + bench.config.search.seeds)
    fingerprint = bench.data.fingerprint + bench.test_fingerprint
    turned_away = {candidate.id: _turned_away(bench, candidate) for candidate, _ in functions}
    alive = [candidate for candidate, _ in functions if turned_away[candidate.id] is None]
    total, done = len(alive) * len(seeds), 0
    results: dict[str, list[Result]] = {}
    # Not all at once: what a batch holds is in memory.
    for start in range(0, len(alive), _BATCH):
        batch = alive[start : start + _BATCH]
        tasks: dict[str, Task] = {}
        keys: dict[str, list[str]] = {}
        for candidate in batch:
            works = [task(bench.config, candidate, seed, test=True) for seed in seeds]
            keys[candidate.id] = [task_key(candidate, work, fingerprint) for work in works]
            tasks |= dict(zip(keys[candidate.id], works, strict=True))
        found = {}
        for key, result, _ in bench.results(tasks):
            found[key] = result
            done += 1
            progress("training", done, total)
        results |= {name: [found[key] for key in own] for name, own in keys.items()}
    for candidate, genomes in functions:
        reason = turned_away[candidate.id]
        if reason is None:
            yield _row(bench, candidate, genomes, results[candidate.id])
        else:
            yield Row(candidate.text, tuple(genomes), *reason)


def _turned_away(bench: Bench, candidate: Candidate) -> tuple[str, str] | None:
    """Return status and reason of what is not worth a training."""
    reason = bench.space.dead(candidate)
    if reason is not None:
        return "dead", reason
    try:
        broken = "; ".join(bench.pricer.violations(bench.pricer.cost(candidate)))
    except Infeasible as error:
        broken = str(error)
    return ("infeasible", broken) if broken else None


def _row(bench: Bench, candidate: Candidate, genomes: list[Genome], results: list[Result]) -> Row:
    failures = [result["reason"] for result in results if result["status"] != "ok"]
    if failures:
        return Row(candidate.text, tuple(genomes), "failed", failures[0])
    network = bench.pricer.network(candidate.topology)
    costs = [bench.pricer.cost(candidate, result["crossings"]) for result in results]
    priced = [bench.pricer.metrics(cost, "zerocross") for cost in costs]
    counts = [
        count
        for result in results
        for name, channels in result["crossings"].items()
        if network.is_binary(name)
        for count in channels
    ]
    numbers = {
        "channel_crossings": fmean(counts) if counts else 0.0,
        "most_crossings": float(max(counts, default=0)),
        **{name: fmean(metrics[name] for metrics in priced) for name in COSTS},
        "finn_lut": fmean(cost.finn.lut for cost in costs),
    }
    validation = tuple(result["accuracy"] for result in results)
    test = tuple(result["test"] for result in results)
    nothing = learned_nothing(fmean(validation), bench.data.classes)
    status = "ok" if nothing is None else "infeasible"
    return Row(candidate.text, tuple(genomes), status, nothing or "", validation, test, numbers)
