"""`zerocross tabulate`: train every distinct function of a space on one network and data set, and save the results."""

import datetime
import os
import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

from zerocross.hw_search.config import Config
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.evaluator import Evaluator, Trial
from zerocross.hw_search.execution.executor import Executor
from zerocross.hw_search.execution.tasks import Result, TrainingTask
from zerocross.hw_search.pipeline import open_run, versions
from zerocross.hw_search.space import Candidate, Genome, Space
from zerocross.hw_search.tables.table import Row, Table
from zerocross.hw_search.trainings import task, task_key
from zerocross.hw_search.watcher import Silent
from zerocross.models.expressions import X
from zerocross.reports.metrics import COSTS
from zerocross.reports.storage import FUNCTIONS

_MOST = 200_000
_BATCH = 256

Progress = Callable[[str, int, int], None]
"""Receives the name of the current task, the finished amount and the total amount."""


class _Notes(Silent):
    """A watcher that passes notes on, and nothing else."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def note(self, text: str) -> None:
        """See `Watcher`."""
        self._say(text)


def tabulate(
    config: Config,
    progress: Progress,
    executor: Executor | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> Path:
    """Make a table, or resume an interrupted one.

    Every function of the space is trained with `search.seeds` seeds, and once more for a rung if `search.rungs` has one.
    Strategy and final trainings are not used.

    Args:
        config: Configuration of the space. It may contain no choices except the activation.
        progress: Receives the progress.
        executor: Executor that trains the networks; by default the one that `search.executor` selects.
        note: Receives what the user must know, in whole sentences.

    Returns:
        The table's file, in the run's folder.

    Raises:
        UserError: If the user made a mistake.
    """
    with open_run(config, _Notes(note), executor, _check) as evaluator:
        functions = _functions(evaluator, progress)
        places = {genomes[0]: place for place, (_, genomes) in enumerate(functions)}
        rows = sorted(_rows(evaluator, functions, progress), key=lambda row: places[row.genomes[0]])
        about = {
            "config": _portable(config),
            "input_shape": list(evaluator.data.input_shape),
            "classes": evaluator.data.classes,
            "versions": versions(),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
            "made": datetime.date.today().isoformat(),
            "seconds": round(evaluator.seconds()),
        }
        path = Path(config.output) / config.name / FUNCTIONS
        Table(about, rows).save(path)
    return path


def _portable(config: Config) -> dict[str, Any]:
    """Return a configuration without local folders. A reader needs the plugin files in the current folder."""
    plugins = [Path(plugin).name if plugin.endswith(".py") else plugin for plugin in config.plugins]
    data = config.data.model_copy(update={"name": Path(config.data.name).name, "root": "data"})
    return config.model_copy(update={"data": data, "plugins": plugins}).model_dump(exclude={"output"})


def _check(space: Space) -> None:
    if space.choices:
        names = ", ".join(choice.name for choice in space.choices)
        raise UserError(
            f"{names}: a table allows only one network, so give a single value instead of a choice"
        )
    if len(space.config.search.rungs) > 1:
        raise UserError("search.rungs: a table holds one rung: give one, or none")
    if space.size > _MOST:
        raise UserError(
            f"activation: {space.size:,} genomes are too many for a table (at most {_MOST:,}): allow fewer operations, or "
            "use encoding pair"
        )


def _functions(evaluator: Evaluator, progress: Progress) -> list[tuple[Candidate, list[Genome]]]:
    """Return every distinct function with its genomes, in the order of their first genomes."""
    found: dict[str, tuple[Candidate, list[Genome]]] = {}
    for count, genome in enumerate(evaluator.space.genomes()):
        candidate = evaluator.space.candidate(genome)
        found.setdefault(candidate.network_key, (candidate, []))[1].append(genome)
        if count % 50 == 0:
            progress("comparing functions", count, evaluator.space.size)
    return list(found.values())


def _rows(
    evaluator: Evaluator, functions: list[tuple[Candidate, list[Genome]]], progress: Progress
) -> Iterator[Row]:
    """Yield a row for each function: first the dead ones, then the plain sign, then the others."""
    alive = []
    for candidate, genomes in functions:
        reason = evaluator.space.dead(candidate)
        if reason is None:
            alive.append((candidate, genomes))
        else:
            yield Row(candidate.text, tuple(genomes), "dead", reason)
    alive.sort(key=lambda function: not function[0].is_reference)
    looks = len(evaluator.config.search.rungs)
    total, done = len(alive) * (evaluator.config.search.seeds + looks), 0
    # In batches, because all results of a batch are in memory.
    for start in range(0, len(alive), _BATCH):
        batch = alive[start : start + _BATCH]
        works = {candidate.network_key: _works(evaluator, candidate) for candidate, _ in batch}
        found = {}
        for key, result, _ in evaluator.results(
            {key: work for own in works.values() for key, work in own.items()}
        ):
            found[key] = result
            done += 1
            progress("training", done, total)
        for candidate, genomes in batch:
            results = [found[key] for key in works[candidate.network_key]]
            yield _row(evaluator, Trial(candidate, results=results[looks:]), tuple(genomes), results[:looks])


def _works(evaluator: Evaluator, candidate: Candidate) -> dict[str, TrainingTask]:
    """Return a function's trainings by key: the rung, if there is one, and one training per seed."""
    config = evaluator.config
    seeds = range(config.search.seed, config.search.seed + config.search.seeds)
    works = [task(config, candidate, seed, test=True) for seed in seeds]
    rungs = [task(config, candidate, config.search.seed, rung=rung) for rung in config.search.rungs]
    fingerprint = evaluator.data.fingerprint + evaluator.test_fingerprint
    return {task_key(candidate, work, fingerprint): work for work in [*rungs, *works]}


def _row(evaluator: Evaluator, trial: Trial, genomes: tuple[Genome, ...], looks: list[Result]) -> Row:
    evaluator.judge(trial)
    early = next((look["accuracy"] for look in looks if look["status"] == "ok"), None)
    text, reason = str(X) if trial.candidate.is_reference else trial.candidate.text, trial.reason or ""
    if trial.status == "failed":
        again = any(result.get("passing") for result in trial.results)
        return Row(text, genomes, "failed", f"{reason}; run the same command to retry" if again else reason)
    costs = [
        evaluator.pricer.cost(trial.candidate, result["crossings"], result.get("thresholds"))
        for result in trial.results
    ]
    counts = evaluator.crossings(trial.candidate, trial.results)
    numbers = {
        "channel_crossings": fmean(counts) if counts else 0.0,
        "most_crossings": float(max(counts, default=0)),
        **{name: trial.metrics[name] for name in COSTS},
        "finn_lut": fmean(cost.finn.lut for cost in costs),
    }
    validation = tuple(result["accuracy"] for result in trial.results)
    test = tuple(result["test"] for result in trial.results)
    return Row(text, genomes, trial.status, reason, validation, test, numbers, early)
