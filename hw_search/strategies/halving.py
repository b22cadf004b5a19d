"""Early stopping: a short first training of every candidate, its first look, and a whole training for the better ones.

Successive halving (Jamieson & Talwalkar, 2016) with one rung, without waiting for all of it as in ASHA (Li et al., 2020),
and ranked by nondomination where there are several objectives (Schmucker et al., 2021). Whether a first look predicts enough
is measured on tables (docs/tables.md).
"""

from collections import deque
from collections.abc import Sequence

import numpy as np
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

_REMEMBERED = 500
"""First looks a new one is compared with: as the search gets better, so must its candidates."""


class Rung:
    """Decides who goes on.

    Args:
        keep: the share that does, 0..1.
    """

    def __init__(self, keep: float) -> None:
        self._keep = keep
        self._looks: deque[tuple[float, ...]] = deque(maxlen=_REMEMBERED)

    def better(self, batch: Sequence[tuple[float, ...]]) -> list[bool]:
        """Return who of a batch is among the best of all looks so far, this batch's included.

        Args:
            batch: objectives at the first look, to be minimised, finite.

        Returns:
            For each whether it goes on; of equal rank are first those with the better first objective.
        """
        if not batch:
            return []
        before = list(self._looks)
        looks = np.array([*before, *batch], float)
        ranks = NonDominatedSorting().do(looks, return_rank=True)[1]
        order = np.lexsort((looks[:, 0], ranks))
        best = set(order[: int(np.ceil(self._keep * len(looks)))].tolist())
        self._looks.extend(batch)
        return [len(before) + index in best for index in range(len(batch))]
