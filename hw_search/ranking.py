"""How well the rungs of a search rank its candidates: Spearman's correlation with the whole training."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import rankdata

from zerocross.reports.records import Evaluation, RungRecord

LEAST = 4
"""Fewest candidates for a correlation."""

_RESAMPLES = 1000


def rank_correlation(short: Sequence[float], full: Sequence[float]) -> float | None:
    """Return Spearman's rank correlation, -1..1; None for fewer than `LEAST` values, or if all of one side are equal."""
    if len(short) < LEAST:
        return None
    ranks = np.stack([rankdata(short), rankdata(full)])
    ranks -= ranks.mean(axis=1, keepdims=True)
    spread = np.sqrt((ranks**2).sum(axis=1))
    return None if not spread.all() else float(np.clip(ranks[0] @ ranks[1] / spread.prod(), -1, 1))


def bootstrap_interval(short: Sequence[float], full: Sequence[float]) -> tuple[float, float] | None:
    """Return the interval that holds 95 % of the correlations of resampled candidates; None without a correlation."""
    if rank_correlation(short, full) is None:
        return None
    rng, pairs = np.random.default_rng(0), np.array([short, full])
    drawn = (pairs[:, rng.integers(0, len(short), len(short))] for _ in range(_RESAMPLES))
    found = [value for own, other in drawn if (value := rank_correlation(own, other)) is not None]
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


def rank_rungs(
    evaluations: Sequence[Evaluation],
    rungs: Sequence[tuple[float, float]],
    training: Callable[[Evaluation], str],
    intervals: bool = True,
) -> list[RungRecord]:
    """Return the record of every rung of a search.

    Candidates that differ only in their folding, or in the form of their activations, share their trainings, and count once.

    Args:
        evaluations: Evaluations so far.
        rungs: Shares of epochs and of samples of each rung, 0..1.
        training: Function from an evaluation to the identity of its training.
        intervals: Whether to compute the intervals.
    """
    # A variant that was rejected before training says nothing of the training.
    trained = [entry for entry in evaluations if entry.rungs]
    distinct = {training(entry): entry for entry in trained if entry.status == "stopped"}
    distinct |= {training(entry): entry for entry in trained if entry.status != "stopped"}
    found = []
    for index, (epochs, data) in enumerate(rungs):
        tried = [entry for entry in distinct.values() if len(entry.rungs) > index]
        known = [entry for entry in tried if entry.status != "stopped" and "error" in entry.metrics]
        short = [entry.rungs[index] for entry in known]
        full = [1 - entry.metrics["error"] for entry in known]
        found.append(
            RungRecord(
                epochs=epochs,
                data=data,
                tried=len(tried),
                promoted=sum(_went_on(entry, index) for entry in tried),
                compared=len(known),
                audited=sum(entry.audited for entry in known),
                correlation=rank_correlation(short, full),
                interval=bootstrap_interval(short, full) if intervals else None,
            )
        )
    return found


def _went_on(evaluation: Evaluation, index: int) -> bool:
    """Return whether a candidate went on after a rung that it reached."""
    last = len(evaluation.rungs) == index + 1
    return not (last and (evaluation.status == "stopped" or evaluation.audited))
