"""How well rungs rank: against scipy, and the sentence about it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from zerocross.hw_search.ranking import bootstrap_interval, rank_correlation, rank_rungs
from zerocross.reports.records import Evaluation
from zerocross.reports.rungs import sentence


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=4, max_size=12))
def test_the_correlation_is_scipys(pairs: list[tuple[int, int]]) -> None:
    short, full = zip(*pairs, strict=True)
    found = rank_correlation(short, full)
    if len({*short}) == 1 or len({*full}) == 1:
        assert found is None
    else:
        assert found == pytest.approx(spearmanr(short, full).statistic)


def test_the_interval_holds_the_correlation() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=200)
    y = x + rng.normal(size=200)
    low, high = bootstrap_interval(x.tolist(), y.tolist()) or (0, 0)
    assert low < (rank_correlation(x.tolist(), y.tolist()) or 0) < high
    assert 0.1 < high - low < 0.25  # Fisher's approximation gives 0.16
    assert bootstrap_interval([1, 2, 3], [1, 2, 3]) is None


def evaluation(
    number: int, text: str, status: str, rungs: list[float], full: float | None, **change
) -> Evaluation:  # type: ignore[no-untyped-def]
    metrics = {} if full is None else {"error": 1 - full}
    return Evaluation(number, str(number), text, {}, False, status, None, metrics, rungs, **change)  # type: ignore[arg-type]


def by_expression(entry: Evaluation) -> str:
    return entry.expression


def test_what_a_rung_is_measured_on() -> None:
    found = [
        evaluation(0, "a", "ok", [0.5, 0.6], 0.9),
        evaluation(1, "b", "infeasible", [0.4, 0.5], 0.8),
        evaluation(2, "c", "ok", [0.3], 0.7, audited=True),
        evaluation(3, "d", "ok", [0.35, 0.4], 0.6, audited=True),
        evaluation(4, "e", "stopped", [0.2], 0.2),
        evaluation(5, "f", "failed", [0.45, 0.55], None),
        evaluation(6, "g", "infeasible", [], None),
    ]
    # The same trainings in another folding are no further candidate.
    twin = Evaluation(
        7, "7", "a", {"folding.target_cycles": 64}, False, "stopped", None, {"error": 0.5}, [0.5]
    )
    # Nor does a variant that was rejected before training hide the training.
    rejected = Evaluation(8, "8", "a", {"folding.target_cycles": 1}, False, "infeasible", "too large")
    first, second = rank_rungs([*found, twin, rejected], [(0.1, 1), (0.5, 1)], by_expression)
    assert (first.tried, first.promoted, first.compared, first.audited) == (6, 4, 4, 2)
    assert (second.tried, second.promoted, second.compared, second.audited) == (4, 3, 3, 1)
    assert first.correlation == pytest.approx(
        spearmanr([0.5, 0.4, 0.3, 0.35], [0.9, 0.8, 0.7, 0.6]).statistic
    )
    assert second.correlation is None and "is unknown" in sentence(2, second)


@pytest.mark.parametrize(("full", "advised"), [([0.4, 0.3, 0.2, 0.1], False), ([0.1, 0.4, 0.3, 0.2], True)])
def test_a_rung_that_hardly_ranks_has_a_remedy(full: list[float], advised: bool) -> None:
    short = [0.9, 0.8, 0.7, 0.6]
    found = [evaluation(n, str(n), "ok", [short[n]], full[n]) for n in range(4)]
    (rung,) = rank_rungs(found, [(0.25, 0.5)], by_expression)
    text = sentence(1, rung)
    assert "Rung 1 (25% of the epochs, 50% of the samples) let 4 of 4 candidates go on" in text
    assert ("give the rungs more epochs or samples" in text) == advised
