"""Networks of a front, trained longer, in another way or with more seeds: `zerocross retrain`."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from zerocross.hw_search.choice import Choose
from zerocross.hw_search.config import Config, make_config
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.execution.executor import Executor
from zerocross.hw_search.execution.tasks import Result, TrainingTask
from zerocross.hw_search.files import write_text
from zerocross.hw_search.final_training import finalist_of, weights_file
from zerocross.hw_search.finalists import choose, list_digests
from zerocross.hw_search.pipeline import open_run
from zerocross.hw_search.space import Candidate
from zerocross.hw_search.trust import check_run
from zerocross.hw_search.watcher import Silent, Watcher
from zerocross.models.expressions import parse
from zerocross.reports.page import render
from zerocross.reports.records import Evaluation, Finalist, Run
from zerocross.reports.run_builds import builds_of
from zerocross.reports.storage import (
    REPORT,
    RETRAINED,
    load_retrained,
    load_run,
    retrained_text,
)


def retrain(
    folder: str | Path,
    picks: Sequence[str],
    epochs: int | None = None,
    seeds: int | None = None,
    training: dict[str, Any] | None = None,
    workers: int | None = None,
    watcher: Watcher | None = None,
    executor: Executor | None = None,
    trust: bool = False,
) -> list[Finalist]:
    """Train networks of a run again, and keep the results beside the search's in `retrained.json`.

    The seeds follow those of the final trainings, so no seed of the search counts twice. Finished trainings are in the run's
    store: the same call trains nothing, and a call with more seeds trains only the new ones. A build takes the training of a
    network whose weights have the best validation accuracy.

    Args:
        folder: Folder of a finished run.
        picks: Networks, as `zerocross.hw_search.finalists.choose` takes them.
        epochs: Passes over the training data; by default those of the final trainings.
        seeds: Trainings of each network; by default `final.seeds`.
        training: Fields of the section `training` that change, such as {"learning_rate": 1e-3}.
        workers: Number of worker processes; by default that of the run.
        watcher: Receives a call for every training.
        executor: See `zerocross.hw_search.pipeline.search`.
        trust: Whether files of the run may have been changed since it ended.

    Returns:
        The networks with their new results, in the order of the picks.

    Raises:
        UserError: If the user made a mistake, a file was changed, or all trainings of a network failed.
    """
    folder, watcher = Path(folder), watcher or Silent()
    run = load_run(folder)
    if not trust:
        check_run(folder)  # all of it, because its list of digests is written again
    networks = list({net.id: net for net in (choose(run, pick) for pick in picks)}.values())
    config = _config(run, folder, workers)
    seeds = config.final.seeds if seeds is None else seeds
    changed = dict(training or {})
    if epochs is not None:
        changed["epochs"] = epochs
    elif config.final.epochs is not None:
        changed.setdefault("epochs", config.final.epochs)
    candidates = {net.id: _candidate(run, net, changed) for net in networks}
    first = config.search.seed + config.search.seeds + config.final.seeds
    with open_run(config, watcher, executor, keeps_config=True) as evaluator:
        tasks: dict[str, TrainingTask] = {}
        wanted: dict[str, dict[int, str]] = {}
        for name, candidate in candidates.items():
            evaluator.candidates[name] = candidate
            for key, work in evaluator.final_tasks(candidate, range(first, first + seeds)).items():
                tasks[key] = replace(work, weights=str((folder / weights_file(key)).resolve()))
                wanted.setdefault(name, {})[work.seed] = key
        done: dict[str, Result] = {}
        watcher.finals(0, len(tasks))
        for key, result, _ in evaluator.results(tasks):
            done[key] = result
            watcher.finals(len(done), len(tasks))
        found = []
        for net in networks:
            ranked = sorted(wanted[net.id].items(), key=lambda item: -done[item[1]].get("accuracy", -1.0))
            best = finalist_of(evaluator, folder, _evaluation(net), dict(ranked), done)
            if best is None:
                reason = done[ranked[0][1]]["reason"]
                raise UserError(f"all trainings of {net.id} failed: {reason}")
            found.append(best)
        kept = _with(load_retrained(folder), found)
        whole_run = replace(run, retrained=kept)
        page = render(
            whole_run, builds_of(folder, whole_run), folder
        )  # first: the files and their digests change together
        write_text(folder / RETRAINED, retrained_text(kept))
        write_text(folder / REPORT, page)
        list_digests(whole_run, folder)
    return found


def _config(run: Run, folder: Path, workers: int | None) -> Config:
    """Return a run's configuration for its present folder."""
    config = make_config(run.config, f"the configuration of {folder}")
    place = folder.resolve() if folder.name in ("", "..") else folder
    change: dict[str, Any] = {"output": str(place.parent), "name": place.name}
    if workers is not None:
        change["search"] = config.search.model_copy(update={"workers": workers})
    return config.model_copy(update=change)


def _candidate(run: Run, net: Finalist, changed: dict[str, Any]) -> Candidate:
    """Return a network as a candidate with other training settings."""
    section = {**net.training, **changed}
    checked = dict(make_config({**run.config, "training": section}, "retrain").training)
    for name, value in checked.items():
        if isinstance(value, Choose):
            raise UserError(f"training.{name}: give one value, because a retraining chooses nothing")
    return Candidate(
        tuple(parse(text) for text in net.trained), net.topology, checked, net.folding, net.choices
    )


def _evaluation(net: Finalist) -> Evaluation:
    """Return what `finalist_of` reads of a network's evaluation in the search."""
    metrics = {"error": net.search_error}
    return Evaluation(0, net.id, net.expression, net.choices, net.reference, "ok", metrics=metrics)


def _with(known: list[Finalist], found: list[Finalist]) -> list[Finalist]:
    """Return all retrained networks; of equal trainings the one with more seeds stays."""
    kept = {_training(net): net for net in known}
    for net in found:
        before = kept.get(_training(net))
        if before is None or set(before.seeds) <= set(net.seeds):
            kept[_training(net)] = net
    return list(kept.values())


def _training(net: Finalist) -> tuple[str, str]:
    return net.id, json.dumps(net.training, sort_keys=True)
