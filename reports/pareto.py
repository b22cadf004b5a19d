"""Pareto fronts and their measures: all objectives are minimised; NaN or infinity is never on a front."""

from collections.abc import Sequence
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Item = TypeVar("Item")


def nondominated(points: npt.ArrayLike) -> Mask:
    """Marks the points that no other point beats or equals in every objective.

    Args:
        points: objectives, shape (n, m).

    Returns:
        A mask of shape (n,). Of equal points only the first is marked.
    """
    values = _table(points)
    mask = np.zeros(len(values), dtype=bool)
    finite = np.flatnonzero(np.isfinite(values).all(axis=1))
    # In lexicographic order nothing that follows can dominate what came before, so one pass against the
    # front found so far is enough. lexsort is stable: the first of equal points comes first.
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
    """A front that grows as points become known: each is compared with the front alone.

    Of equal points the first stays.
    """

    def __init__(self) -> None:
        self.items: list[Item] = []
        self._points: Floats | None = None

    def add(self, item: Item, point: Sequence[float] | Floats) -> bool:
        """Offer a point.

        Args:
            item: what it belongs to.
            point: its objectives, shape (m,).

        Returns:
            Whether it is on the front; what it dominates no longer is.
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
        """Objectives of the items, shape (n, m); (0, 0) before there is one."""
        return np.empty((0, 0)) if self._points is None else self._points


def hypervolume(points: npt.ArrayLike, reference: npt.ArrayLike) -> float:
    """Volume that the points dominate, up to the reference point.

    Args:
        points: objectives, shape (n, m), dominated ones welcome.
        reference: the corner that bounds the volume, shape (m,).

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
    """Hypervolume after each point in turn.

    The volume is computed again only where a point enters the front, which is rare in a long search.

    Args:
        points: objectives in the order they became known, shape (n, m); a row with NaN stands for an
            evaluation that brought nothing.
        reference: as in `hypervolume`.

    Returns:
        The volumes, shape (n,), never falling.
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
    """A corner for the hypervolume: the front's worst value of each objective, and a tenth of its range more.

    The front's worst is used and not that of all points, so that one hopeless network does not shrink every
    difference worth seeing. The tenth lets the ends of the front count. Where all the front agrees on an
    objective there is no range; a tenth of the value (or 1, if that is 0 too) stands in for it.

    Args:
        points: objectives, shape (n, m).

    Returns:
        The corner, shape (m,).

    Raises:
        ValueError: if no point is finite.
    """
    front = _front(points)
    worst = front.max(axis=0)
    span = worst - front.min(axis=0)
    span = np.where(span > 0, span, np.where(worst != 0, np.abs(worst), 10.0))
    return worst + 0.1 * span


def knee(points: npt.ArrayLike) -> int:
    """Index of the point where giving up a little of one objective stops paying in another.

    The front's objectives are scaled to 0..1 (those it agrees on are left out). A line, or for more than two
    objectives a plane, goes through the best point of each objective; the knee is the point farthest from it
    on the side of the ideal. Where those best points do not span a plane that falls in every objective, the
    plane sum = 1 is used. Of equally far points the first is taken.

    Args:
        points: objectives, shape (n, m), dominated ones welcome.

    Returns:
        The row's index.

    Raises:
        ValueError: if no point is finite.
    """
    front = _front(points)
    indices = np.flatnonzero(nondominated(points))
    span = front.max(axis=0) - front.min(axis=0)
    scaled = (front - front.min(axis=0))[:, span > 0] / span[span > 0]
    if not scaled.shape[1]:
        return int(indices[0])
    return int(indices[np.argmin(scaled @ _normal(scaled))])


def _normal(scaled: Floats) -> Floats:
    """Normal of the plane through each objective's best point, or of sum = 1 where that is no use."""
    # Several points may be best in one objective; the one best in the others is the front's corner.
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
