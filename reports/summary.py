"""Facts about a whole run: objectives as numbers, the front, losses by reason, gains over the plain sign."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from statistics import fmean

import numpy as np

from zerocross.reports import wording
from zerocross.reports.metrics import RESOURCES
from zerocross.reports.pareto import Floats, nondominated
from zerocross.reports.pareto import knee as pareto_knee
from zerocross.reports.records import Control, Evaluation, Finalist, NodeRecord, Run

_NUMBER = re.compile(r"\d[\d.,_]*")


@dataclass(frozen=True)
class Loss:
    """Evaluations that were stopped, infeasible or failed for the same reason.

    Attributes:
        status: "stopped", "infeasible" or "failed".
        reason: Reason; the first one if the reasons differ only in their numbers.
        alike: True if the reasons differ in their numbers.
        count: Number of these evaluations.
    """

    status: str
    reason: str
    alike: bool
    count: int


@dataclass(frozen=True)
class Gain:
    """Difference between a network and the plain sign of the same choices.

    Attributes:
        reference: Id of the plain sign.
        accuracy: Difference of the mean test accuracies, or None if one has no seed.
        error: Standard error of that difference, or None if one has fewer than two seeds.
        lut: Difference in LUT, or None if one is unknown.
        lut_share: The same difference relative to the plain sign, or None.
    """

    reference: str
    accuracy: float | None
    error: float | None
    lut: float | None
    lut_share: float | None


@dataclass(frozen=True)
class ControlGain:
    """Difference between a network and the best control of the plain sign of the same choices.

    Attributes:
        control: Name of the control with the greatest mean test accuracy.
        accuracy: Difference of the mean test accuracies.
        error: Standard error of that difference, or None if one has fewer than two seeds.
    """

    control: str
    accuracy: float
    error: float | None


@dataclass(frozen=True)
class LayerCost:
    """Cost of the nodes of one layer.

    Attributes:
        layer: Name of the layer.
        nodes: Nodes of the layer, in the order of the dataflow graph.
        implementations: Implementations of its crossings, separated by commas.
        cycles: Cycles of the slowest node for one image.
        finn: Sums of FINN's estimates, by metric.
        zerocross: Sums of this project's estimates, by metric.
    """

    layer: str
    nodes: list[NodeRecord]
    implementations: str
    cycles: int
    finn: dict[str, float]
    zerocross: dict[str, float]


def objective_points(evaluations: Sequence[Evaluation], objectives: Sequence[str]) -> Floats:
    """Return the objectives of each evaluation, shape (n, m); NaN if unknown or if the status is not "ok"."""
    rows = [
        [e.metrics.get(name, np.nan) if e.status == "ok" else np.nan for name in objectives]
        for e in evaluations
    ]
    return np.array(rows, dtype=float).reshape(len(rows), len(objectives))


def front_evaluations(run: Run) -> list[Evaluation]:
    """Return the search's evaluations of the final front, plain signs too; without a final front, the best so far."""
    found = [e for e in run.evaluations if e.status == "ok"]
    ids = {finalist.id for finalist in run.front}
    if ids:
        first = {e.id: e for e in reversed(found)}
        return sorted((first[i] for i in ids if i in first), key=attrgetter("number"))
    return search_front(run)


def search_front(run: Run) -> list[Evaluation]:
    """Return the whole front of the search, in order; the final trainings may have left out a part of it."""
    return front_of(run.evaluations, run.objectives)


def front_of(evaluations: Sequence[Evaluation], objectives: Sequence[str]) -> list[Evaluation]:
    """Return the nondominated evaluations among those whose status is "ok", each candidate once, in order."""
    found = list({e.id: e for e in evaluations if e.status == "ok"}.values())
    if not found:
        return []
    return [found[i] for i in np.flatnonzero(nondominated(objective_points(found, objectives)))]


def knee(front: Sequence[Finalist], objectives: Sequence[str]) -> Finalist | None:
    """Return the network at the knee of a front, which a build takes by default; None if an objective is unknown."""
    if not front or any(name not in net.metrics for net in front for name in objectives):
        return None
    return front[pareto_knee([[net.metrics[name] for name in objectives] for net in front])]


def is_threshold(net: Finalist) -> bool:
    """Return whether each channel of a network's activations has at most one crossing: a threshold, as of a plain sign."""
    return bool(net.sites) and all(crossings <= 1 for site in net.sites for crossings in site.crossings)


def losses(evaluations: Sequence[Evaluation]) -> list[Loss]:
    """Group the evaluations that are not "ok" by reason, ignoring numbers; the most frequent reason comes first."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for evaluation in evaluations:
        if evaluation.status != "ok":
            reason = evaluation.reason or "no reason recorded"
            groups[evaluation.status, _NUMBER.sub("#", reason)].append(reason)
    grouped = [
        Loss(status, reasons[0], len(set(reasons)) > 1, len(reasons))
        for (status, _), reasons in groups.items()
    ]
    return sorted(grouped, key=lambda loss: (-loss.count, loss.status, loss.reason))


def tried(evaluations: Sequence[Evaluation]) -> str:
    """Return how many candidates were evaluated: "14 candidates and 3 plain signs". Their plain signs count separately."""
    signs = sum(evaluation.reference for evaluation in evaluations)
    text = wording.count(len(evaluations) - signs, "candidate")
    return f"{text} and {wording.count(signs, 'plain sign')}" if signs else text


def left_out(evaluations: Sequence[Evaluation], reasons: bool = True) -> str:
    """Return how many evaluations are no result, by status; "" for none.

    Args:
        evaluations: The evaluations.
        reasons: Whether to name the most frequent reason of each kind.
    """
    found = losses(evaluations)
    texts = []
    for status, text in (("infeasible",) * 2, ("failed",) * 2, ("stopped", "stopped at a rung")):
        own = [loss for loss in found if loss.status == status]
        if not own:
            continue
        often = f"most often: {own[0].reason}" if len(own) > 1 or own[0].alike else own[0].reason
        reason = f" ({often})" if reasons and status != "stopped" else ""
        texts.append(f"{sum(loss.count for loss in own):,} {text}{reason}")
    return ", ".join(texts)


def gain(finalist: Finalist, references: Sequence[Finalist]) -> Gain | None:
    """Compare a network with the plain sign of the same choices; return None if there is none."""
    plain = next((r for r in references if r.choices == finalist.choices), None)
    if plain is None:
        return None
    accuracy = error = lut = share = None
    if finalist.test and plain.test:
        accuracy, error = _difference(finalist.test, plain.test)
    if "lut" in finalist.metrics and "lut" in plain.metrics:
        lut = finalist.metrics["lut"] - plain.metrics["lut"]
        share = lut / plain.metrics["lut"] if plain.metrics["lut"] else None
    return Gain(plain.id, accuracy, error, lut, share)


def controls_in_a_line(run: Run) -> str:
    """Return what the controls gain over their plain signs, on average; "" without controls."""
    signs = {sign.id: fmean(sign.test) for sign in run.references if sign.test}
    found: dict[str, list[float]] = defaultdict(list)
    for control in run.controls:
        if control.sign in signs and control.test:
            found[control.name].append(100 * (fmean(control.test) - signs[control.sign]))
    if not found:
        return ""
    gains = ", ".join(f"{wording.control_text(name)} {fmean(own):+.1f}" for name, own in found.items())
    signs_with = len({control.sign for control in run.controls})
    over = "1 plain sign" if signs_with == 1 else f"means over {signs_with} plain signs"
    return f"Controls, points of test accuracy above their plain signs ({over}): {gains}."


def control_gain(
    finalist: Finalist, references: Sequence[Finalist], controls: Sequence[Control]
) -> ControlGain | None:
    """Compare a network with the best control of the plain sign of the same choices; return None if there is none."""
    signs = {r.id for r in references if r.choices == finalist.choices}
    own = [control for control in controls if control.sign in signs and control.test]
    if not own or not finalist.test:
        return None
    best = max(own, key=lambda control: fmean(control.test))
    return ControlGain(best.name, *_difference(finalist.test, best.test))


def _difference(one: Sequence[float], other: Sequence[float]) -> tuple[float, float | None]:
    """Return the difference of two means, and its standard error if both have a spread."""
    spreads = [(wording.deviation(values), len(values)) for values in (one, other)]
    error = None
    if all(spread is not None for spread, _ in spreads):
        error = sum((spread or 0.0) ** 2 / n for spread, n in spreads) ** 0.5
    return fmean(one) - fmean(other), error


def layer_costs(nodes: Sequence[NodeRecord]) -> list[LayerCost]:
    """Sum the nodes of each layer; the layers are in the order in which the graph first names them."""
    order = list(dict.fromkeys(node.layer for node in nodes))
    ordered = sorted(nodes, key=lambda node: order.index(node.layer))
    return [_layer_cost(layer, list(group)) for layer, group in groupby(ordered, attrgetter("layer"))]


def _layer_cost(layer: str, nodes: list[NodeRecord]) -> LayerCost:
    return LayerCost(
        layer=layer,
        nodes=nodes,
        implementations=", ".join(
            dict.fromkeys(node.implementation for node in nodes if node.kind == "crossings")
        ),
        cycles=max(node.cycles for node in nodes),
        finn={key: sum(node.finn.get(key, 0) for node in nodes) for key in RESOURCES},
        zerocross={key: sum(node.zerocross.get(key, 0) for node in nodes) for key in RESOURCES},
    )
