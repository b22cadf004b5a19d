"""Pareto fronts and their measures. All objectives are minimised; points with NaN or infinity are never on a front."""

from collections.abc import Sequence
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Item = TypeVar("Item")


def nondominated(points: npt.ArrayLike) -> Mask:
    """Mark the points that no other point beats or equals in every objective.

    Args:
        points: Objectives, shape (n, m).

    Returns:
        A mask of shape (n,). Among equal points only the first is marked.
    """
    values = _table(points)
    mask = np.zeros(len(values), dtype=bool)
    finite = np.flatnonzero(np.isfinite(values).all(axis=1))
    # In lexicographic order no point dominates an earlier one, so one pass against the front so far is enough.
    # lexsort is stable: the first of equal points comes first.
    order = finite[np.lexsort(values[finite].T[::-1])] if len(finite) else finite
    front = np.empty_like(values)
    size = 0
    for index in order:
        point = values[index]
        if not (front[:size] <= point).all(axis=1).any():
            front[size] = point
            size += 1
            mask[index] = True
    return mask


class Front(Generic[Item]):
    """A front that grows as points are added; each point is compared with the front alone.

    Among equal points the first stays.
    """

    def __init__(self) -> None:
        self.items: list[Item] = []
        self._points: Floats | None = None

    def add(self, item: Item, point: Sequence[float] | Floats) -> bool:
        """Add a point if it is on the front, and remove the points that it dominates.

        Args:
            item: Item that the point belongs to.
            point: Objectives, shape (m,).

        Returns:
            Whether the point is on the front.
        """
        values = np.asarray(point, dtype=float)
        if not np.isfinite(values).all():
            return False
        if self._points is None:
            self._points = np.empty((0, len(values)))
        if (self._points <= values).all(axis=1).any():
            return False
        stays = ~np.less_equal(values, self._points).all(axis=1)
        self.items = [known for known, kept in zip(self.items, stays, strict=True) if kept] + [item]
        self._points = np.vstack([self._points[stays], values])
        return True

    @property
    def points(self) -> Floats:
        """Objectives of the items, shape (n, m); (0, 0) while there is none."""
        return np.empty((0, 0)) if self._points is None else self._points


def hypervolume(points: npt.ArrayLike, reference: npt.ArrayLike) -> float:
    """Return the volume that the points dominate, up to the reference point.

    Args:
        points: Objectives, shape (n, m); dominated points are allowed.
        reference: Corner that bounds the volume, shape (m,).

    Returns:
        The volume; 0 if no point is better than the reference in every objective.
    """
    values, corner = _table(points), np.asarray(reference, dtype=float)
    values = values[np.isfinite(values).all(axis=1)]
    values = values[(values < corner).all(axis=1)]
    if not len(values):
        return 0.0
    if values.shape[1] == 1:
        return float(corner[0] - values.min())
    from pymoo.indicators.hv import HV

    return float(HV(ref_point=corner)(values))


def hypervolume_history(points: npt.ArrayLike, reference: npt.ArrayLike) -> Floats:
    """Return the hypervolume after each point.

    The volume is computed again only when a point enters the front, which is rare in a long search.

    Args:
        points: Objectives in the order of the evaluations, shape (n, m); a row with NaN is an evaluation without a
            result.
        reference: As in `hypervolume`.

    Returns:
        The volumes, shape (n,); they never decrease.
    """
    values, corner = _table(points), np.asarray(reference, dtype=float)
    history = np.zeros(len(values))
    volume, front = 0.0, Front[int]()
    for index, point in enumerate(values):
        if (point < corner).all() and front.add(index, point):
            volume = max(volume, hypervolume(front.points, corner))
        history[index] = volume
    return history


def reference_point(points: npt.ArrayLike) -> Floats:
    """Return a corner for the hypervolume: the front's worst value of each objective, plus a tenth of the front's range.

    The worst value of the front is used, not that of all points, so that one very bad network does not hide the relevant
    differences. The added tenth lets the ends of the front contribute. If an objective has the same value on the whole
    front, a tenth of that value replaces the tenth of the range (1 if the value is 0).

    Args:
        points: Objectives, shape (n, m).

    Returns:
        The corner, shape (m,).

    Raises:
        ValueError: If no point is finite.
    """
    front = _front(points)
    worst = front.max(axis=0)
    span = worst - front.min(axis=0)
    span = np.where(span > 0, span, np.where(worst != 0, np.abs(worst), 10.0))
    return worst + 0.1 * span


def knee(points: npt.ArrayLike) -> int:
    """Return the index of the knee: the point beyond which a gain in one objective costs too much in another.

    The objectives of the front are scaled to 0..1; objectives that are constant on the front are left out. A line (a plane
    for more than two objectives) goes through the best point of each objective. The knee is the point farthest from it on
    the side of the ideal point, the first one if several are equally far. If the best points do not span a plane that
    falls in every objective, the plane sum = 1 is used.

    Args:
        points: Objectives, shape (n, m); dominated points are allowed.

    Returns:
        Index of the row.

    Raises:
        ValueError: If no point is finite.
    """
    front = _front(points)
    indices = np.flatnonzero(nondominated(points))
    span = front.max(axis=0) - front.min(axis=0)
    scaled = (front - front.min(axis=0))[:, span > 0] / span[span > 0]
    if not scaled.shape[1]:
        return int(indices[0])
    return int(indices[np.argmin(scaled @ _normal(scaled))])


def _normal(scaled: Floats) -> Floats:
    """Return the normal of the plane through each objective's best point, or that of sum = 1 if there is no such plane."""
    # Several points may be best in one objective; the corner of the front is the one that is best in the others.
    total = scaled.sum(axis=1)
    corners = [int(np.lexsort((total, scaled[:, axis]))[0]) for axis in range(scaled.shape[1])]
    ones = np.ones(scaled.shape[1])
    try:
        normal: Floats = np.linalg.solve(scaled[corners], ones).astype(np.float64)
    except np.linalg.LinAlgError:
        return ones
    return normal if (normal > 0).all() else ones


def _front(points: npt.ArrayLike) -> Floats:
    values = _table(points)
    front = values[nondominated(values)]
    if not len(front):
        raise ValueError("no point with finite objectives")
    return front


def _table(points: npt.ArrayLike) -> Floats:
    values = np.asarray(points, dtype=float)
    if values.ndim != 2 or not values.shape[1]:
        raise ValueError(f"points must have the shape (n, m), not {values.shape}")
    return values
