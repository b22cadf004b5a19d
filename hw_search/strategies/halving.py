"""Early stopping: a first evaluation round with a short training of every candidate, then full training of the better ones.

The method is successive halving (Jamieson & Talwalkar, 2016) with one rung. It does not wait for the whole rung, as in ASHA
(Li et al., 2020), and ranks several objectives by nondomination (Schmucker et al., 2021). docs/tables.md measures how well
the first evaluation round predicts the full training.
"""

from collections import deque
from collections.abc import Sequence

import numpy as np
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

_REMEMBERED = 500
"""Number of recent first-round results to compare with. Older ones are dropped, because candidates improve."""


class Rung:
    """Selects the candidates for full training.

    Args:
        keep: Share of candidates to select, 0..1.
    """

    def __init__(self, keep: float) -> None:
        self._keep = keep
        self._looks: deque[tuple[float, ...]] = deque(maxlen=_REMEMBERED)

    def better(self, batch: Sequence[tuple[float, ...]]) -> list[bool]:
        """Return which candidates of a batch are among the best of all so far, including this batch.

        Args:
            batch: Objectives from the first evaluation round, to be minimised, finite.

        Returns:
            For each candidate, whether it is selected. The first objective breaks ties of rank.
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
