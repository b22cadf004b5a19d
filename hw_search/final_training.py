"""The end of a search: its front trained anew with fresh seeds, tested, and written down."""

from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from zerocross.finn_flows.cost import Cost
from zerocross.hw_search.bench import Bench, plain_sign
from zerocross.hw_search.execution.tasks import Result, TrainingTask
from zerocross.hw_search.trainings import task, task_key
from zerocross.hw_search.watcher import Watcher
from zerocross.reports.activation_records import ActivationRecord
from zerocross.reports.metrics import resources
from zerocross.reports.pareto import nondominated
from zerocross.reports.records import Evaluation, Finalist, NodeRecord

_SITE = TypeAdapter(ActivationRecord)


def front(bench: Bench, references: bool = False) -> list[Evaluation]:
    """Return the evaluations no other dominates: of all feasible ones, or of the plain signs alone.

    Sorted by the objectives; thinned evenly where the configuration limits the number of networks.
    """
    objectives, most = bench.config.objectives, bench.config.final.networks
    pool = [e for e in bench.evaluations if e.status == "ok" and (e.reference or not references)]
    if not pool:
        return []
    points = np.array([[e.metrics[name] for name in objectives] for e in pool])
    chosen = [evaluation for evaluation, best in zip(pool, nondominated(points), strict=True) if best]
    chosen.sort(key=lambda evaluation: [evaluation.metrics[name] for name in objectives])
    if most is not None and len(chosen) > most:
        places = np.linspace(0, len(chosen) - 1, most).round().astype(int)
        chosen = [chosen[place] for place in dict.fromkeys(places.tolist())]
    return chosen


def finals(bench: Bench, watcher: Watcher, folder: Path) -> tuple[list[Finalist], list[Finalist]]:
    """Train the front and its plain signs anew with several seeds, and read the test set.

    The plain signs are those with the front's own choices, and those no other plain sign dominates. The seeds
    are not the search's own, so that its luck does not count.

    Args:
        bench: the finished search.
        watcher: told of the progress.
        folder: the run's; weights go to `front/` in it.

    Returns:
        The front and the plain signs. A network that does not train with the first fresh seed is left out.
    """
    best = front(bench)
    signs = {plain_sign(bench.candidates[e.id]).id for e in best} | {
        e.id for e in front(bench, references=True)
    }
    references = [evaluation for evaluation in bench.evaluations if evaluation.id in signs]
    members = {evaluation.id: evaluation for evaluation in [*best, *references]}
    first = bench.config.search.seed + bench.config.search.seeds
    seeds = list(range(first, first + bench.config.final.seeds))
    tasks: dict[str, TrainingTask] = {}
    wanted: dict[str, list[str]] = {}
    for name in members:
        candidate = bench.candidates[name]
        for seed in seeds:
            work = task(bench.config, candidate, seed, final=True)
            key = task_key(candidate, work, bench.data.fingerprint + bench.test_fingerprint)
            if seed == first:
                work = replace(work, weights=str((folder / weights_file(key)).resolve()))
            tasks.setdefault(key, work)
            wanted.setdefault(name, []).append(key)
    done: dict[str, Result] = {}
    watcher.finals(0, len(tasks))
    for key, result, _ in bench.results(tasks):
        done[key] = result
        watcher.finals(len(done), len(tasks))
    made = {
        name: _finalist(bench, folder, member, dict(zip(seeds, wanted[name], strict=True)), done)
        for name, member in members.items()
    }
    kept = [[finalist for e in group if (finalist := made[e.id]) is not None] for group in (best, references)]
    return kept[0], kept[1]


def _finalist(
    bench: Bench, folder: Path, member: Evaluation, keys: dict[int, str], results: dict[str, Result]
) -> Finalist | None:
    good = {seed: results[key] for seed, key in keys.items() if results[key]["status"] == "ok"}
    first_key = next(iter(keys.values()))
    first = results[first_key]
    if first["status"] != "ok":
        return None  # the search was lucky with it; its evaluation stays on record
    candidate = bench.candidates[member.id]
    costs = [bench.pricer.cost(candidate, result["crossings"]) for result in good.values()]
    priced = [bench.pricer.metrics(cost, "zerocross") for cost in costs]
    finns = [bench.pricer.metrics(cost, "finn") for cost in costs]
    return Finalist(
        id=member.id,
        expression=member.expression,
        trained=first["expressions"],
        choices=member.choices,
        reference=member.reference,
        seeds=list(good),
        validation=[result["accuracy"] for result in good.values()],
        test=[result["test"] for result in good.values()],
        search_error=member.metrics["error"],
        metrics={"error": fmean(1 - result["accuracy"] for result in good.values()), **_means(priced)},
        finn=_means(finns),
        fps=costs[0].fps,
        nodes=_nodes(costs[0]),
        sites=[_SITE.validate_python(site) for site in first["sites"]],
        agreement=first["agreement"],
        savings=first["savings"],
        weights=weights_file(first_key),
        build=f"zerocross build {folder} --pick {member.id} --target ulx3s-85f",
        topology=candidate.topology,
        folding=candidate.folding,
        training=candidate.training,
        binarized=[found for result in good.values() if (found := result["binarized"])],
    )


def _means(metrics: list[dict[str, float]]) -> dict[str, float]:
    return {name: fmean(entry[name] for entry in metrics) for name in metrics[0]}


def weights_file(key: str) -> str:
    """Return the path of a training's weights in the run's folder; it is named by all that decided them."""
    return f"front/{key[:12]}.safetensors"


def _nodes(cost: Cost) -> list[NodeRecord]:
    found = []
    for node in cost.nodes:
        entry: dict[str, Any] = asdict(node)
        for model, used in (("finn", node.finn), ("zerocross", node.zerocross)):
            entry[model] = resources(used)
        found.append(NodeRecord(**entry))
    return found
