"""The hypervolume of a search over its evaluations, beside that of the plain signs alone, with the noise between seeds."""

from dataclasses import dataclass

import numpy as np

from zerocross.reports import noise
from zerocross.reports.pareto import Floats, hypervolume, hypervolume_history, nondominated, reference_point
from zerocross.reports.records import Run
from zerocross.reports.summary import objective_points


@dataclass(frozen=True)
class Progress:
    """The share of a box that a search dominates. Errors are those of the search.

    Attributes:
        numbers: Number of each evaluation.
        history: Share of all candidates after each evaluation, shape (n,). The plain signs beside them do not count.
        signs: Share of the plain signs alone; None without any.
        noise: Standard deviations of the last share, of that of the plain signs, and of their difference, between training
            seeds; None if unknown.
    """

    numbers: list[int]
    history: Floats
    signs: float | None
    noise: tuple[float, float, float] | None

    @property
    def sentence(self) -> str:
        """Whether the search dominates more than the plain signs; "" without any."""
        if self.signs is None:
            return ""
        own, signs = f"{self.history[-1]:.3f}", f"{self.signs:.3f}"
        if not self.history[-1]:
            return f"The candidates dominate nothing of the box, the plain signs alone {signs}."
        if self.noise is None:
            return (
                f"The candidates dominate {own} of the box, the plain signs alone {signs}: how much of the difference is "
                f"noise is unknown without {noise.TRUSTED} final seeds of a network."
            )
        gap = abs(float(self.history[-1]) - self.signs)
        than = "more than" if gap > noise.CLEAR * self.noise[2] else "within"
        return (
            f"The candidates dominate {own} ± {self.noise[0]:.3f} of the box, the plain signs alone {signs} ± "
            f"{self.noise[1]:.3f}: the difference is {than} the noise between training seeds. These are errors of the "
            "search, which selects lucky trainings; the verdict compares fresh seeds."
        )


def progress(run: Run) -> Progress | None:
    """Return the progress of a search; None while no evaluation has a result.

    The box extends from the best value of each objective to the reference point (`pareto.reference_point`).
    """
    points = objective_points(run.evaluations, run.objectives)
    known = np.isfinite(points).all(axis=1)
    if not known.any():
        return None
    searched = np.array([not e.reference for e in run.evaluations], dtype=bool)
    corner, ideal = reference_point(points), np.nanmin(points[known], axis=0)
    scaled, ones = (points - ideal) / (corner - ideal), np.ones(points.shape[1])
    history = hypervolume_history(np.where(searched[:, None], scaled, np.nan), ones)
    signs = None if searched.all() else hypervolume(scaled[~searched], ones)
    return Progress(
        [e.number for e in run.evaluations], history, signs, _noise(run, scaled, searched, corner - ideal)
    )


def _noise(run: Run, scaled: Floats, searched: np.ndarray, span: Floats) -> tuple[float, float, float] | None:
    deviation = noise.deviation([*run.front, *run.references])
    if deviation is None or "error" not in run.objectives or searched.all():
        return None
    axis, seeds = run.objectives.index("error"), run.config.get("search", {}).get("seeds", 1)
    spread = deviation / seeds**0.5 / float(span[axis])
    fronts, names = [], []
    for mask in (searched, ~searched):
        best = np.flatnonzero(nondominated(np.where(mask[:, None], scaled, np.nan)))
        fronts.append(scaled[best])
        names.append([noise.trainings_of(run.evaluations[place]) for place in best])
    drawn = noise.volumes_drawn_again(fronts, axis, [np.full(len(each), spread) for each in fronts], names)
    own, signs = drawn.std(axis=0)
    return float(own), float(signs), float((drawn[:, 0] - drawn[:, 1]).std())
