"""Whether a search has converged: does its front still rise, how much of that is noise, and what would improve it."""

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, variance

import numpy as np

from zerocross.reports.pareto import hypervolume, hypervolume_history, nondominated, reference_point
from zerocross.reports.records import Run
from zerocross.reports.summary import objective_points
from zerocross.reports.wording import count

_LAST = 0.25
"""Share of the candidates, at the end, over which the rise is measured."""

_LEAST = 8
"""Fewest candidates with a result for a statement."""

TRUSTED = 3
"""Fewest seeds of a network whose spread says something."""

SEEDS = 5
"""Seeds to train with where there were fewer."""

_UNCLEAR = 0.02
"""Rise that may be noise, where the noise is unknown for want of seeds."""

_DRAWS = 200
_CLEAR = 2.0
"""Standard deviations from which a rise is more than noise."""


@dataclass(frozen=True)
class Convergence:
    """How far a search has converged.

    Attributes:
        rise: Growth of the hypervolume over the last quarter of the candidates, relative to its end.
        deviation: Standard deviation of validation accuracy between seeds of one network, 0..1; None with fewer than three
            final seeds.
        noise: Standard deviation of the hypervolume that follows from it, relative to its end; None if unknown.
        optimism: Mean growth of the front's errors from the search to the final trainings, 0..1; None without these. A
            search selects lucky trainings, so it is positive if seeds differ much.
        command: Command that would most likely improve the front.
        reason: What the command does.
        few: Final seeds of each network, if they are too few for a spread; else 0.
    """

    rise: float
    deviation: float | None
    noise: float | None
    optimism: float | None
    command: str
    reason: str
    few: int = 0

    @property
    def rising(self) -> bool:
        """Whether the front still rises by more than noise."""
        return self.rise > (_UNCLEAR if self.few else _CLEAR * (self.noise or 0.0))

    @property
    def sentences(self) -> list[str]:
        """The statement for users."""
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
                "worth trusting: how much of this is noise is unknown."
            )
        if self.optimism is not None:
            way = "higher" if self.optimism >= 0 else "lower"
            found.append(
                f"With fresh seeds, the front's errors were {abs(100 * self.optimism):.2f} points {way} than in the search."
            )
        found.append(f"Most likely to improve the front: {self.command} ({self.reason}).")
        return found


def convergence(run: Run, folder: Path | None = None) -> Convergence | None:
    """Return how far a search has converged; None while too few candidates have a result.

    Args:
        run: The run.
        folder: Its folder, for the command; by default where the search left it.
    """
    tried = [e for e in run.evaluations if not e.reference]
    points = objective_points(tried, run.objectives)
    known = np.isfinite(points).all(axis=1)
    if known.sum() < _LEAST:
        return None
    corner, ideal = reference_point(points), points[known].min(axis=0)
    scaled, ones = (points - ideal) / np.where(corner > ideal, corner - ideal, 1.0), np.ones(points.shape[1])
    history = hypervolume_history(scaled, ones)
    whole = float(history[-1])
    before = float(history[int(np.ceil((1 - _LAST) * len(history))) - 1])
    seeds = max((len(net.validation) for net in run.front), default=0)
    few = seeds if seeds < TRUSTED else 0
    deviation, noise = None if few else _deviation(run), None
    if deviation is not None and "error" in run.objectives and whole:
        axis = run.objectives.index("error")
        front = scaled[known][nondominated(points[known])]
        spread = deviation / _seeds(run) ** 0.5 / float(corner[axis] - ideal[axis])
        noise = _noise(front, axis, spread) / whole
    found = [net.metrics["error"] - net.search_error for net in run.front if "error" in net.metrics]
    optimism = fmean(found) if found else None
    rise = (whole - before) / whole if whole else 0.0
    measured = Convergence(rise, deviation, noise, optimism, "", "", few)
    command, reason = _advice(run, folder, measured)
    return replace(measured, command=command, reason=reason)


def _deviation(run: Run) -> float | None:
    """Return the deviation between seeds, pooled over all networks that trained with several."""
    found = [variance(net.validation) for net in [*run.front, *run.references] if len(net.validation) > 1]
    return fmean(found) ** 0.5 if found else None


def _seeds(run: Run) -> int:
    seeds = run.config.get("search", {}).get("seeds", 1)
    return int(seeds)


def _noise(front: np.ndarray, axis: int, spread: float) -> float:
    """Return the deviation of the hypervolume if the errors of the front are drawn again."""
    rng, volumes = np.random.default_rng(0), []
    for _ in range(_DRAWS):
        drawn = front.copy()
        drawn[:, axis] += rng.normal(0, spread, len(front))
        volumes.append(hypervolume(drawn, np.ones(front.shape[1])))
    return float(np.std(volumes))


def _advice(run: Run, folder: Path | None, found: Convergence) -> tuple[str, str]:
    """Return the command that would most likely improve the front, and what it does."""
    folder = folder or Path(run.config.get("output", "runs")) / run.name
    again = f"zerocross search {shlex.quote(str(folder / 'config.yaml'))}"
    search = run.config.get("search", {})
    if not run.finished:
        return again, "the search is not finished"
    if found.rising and run.strategy not in ("exhaustive", "differentiable"):
        ends = [name for name in ("budget_minutes", "generations") if search.get(name)]
        longer = "".join(f" --set search.{name}={2 * search[name]:g}" for name in ends)
        return f"{again}{longer}", "a search twice as long; known trainings are kept"
    retrain = f"zerocross retrain {shlex.quote(str(folder))} knee"
    if found.few:
        return f"{retrain} --seeds {SEEDS}", "the knee of the front with as many seeds, which show its spread"
    if found.optimism is not None and found.deviation is not None and found.optimism > found.deviation / 2:
        seeds = 2 * _seeds(run)
        return (
            f"{again} --set search.seeds={seeds}",
            f"{count(seeds, 'training')} for each candidate: luck selects less",
        )
    epochs = run.config.get("final", {}).get("epochs") or run.config.get("training", {}).get("epochs")
    longer = f" --epochs {2 * epochs}" if isinstance(epochs, int) else ""
    return f"{retrain}{longer}", "the knee of the front, trained longer"
