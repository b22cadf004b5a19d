"""First evaluation rounds: the selected candidates, and the effect on a search."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hw_search.conftest import CONTENT, merged
from zerocross import search
from zerocross.hw_search.config import make_config
from zerocross.hw_search.evaluator import Evaluator, Trial
from zerocross.hw_search.space import Candidate
from zerocross.hw_search.strategies.halving import Rung
from zerocross.reports.page import render


@given(
    st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=9), min_size=1, max_size=6), st.floats(0.05, 1)
)
def test_the_best_share_of_all_looks_goes_on(batches: list[list[float]], keep: float) -> None:
    rung, seen = Rung(keep), list[float]()
    for batch in batches:
        better = rung.better([(value,) for value in batch])
        seen += batch
        limit = sorted(seen)[int(np.ceil(keep * len(seen))) - 1]
        assert all(value <= limit for value, on in zip(batch, better, strict=True) if on)
        assert all(value >= limit for value, on in zip(batch, better, strict=True) if not on)


def test_what_nothing_dominates_goes_before_what_is_dominated() -> None:
    points = [(0.1, 9.0), (0.2, 9.5), (0.3, 5.0), (0.25, 9.5), (0.9, 1.0), (0.95, 9.0)]
    assert Rung(0.5).better(points) == [True, False, True, False, True, False]
    assert Rung(0.5).better([]) == []


@pytest.fixture(scope="module")
def halved(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    change = {
        "training": {"epochs": 4},
        "search": {"first_look": 0.25, "population": 12, "seeds": 2},
        "topology": {"hidden": [12]},
        "output": str(tmp_path_factory.mktemp("halved")),
    }
    config = make_config(merged(CONTENT, change))
    return config, search(config)


def test_a_search_stops_some_after_a_first_look(halved) -> None:  # type: ignore[no-untyped-def]
    _, result = halved
    counts = Counter(evaluation.status for evaluation in result.run.evaluations)
    for evaluation in result.run.evaluations:
        if evaluation.status == "stopped":
            assert "first evaluation round (1 of its epochs)" in evaluation.reason
            assert not evaluation.reference
            assert 0 < evaluation.metrics["error"] < 1
    assert counts["ok"] and counts["stopped"]
    stopped = {evaluation.id for evaluation in result.run.evaluations if evaluation.status == "stopped"}
    assert not stopped & {finalist.id for finalist in result.front}
    assert "stopped after the first evaluation round" in render(result.run)


@pytest.mark.slow
def test_again_it_is_the_same(halved, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    config, result = halved
    again = search(config.model_copy(update={"output": str(tmp_path)}))
    assert again.run.evaluations == result.run.evaluations
    replayed = search(config)
    assert replayed.trained == 0 and replayed.run.evaluations == result.run.evaluations


def test_a_failure_after_a_look_is_a_failure() -> None:
    trial = Trial(Candidate((), {}, {}, {}, {}), metrics={"error": 0.1, "lut": 400.0})
    Evaluator._measure(None, trial, [{"status": "failed", "reason": "not finite"}])  # type: ignore[arg-type]
    assert (trial.status, trial.reason, trial.metrics) == ("failed", "not finite", {})
