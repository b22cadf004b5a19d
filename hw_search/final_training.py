"""The final trainings of a search: the front is trained again with fresh seeds and tested."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean

import numpy as np
from pydantic import TypeAdapter

from zerocross.finn_flows.cost import Cost
from zerocross.hw_search.config import Config
from zerocross.hw_search.controls import controls
from zerocross.hw_search.evaluator import Evaluator, plain_sign
from zerocross.hw_search.execution.tasks import Result, TrainingTask
from zerocross.hw_search.space import Candidate
from zerocross.hw_search.watcher import Watcher
from zerocross.reports.activation_records import ActivationRecord
from zerocross.reports.metrics import resources
from zerocross.reports.records import Control, Evaluation, Finalist, NodeRecord
from zerocross.reports.summary import front_of
from zerocross.reports.wording import activation, build_command, choices, control_text, count

_SITE = TypeAdapter(ActivationRecord)

_LEAST_SEEDS = 2
"""Fewest seeds of shortened final trainings: fewer show no spread."""


@dataclass(frozen=True)
class Scope:
    """How much the final trainings cover.

    Attributes:
        seeds: Trainings of each network.
        networks: Most networks of the front, searched activations first. Then only their own plain signs train beside them.
            None: all networks, and also the plain signs that no other plain sign dominates.
    """

    seeds: int
    networks: int | None = None

    def shortened(self, evaluator: Evaluator) -> str:
        """Return how much less this is than the configuration asks for, in a sentence; "" if it is all."""
        whole, size = evaluator.config.final.seeds, len(front(evaluator))
        seeds = f"{count(self.seeds, 'seed')} instead of {whole}" if self.seeds < whole else ""
        networks = (
            f"{self.networks} of the {size} networks of the front" if (self.networks or size) < size else ""
        )
        limits = " and ".join(filter(None, (networks, seeds)))
        signs = {e.id for e in front(evaluator, references=True)} - {
            e.id for e in _members(evaluator, self)[1]
        }
        cuts = [f"have only {limits}"] if limits else []
        cuts += ["leave out the other best plain signs"] if signs else []
        return f"To end in time, the final trainings {' and '.join(cuts)}." if cuts else ""


def least_seeds(config: Config) -> int:
    """Return the fewest seeds to which final trainings may be shortened."""
    return min(config.final.seeds, _LEAST_SEEDS)


def scopes(evaluator: Evaluator) -> list[Scope]:
    """Return what final trainings may cover, from all that is configured to the least: one network with two seeds."""
    seeds, least = evaluator.config.final.seeds, least_seeds(evaluator.config)
    fewer = [Scope(number) for number in range(seeds, least - 1, -1)]
    return fewer + [Scope(least, number) for number in range(len(front(evaluator)), 0, -1)]


def final_seconds(evaluator: Evaluator, scope: Scope) -> float:
    """Return the expected duration of the final trainings, if each took as long as one in the search, in seconds."""
    best, signs = _members(evaluator, scope)
    each = {e.id: fmean(training.seconds for training in e.trainings) for e in (*best, *signs) if e.trainings}
    controls = len(evaluator.config.final.controls) * sum(each.get(sign.id, 0.0) for sign in signs)
    return scope.seeds * (sum(each.values()) + controls)


def whole_front(evaluator: Evaluator, references: bool = False) -> list[Evaluation]:
    """Return the nondominated evaluations among all feasible ones, or among the plain signs only.

    They are sorted by the objectives.
    """
    objectives = evaluator.config.objectives
    pool = [e for e in evaluator.evaluations if e.reference or not references]
    return sorted(
        front_of(pool, objectives), key=lambda evaluation: [evaluation.metrics[name] for name in objectives]
    )


def front(evaluator: Evaluator, references: bool = False) -> list[Evaluation]:
    """Return `whole_front`, or as much of it as `final.networks` allows."""
    chosen, most = whole_front(evaluator, references), evaluator.config.final.networks
    return chosen if most is None else _selected(chosen, most)


def _selected(chosen: list[Evaluation], most: int) -> list[Evaluation]:
    """Return at most so many evaluations of a sorted front: first searched activations, then plain signs.

    The plain signs of the searched activations train beside them anyhow.
    """
    searched = _spread([evaluation for evaluation in chosen if not evaluation.reference], most)
    signs = _spread([evaluation for evaluation in chosen if evaluation.reference], most - len(searched))
    kept = {evaluation.id for evaluation in (*searched, *signs)}
    return [evaluation for evaluation in chosen if evaluation.id in kept]


def _spread(chosen: list[Evaluation], most: int) -> list[Evaluation]:
    """Return at most so many evaluations of a sorted list, spread evenly over it."""
    if len(chosen) <= most:
        return chosen
    places = np.linspace(0, len(chosen) - 1, most).round().astype(int)
    return [chosen[place] for place in dict.fromkeys(places.tolist())]


def _members(evaluator: Evaluator, scope: Scope) -> tuple[list[Evaluation], list[Evaluation]]:
    """Return the networks of the front to train again, and the plain signs beside them."""
    best, others = front(evaluator), list[Evaluation]()
    if scope.networks is not None:
        best = _selected(best, scope.networks)
    else:
        others = front(evaluator, references=True)
    own = (evaluator.candidates[evaluation.id] for evaluation in best)
    signs = {plain_sign(each).id for each in own if each.has_activations} | {e.id for e in others}
    return best, [evaluation for evaluation in evaluator.evaluations if evaluation.id in signs]


@dataclass(frozen=True)
class Finals:
    """The networks of the final trainings, without those whose training fails with the first fresh seed.

    Attributes:
        front: The front.
        references: The plain signs beside it.
        controls: The controls of the plain signs.
        remarks: What was left out, and why, in sentences.
        lost: Ids of the networks of the front that were left out.
    """

    front: list[Finalist] = field(default_factory=list)
    references: list[Finalist] = field(default_factory=list)
    controls: list[Control] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def finals(evaluator: Evaluator, watcher: Watcher, folder: Path, scope: Scope | None = None) -> Finals:
    """Train the front, its plain signs and their controls again with several seeds, and evaluate them on the test set.

    The plain signs are those with the choices of the front's networks, and those that no other plain sign dominates. The
    seeds differ from the search's, so that a lucky seed does not count.

    Args:
        evaluator: The finished search.
        watcher: Receives the progress.
        folder: Folder of the run. Weights go to its folder `front/`.
        scope: What they cover; by default all that is configured.
    """
    scope = scope or Scope(evaluator.config.final.seeds)
    best, beside = _members(evaluator, scope)
    references = [evaluation for evaluation in beside if evaluation.metrics]
    remarks = [
        f"The comparison leaves out {_named(sign)}, because its training in the search failed ({sign.reason})."
        for sign in beside
        if not sign.metrics
    ]
    members = {evaluation.id: evaluation for evaluation in [*best, *references]}
    first = evaluator.config.search.seed + evaluator.config.search.seeds
    seeds = list(range(first, first + scope.seeds))
    tasks: dict[str, TrainingTask] = {}
    wanted: dict[str, list[str]] = {}
    for name in members:
        own = evaluator.final_tasks(evaluator.candidates[name], seeds, evaluator.config.final.epochs)
        key, work = next(iter(own.items()))
        own[key] = replace(work, weights=str((folder / weights_file(key)).resolve()))
        for key, work in own.items():
            tasks.setdefault(key, work)
        wanted[name] = list(own)
    matching, extra = _control_tasks(evaluator, references, seeds)
    done: dict[str, Result] = {}
    total = len(tasks.keys() | extra.keys())
    watcher.finals(0, total)
    # Controls come afterwards, so that they change no stack of the networks.
    for batch in (tasks, {key: work for key, work in extra.items() if key not in tasks}):
        for key, result, _ in evaluator.results(batch):
            done[key] = result
            watcher.finals(len(done), total)
    made = {
        name: finalist_of(evaluator, folder, member, dict(zip(seeds, wanted[name], strict=True)), done)
        for name, member in members.items()
    }
    kept = [[finalist for e in group if (finalist := made[e.id]) is not None] for group in (best, references)]
    signs_kept = {sign.id for sign in kept[1]}
    found = [
        control
        for (sign, name), (candidate, keys) in matching.items()
        if sign in signs_kept
        and (control := _control(sign, name, candidate, dict(zip(seeds, keys, strict=True)), done))
        is not None
    ]
    for e in members.values():
        remarks += _lost(_named(e), wanted[e.id], done, made[e.id] is None)
    names = {e.id: _named(e) for e in references}
    kept_controls = {(control.sign, control.name) for control in found}
    for (sign, name), (_, keys) in matching.items():
        if sign in signs_kept:
            gone = (sign, name) not in kept_controls
            remarks += _lost(f"{names[sign]} with {control_text(name)}", keys, done, gone)
    return Finals(kept[0], kept[1], found, remarks, [e.id for e in best if made[e.id] is None])


def _named(evaluation: Evaluation) -> str:
    name = f"the {activation(evaluation)}" if evaluation.reference else activation(evaluation)
    return f"{name} ({choices(evaluation.choices)})" if evaluation.choices else name


def _lost(name: str, keys: list[str], results: dict[str, Result], gone: bool) -> list[str]:
    """Return a remark on the final trainings of a network that failed, if there are any.

    Args:
        name: Name of the network, for the remark.
        keys: Keys of its final trainings.
        results: Results by key.
        gone: Whether the network is left out for them.
    """
    failed = [results[key] for key in keys if results[key]["status"] != "ok"]
    if not failed:
        return []
    follows = "it is left out" if gone else "its figures are those of the others"
    again = " Run the same command to try again." if any(result.get("passing") for result in failed) else ""
    share = f"{len(failed)} of {count(len(keys), 'final training')}"
    return [f"{share} of {name} failed, so {follows} ({failed[0]['reason']}).{again}"]


def _control_tasks(
    evaluator: Evaluator, references: list[Evaluation], seeds: list[int]
) -> tuple[dict[tuple[str, str], tuple[Candidate, list[str]]], dict[str, TrainingTask]]:
    """Return the controls by plain sign and name, each with the keys of its seeds, and their tasks by key."""
    found: dict[tuple[str, str], tuple[Candidate, list[str]]] = {}
    tasks: dict[str, TrainingTask] = {}
    final = evaluator.config.final
    for reference in references:
        sign = evaluator.candidates[reference.id]
        for name, candidate in controls(sign, final.controls).items():
            own = evaluator.final_tasks(candidate, seeds, final.epochs)
            tasks |= own
            found[reference.id, name] = candidate, list(own)
    return found, tasks


def _control(
    sign: str, name: str, candidate: Candidate, keys: dict[int, str], results: dict[str, Result]
) -> Control | None:
    good = {seed: results[key] for seed, key in keys.items() if results[key]["status"] == "ok"}
    if not good:
        return None
    return Control(
        name=name,
        sign=sign,
        trained=next(iter(good.values()))["expressions"],
        surrogate=candidate.training["surrogate"],
        seeds=list(good),
        validation=[result["accuracy"] for result in good.values()],
        test=[result["test"] for result in good.values()],
    )


def finalist_of(
    evaluator: Evaluator, folder: Path, member: Evaluation, keys: dict[int, str], results: dict[str, Result]
) -> Finalist | None:
    """Return the record of a network from its final trainings.

    Args:
        evaluator: The search, which knows the candidate by its id.
        folder: Folder of the run.
        member: Evaluation of the network in the search.
        keys: Store key of each training, by seed. The first one's weights are those of the network.
        results: Results by key.

    Returns:
        The record; None if the first training failed.
    """
    good = {seed: results[key] for seed, key in keys.items() if results[key]["status"] == "ok"}
    first_key = next(iter(keys.values()))
    first = results[first_key]
    if first["status"] != "ok":
        return None  # it trained only with the search's seeds; its evaluation stays in the records
    candidate = evaluator.candidates[member.id]
    costs = [
        evaluator.pricer.cost(candidate, result["crossings"], result.get("thresholds"))
        for result in good.values()
    ]
    priced = [evaluator.pricer.metrics(cost, "zerocross") for cost in costs]
    finns = [evaluator.pricer.metrics(cost, "finn") for cost in costs]
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
        build=build_command(folder, member.id),
        topology=candidate.topology,
        folding=candidate.folding,
        training=candidate.training,
        binarized=[found for result in good.values() if (found := result["binarized"])],
    )


def _means(metrics: list[dict[str, float]]) -> dict[str, float]:
    return {name: fmean(entry[name] for entry in metrics) for name in metrics[0]}


def weights_file(key: str) -> str:
    """Return the path of a training's weights in the run's folder. The name derives from the store key."""
    return f"front/{key[:12]}.safetensors"


def _nodes(cost: Cost) -> list[NodeRecord]:
    return [
        NodeRecord(
            node=node.node,
            layer=node.layer,
            kind=node.kind,
            op_type=node.op_type,
            pe=node.pe,
            simd=node.simd,
            cycles=node.cycles,
            finn=resources(node.finn),
            zerocross=resources(node.zerocross),
            implementation=node.implementation,
        )
        for node in cost.nodes
    ]
