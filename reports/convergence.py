"""Whether a search has converged: does its front still rise, how much of that is noise, and what would improve it."""

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np

from zerocross.reports import noise
from zerocross.reports.configurations import setting
from zerocross.reports.pareto import Floats, hypervolume_history, nondominated, reference_point
from zerocross.reports.records import Run, TrainingCurve
from zerocross.reports.storage import EARLIER
from zerocross.reports.summary import front_evaluations, left_out, objective_points, search_front
from zerocross.reports.wording import count

_LAST = 0.25
"""Share of the candidates, at the end, over which the rise is measured."""

_LEAST = 8
"""Fewest candidates with a result for a statement."""

SEEDS = 5
"""Seeds to train with where there were fewer."""

_UNCLEAR = 0.02
"""Rise that may be noise, where the noise is unknown for want of seeds."""

_CLIMB = 0.01
"""Rise of learning curves, 0..1, from which they still rise: a falling learning rate alone lifts them by a point."""


@dataclass(frozen=True)
class Advice:
    """What would most likely improve a front.

    Attributes:
        command: Command to run; "" if nothing measured speaks for one.
        action: What it does, as a noun: "a search twice as long".
        fact: What was measured and speaks for it, as a clause.
    """

    command: str
    action: str
    fact: str

    @property
    def sentence(self) -> str:
        """What to do and why, without the command."""
        if not self.command:
            return f"Nothing measured speaks for more of the same: {self.fact}. {self.action}."
        return f"Most likely to improve the front: {self.action}, because {self.fact}."


@dataclass(frozen=True)
class Convergence:
    """How far a search has converged.

    Attributes:
        candidates: Candidates with a result. With fewer than eight, nothing else is known but the advice.
        rise: Growth of the hypervolume over the last quarter of the candidates, relative to its end; None if too few have a
            result.
        deviation: Standard deviation of validation accuracy between seeds of one network, 0..1; None with fewer than three
            final seeds.
        noise: Standard deviation of the hypervolume that follows from it, relative to its end; None if unknown.
        optimism: Mean growth of the front's errors from the search to the final trainings, 0..1; None without these. A
            search selects lucky trainings, so it is positive if seeds differ much.
        few: Final seeds of each network, if they are too few for a spread; else 0.
        advice: What would most likely improve the front; None if no candidate has a result.
    """

    candidates: int
    rise: float | None = None
    deviation: float | None = None
    noise: float | None = None
    optimism: float | None = None
    few: int = 0
    advice: Advice | None = None

    @property
    def rising(self) -> bool:
        """Whether the front still rises by more than noise; false if it is unknown."""
        if self.rise is None:
            return False
        return self.rise > (_UNCLEAR if self.few else noise.CLEAR * (self.noise or 0.0))

    @property
    def statement(self) -> list[str]:
        """What is known, in sentences, without the advice."""
        if self.rise is None:
            have = "has" if self.candidates == 1 else "have"
            return [
                f"Whether the front still rises cannot be said yet: {count(self.candidates, 'candidate')} {have} a result, "
                f"and a statement needs {_LEAST}."
            ]
        found = [f"The front's hypervolume rose by {self.rise:.1%} over the last quarter of the candidates."]
        if self.deviation is not None and self.noise is not None:
            state = "still rises" if self.rising else "no longer rises by more than this noise"
            moves = f"±{self.noise:.1%}" if self.noise < 1 else "more than all of it"
            found.append(
                f"Seeds of one network differ by ±{100 * self.deviation:.2f} points, which moves the hypervolume by "
                f"{moves}: the front {state}."
            )
        if self.few:
            found.append(
                f"Networks have {count(self.few, 'final seed')}, which {'shows' if self.few == 1 else 'show'} no spread "
                f"worth trusting: how much of this is noise is unknown. --set final.seeds={SEEDS} shows it."
            )
        if self.optimism is not None:
            way = "higher" if self.optimism >= 0 else "lower"
            found.append(
                f"With fresh seeds, the front's errors were {abs(100 * self.optimism):.2f} points {way} than in the search."
            )
        return found

    @property
    def sentences(self) -> list[str]:
        """The statement and the advice with its command."""
        if self.advice is None:
            return self.statement
        command = f" {self.advice.command}" if self.advice.command else ""
        return [*self.statement, f"{self.advice.sentence}{command}"]


def convergence(run: Run, folder: Path | None = None) -> Convergence:
    """Return how far a search has converged, and what would most likely improve its front.

    Args:
        run: The run.
        folder: Its folder, for the command; by default where the search left it.
    """
    # Plain signs are part of the front; only candidates are counted, as they are what a longer search adds.
    points = objective_points(run.evaluations, run.objectives)
    known = np.asarray(np.isfinite(points).all(axis=1))
    tried = np.flatnonzero([not e.reference for e in run.evaluations])
    candidates = int(known[tried].sum())
    if candidates < _LEAST:
        measured = Convergence(candidates)
        return replace(
            measured, advice=_advice(run, folder, measured) if candidates or not run.finished else None
        )
    corner, ideal = reference_point(points), points[known].min(axis=0)
    scaled, ones = (points - ideal) / np.where(corner > ideal, corner - ideal, 1.0), np.ones(points.shape[1])
    history = hypervolume_history(scaled, ones)
    whole = float(history[-1])
    before = float(history[tried[math.ceil((1 - _LAST) * len(tried)) - 1]])
    seeds = max((len(net.validation) for net in run.front), default=0)
    few = seeds if seeds < noise.TRUSTED else 0
    deviation, moved = None if few else noise.deviation([*run.front, *run.references]), None
    if deviation is not None and "error" in run.objectives and whole:
        axis = run.objectives.index("error")
        best = nondominated(points)
        front = scaled[best]
        spread = deviation / _seeds(run) ** 0.5 / float(corner[axis] - ideal[axis])
        names = [noise.trainings_of(run.evaluations[place]) for place in np.flatnonzero(best)]
        moved = _deviation_of_volume(front, axis, spread, names) / whole
    # Networks that differ only in their folding share their trainings, and count once.
    found = {
        (net.search_error, *net.validation): net.metrics["error"] - net.search_error
        for net in run.front
        if "error" in net.metrics
    }
    optimism = fmean(found.values()) if found else None
    rise = (whole - before) / whole if whole else 0.0
    measured = Convergence(candidates, rise, deviation, moved, optimism, few)
    return replace(measured, advice=_advice(run, folder, measured))


def cut(run: Run) -> str:
    """Return how much less final trainings covered than was configured: "2 seeds instead of 3"; "" if they covered all."""
    wanted, seeds = (
        run.config.get("final", {}).get("seeds"),
        max((len(net.seeds) for net in run.front), default=0),
    )
    fewer = f"{count(seeds, 'seed')} instead of {wanted}" if wanted and 0 < seeds < wanted else ""
    return " and ".join(filter(None, (networks_cut(run), fewer)))


def networks_cut(run: Run) -> str:
    """Return how many networks of its front a run trained again, "2 of the 5 networks of the front"; "" if all it should."""
    whole, trained = len(search_front(run)), len(run.front)
    wanted = min(run.config.get("final", {}).get("networks") or whole, whole)
    return f"{trained} of the {count(whole, 'network')} of the front" if 0 < trained < wanted else ""


def _deviation_of_volume(front: Floats, axis: int, spread: float, names: list[str]) -> float:
    """Return the deviation of the hypervolume if the errors of the front are drawn again."""
    return float(np.std(noise.volumes_drawn_again([front], axis, [np.full(len(front), spread)], [names])))


def _seeds(run: Run) -> int:
    seeds = run.config.get("search", {}).get("seeds", 1)
    return int(seeds)


def _advice(run: Run, folder: Path | None, found: Convergence) -> Advice:
    """Return what would most likely improve the front: the first of these rules whose fact was measured.

    1. An unfinished search: the rest of it. Candidates of which most failed: their mending.
    2. Too few candidates, a front that still rises, or one whose final trainings were cut: more generations or time.
    3. Luck of the trainings, or learning curves that still rise, whichever is worth more points: seeds or epochs.
    4. Limited data: all of them.
    """
    again = _Command(run, folder)
    if not run.finished:
        return Advice(again.text({}), "the rest of the search", "it is not finished")
    tried = [e for e in run.evaluations if not e.reference]
    if 2 * sum(e.status == "failed" for e in tried) > len(tried):
        return Advice("", "Mend this first", f"most candidates failed: {left_out(tried)}")
    if advice := _longer(run, again, found):
        return advice
    luck, climb = _luck(run, found), _climb(run)
    if luck > max(climb, 0.0):
        seeds, errors = 2 * _seeds(run), f"{100 * (found.optimism or 0.0):.2f} points"
        return Advice(
            again.text({"search.seeds": seeds}, times=2),
            f"{count(seeds, 'training')} for each candidate instead of {_seeds(run)}",
            f"the front's errors were {errors} higher with fresh seeds, so the search selected lucky trainings",
        )
    epochs = _twice(run.config.get("training", {}).get("epochs"))
    if climb > 0 and epochs is not None:
        return Advice(
            again.text({"training.epochs": epochs}, times=2),
            "twice the epochs in the search",
            f"the validation accuracy of the front's networks was {100 * climb:.1f} points higher in the last third of "
            "their epochs than in the middle third",
        )
    if limit := run.config.get("data", {}).get("limit"):
        timed = run.config.get("search", {}).get("budget_minutes")
        slower = " (they take longer: raise search.budget_minutes too)" if timed else ""
        return Advice(
            again.text({"data.limit": None}), f"all training data{slower}", f"data.limit is {limit:,} samples"
        )
    done = "all candidates of the space are evaluated" if run.exhausted else "the front no longer rises"
    return Advice(
        "",
        "Other choices, such as more values in topology or more operations, may improve the front",
        f"{done}, and the learning curves are flat or unknown",
    )


@dataclass(frozen=True)
class _Command:
    """The command that repeats a search with changes."""

    run: Run
    folder: Path | None

    def text(self, changes: Mapping[str, Any], times: int = 1) -> str:
        """Return the command.

        Args:
            changes: Fields that change.
            times: How many times as long the search then takes: a budget grows with it.
        """
        own = Path(self.run.config.get("output", "runs")) / self.run.name
        folder = self.folder or own
        minutes = self.run.config.get("search", {}).get("budget_minutes")
        budget = {"search.budget_minutes": times * minutes} if minutes and times > 1 else {}
        sets = "".join(setting(name, value) for name, value in {**changes, **budget}.items())
        whole = folder.resolve()  # of earlier results, the store is in the run's folder
        is_elsewhere = whole != own.resolve() and whole.parent.name != EARLIER
        place = (
            f" --output {shlex.quote(str(whole.parent))} --name {shlex.quote(whole.name)}"
            if is_elsewhere
            else ""
        )
        return f"zerocross search {shlex.quote(str(folder / 'config.yaml'))}{place}{sets}"


def _longer(run: Run, again: _Command, found: Convergence) -> Advice | None:
    """Return the advice to search longer, if its fact was measured and a longer search evaluates more."""
    search = run.config.get("search", {})
    minutes, generations = search.get("budget_minutes"), search.get("generations")
    remarks = " ".join(run.remarks)
    by_time = bool(minutes) and "as search.budget_minutes is" in remarks
    reached = max((e.generation for e in run.evaluations), default=0)
    tried = sum(not e.reference for e in run.evaluations)
    part = networks_cut(run) if minutes else ""
    if found.rise is None:
        fact = f"{count(found.candidates, 'candidate')} with a result {'is' if found.candidates == 1 else 'are'} too few"
    elif found.rising:
        fact = f"the front still rises ({found.rise:.1%} over the last quarter of the candidates)"
    elif part:
        fact = f"the final trainings cover only {part}"
    else:
        return None
    times = max(2, math.ceil(2 * _LEAST / max(tried, 1)))
    action = f"{'twice' if times == 2 else f'{times} times'} the"
    if by_time or (part and not found.rising and found.rise is not None):
        return Advice(again.text({}, times), f"{action} time", fact)
    if "A callback ended the search" in remarks:
        return Advice(again.text({}), "the rest of the search", f"a callback ended it, and {fact}")
    if run.exhausted or run.strategy in ("exhaustive", "differentiable") or not generations:
        return None
    if 0 < reached < generations:  # the strategy found nothing more
        return None
    return Advice(
        again.text({"search.generations": times * generations}, times), f"{action} generations", fact
    )


def _luck(run: Run, found: Convergence) -> float:
    """Return how much less lucky the search's selection would be with twice the seeds, 0..1; 0 if it is not lucky."""
    clear = found.optimism is not None and found.optimism > (found.deviation or 0.0) / 2
    return (found.optimism or 0.0) * (1 - 0.5**0.5) if clear else 0.0


def _climb(run: Run) -> float:
    """Return the mean rise of validation accuracy from the middle to the last third of the front's trainings.

    It is 0 if it is not clear. Trainings of candidates that differ only in their folding are one.
    """
    ids = {e.id for e in front_evaluations(run)}
    trainings = {
        (training.seed, *training.loss): training
        for e in run.evaluations
        if e.id in ids
        for training in e.trainings
    }
    rises = [rise for training in trainings.values() if (rise := _rise(training)) is not None]
    if not rises:
        return 0.0
    error = stdev(rises) / len(rises) ** 0.5 if len(rises) > 1 else 0.0
    mean = fmean(rises)
    return mean if mean > max(_CLIMB, noise.CLEAR * error) else 0.0


def _rise(training: TrainingCurve) -> float | None:
    """Return the rise of a training's validation accuracy from the middle to the last third; None if it is unknown."""
    epochs, looks = len(training.loss), zip(training.looks, training.validation, strict=True)
    parts: tuple[list[float], list[float]] = [], []
    for epoch, accuracy in looks:
        if 3 * epoch >= epochs:
            parts[3 * epoch > 2 * epochs].append(accuracy)
    middle, last = parts
    return fmean(last) - fmean(middle) if middle and last else None


def _twice(epochs: Any) -> Any:
    """Return twice the epochs of a configuration, also of a choice or range; None if it is of another form."""
    if isinstance(epochs, int):
        return 2 * epochs
    if isinstance(epochs, Mapping):
        for kind in ("choose", "range"):
            values = epochs.get(kind)
            if isinstance(values, list) and all(isinstance(value, int) for value in values):
                return {**epochs, kind: [2 * value for value in values]}
    return None
