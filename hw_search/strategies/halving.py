"""Successive halving: short trainings of every candidate, and longer ones of the better candidates.

The method is that of Jamieson & Talwalkar (2016). It does not wait until a rung is full, as in ASHA (Li et al., 2020), and
ranks several objectives by nondomination (Schmucker et al., 2021). How well short trainings predict whole ones depends on
the network and the data: `zerocross.hw_search.ranking` measures it in every search, benchmarks/fidelity.py without one.
"""

from collections import deque
from collections.abc import Sequence

import numpy as np
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

_REMEMBERED = 500
"""Number of recent results of a rung to compare with. Older ones are dropped, because candidates improve."""


class Rung:
    """Selects the candidates that go on.

    Args:
        keep: Share of candidates to select, 0..1.
    """

    def __init__(self, keep: float) -> None:
        self._keep = keep
        self._seen: deque[tuple[float, ...]] = deque(maxlen=_REMEMBERED)

    def better(
        self, batch: Sequence[tuple[float, ...]], violations: Sequence[float] | None = None
    ) -> list[bool]:
        """Return which candidates of a batch are among the best of all so far, including this batch.

        Args:
            batch: Objectives after the rung, to be minimised, finite.
            violations: Constraint violation of each candidate, at least 0; by default 0. A smaller one ranks first, whatever
                the objectives (Deb, 2000).

        Returns:
            For each candidate, whether it is selected. The first objective breaks ties of rank.
        """
        if not batch:
            return []
        before, fresh = list(self._seen), zip(violations or [0.0] * len(batch), batch, strict=True)
        self._seen.extend(new := [(violation, *point) for violation, point in fresh])
        rows = np.array([*before, *new], float)
        broken, points = rows[:, 0], rows[:, 1:]
        ranks, feasible = np.zeros(len(rows), int), broken <= 0
        if feasible.any():
            ranks[feasible] = NonDominatedSorting().do(points[feasible], return_rank=True)[1]
        order = np.lexsort((points[:, 0], ranks, broken))
        best = set(order[: int(np.ceil(self._keep * len(rows)))].tolist())
        return [len(before) + index in best for index in range(len(batch))]
