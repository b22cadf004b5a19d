"""Noise between training seeds: how much the errors of one network spread, and how much this moves hypervolumes."""

from collections.abc import Iterable, Sequence
from itertools import chain
from statistics import variance

import numpy as np

from zerocross.reports.pareto import Floats, hypervolume
from zerocross.reports.records import Evaluation, Finalist

TRUSTED = 3
"""Fewest seeds of a network whose spread says something."""

CLEAR = 2.0
"""Standard deviations from which a difference is more than noise."""

_DRAWS = 200


def deviation(networks: Iterable[Finalist]) -> float | None:
    """Return the standard deviation of validation accuracy between seeds of one network, 0..1.

    It is pooled over all networks with several seeds; those that share their trainings count once. None if no network has
    `TRUSTED` seeds.
    """
    several = list({(net.search_error, *net.validation): net.validation for net in networks}.values())
    several = [values for values in several if len(values) > 1]
    if max(map(len, several), default=0) < TRUSTED:
        return None
    squares = sum((len(values) - 1) * variance(values) for values in several)
    return float((squares / sum(len(values) - 1 for values in several)) ** 0.5)


def trainings_of(evaluation: Evaluation) -> str:
    """Return what identifies the trainings of an evaluation: candidates that differ only in folding share them."""
    if not evaluation.trainings:
        return evaluation.id
    return repr([(each.seed, each.accuracy, each.loss) for each in evaluation.trainings])


def volumes_drawn_again(
    fronts: Sequence[Floats], axis: int, spreads: Sequence[Floats], names: Sequence[Sequence[str]]
) -> Floats:
    """Return the hypervolumes of fronts whose errors are drawn again and again.

    Args:
        fronts: Objectives of each front, shape (n, m), scaled so that the corner of the hypervolume is 1 in each of them.
        axis: Objective that is the error.
        spreads: Standard deviation of each error, shape (n,), in the same scale.
        names: Name of each point. Points of one name share their trainings, and move together.

    Returns:
        The volumes, shape (draws, fronts).
    """
    rng = np.random.default_rng(0)
    places = {name: place for place, name in enumerate(dict.fromkeys(chain.from_iterable(names)))}
    order = [np.array([places[name] for name in own], dtype=int) for own in names]
    found = np.empty((_DRAWS, len(fronts)))
    for volumes in found:
        drawn = rng.standard_normal(len(places))
        for index, (front, spread, own) in enumerate(zip(fronts, spreads, order, strict=True)):
            moved = front.copy()
            moved[:, axis] += spread * drawn[own]
            volumes[index] = hypervolume(moved, np.ones(front.shape[1]))
    return found
