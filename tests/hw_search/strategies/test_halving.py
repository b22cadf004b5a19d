"""Rungs: the candidates that they select, and their effect on a search."""

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from tests.hw_search.conftest import CONTENT, merged
from zerocross.hw_search.config import Config, make_config
from zerocross.hw_search.evaluator import Evaluator, Trial
from zerocross.hw_search.execution.tasks import Result, Task, TrainingTask
from zerocross.hw_search.pipeline import SearchResult, search
from zerocross.hw_search.space import Candidate
from zerocross.hw_search.strategies.halving import Rung
from zerocross.hw_search.strategy_config import RungConfig
from zerocross.hw_search.trainings import shortened
from zerocross.models.training_settings import TrainingSettings
from zerocross.reports.page import render
from zerocross.reports.records import Evaluation
from zerocross.reports.rungs import sentence
from zerocross.reports.storage import load_run


@given(
    st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=9), min_size=1, max_size=6), st.floats(0.05, 1)
)
def test_the_best_share_of_all_so_far_goes_on(batches: list[list[float]], keep: float) -> None:
    rung, seen = Rung(keep), list[float]()
    for batch in batches:
        better = rung.better([(value,) for value in batch])
        seen += batch
        limit = sorted(seen)[int(np.ceil(keep * len(seen))) - 1]
        assert all(value <= limit for value, on in zip(batch, better, strict=True) if on)
        assert all(value >= limit for value, on in zip(batch, better, strict=True) if not on)


def ranks(points: np.ndarray) -> np.ndarray:
    """Return the front that each point is on: remove what nothing dominates, again and again."""
    found = np.full(len(points), -1)
    while (left := found < 0).any():
        dominated = [
            any(
                (points[other] <= point).all() and (points[other] < point).any()
                for other in np.flatnonzero(left)
            )
            for point in points
        ]
        found[left & ~np.array(dominated)] = found.max() + 1
    return found


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=6),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from([0.25, 1 / 3, 0.5, 0.9]),
)
def test_several_objectives_rank_by_nondomination(batches: list[list[tuple[int, int]]], keep: float) -> None:
    rung, seen = Rung(keep), list[tuple[int, int]]()
    for batch in batches:
        better = rung.better([(float(one), float(other)) for one, other in batch])
        seen += batch
        # By front, then by the first objective, then by age.
        order = np.lexsort((np.arange(len(seen)), np.array(seen)[:, 0], ranks(np.array(seen))))
        best = set(order[: math.ceil(keep * len(seen))].tolist())
        assert better == [len(seen) - len(batch) + place in best for place in range(len(batch))]


def test_what_nothing_dominates_goes_before_what_is_dominated() -> None:
    points = [(0.1, 9.0), (0.2, 9.5), (0.3, 5.0), (0.25, 9.5), (0.9, 1.0), (0.95, 9.0)]
    assert Rung(0.5).better(points) == [True, False, True, False, True, False]
    assert Rung(0.5).better([]) == []


def test_what_breaks_a_constraint_goes_last() -> None:
    rung, points = Rung(0.5), [(0.1, 1.0), (0.5, 5.0), (0.4, 6.0), (0.2, 2.0)]
    assert rung.better(points, [3.0, 0.0, 0.0, 0.5]) == [False, True, True, False]
    # Of 6 candidates so far, 3 go on: both that break none, and of the rest the one that breaks least.
    assert rung.better([(0.9, 9.0), (0.1, 1.0)], [0.4, 0.6]) == [True, False]


def test_a_rung_is_the_recipe_made_shorter() -> None:
    whole = TrainingSettings(epochs=40, warmup=0.1, average=4.0, surrogate="tanh")
    short = shortened(whole, RungConfig(epochs=0.25, data=0.5))
    assert short == TrainingSettings(epochs=10, warmup=0.1, average=1.0, surrogate="tanh")
    assert shortened(whole, RungConfig(epochs=0.001)).epochs == 1


def accuracy_of(work: TrainingTask) -> float:
    """Return a made-up accuracy: one part of the expression alone, and one that shrinks with the length of the training."""
    length = work.settings.epochs * work.share
    parts = []
    for text in (work.expressions, (work.expressions, length, work.seed, work.settings.surrogate)):
        digest = hashlib.blake2b(repr(text).encode(), digest_size=8).digest()
        parts.append(int.from_bytes(digest) / 2**64)
    return 0.4 + 0.3 * parts[0] + 0.1 * parts[1] * (1 - length / 20)


class Instant:
    """An executor that trains nothing.

    Args:
        most: Number of results before it stops like Ctrl-C; None does not stop.
    """

    def __init__(self, most: int | None = None) -> None:
        self.works: list[TrainingTask] = []
        self._most = most

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Result]]:
        """See `Executor.run`."""
        for index, work in enumerate(tasks):
            assert isinstance(work, TrainingTask)
            if self._most is not None and len(self.works) >= self._most:
                raise KeyboardInterrupt
            self.works.append(work)
            accuracy = accuracy_of(work)
            yield (
                index,
                {
                    "status": "ok",
                    "expressions": list(work.expressions),
                    "accuracy": accuracy,
                    "test": accuracy,
                    "crossings": {"dense1_sign": [1] * work.topology["hidden"][0]},
                    "binarized": None,
                    "sites": [],
                    "agreement": {},
                    "savings": {},
                },
            )

    def close(self) -> None:
        """See `Executor.close`."""


def configured(folder: Path, **change: Any) -> Config:
    base: dict[str, Any] = {
        "output": str(folder),
        "objectives": ["error"],
        "activation": {"unary": ["x", "sin", "abs", "square", "scale", "gauss"]},
        "topology": {"hidden": [12]},
        "folding": {"target_cycles": 64},
        "training": {"epochs": 20},
        "search": {
            "strategy": "random",
            "population": 10,
            "generations": 3,
            "stack": 1,
            "keep": 0.4,
            "rungs": [{"epochs": 0.2, "data": 0.5}, {"epochs": 0.5}],
            "audit": 4,
        },
        "final": {"networks": 2},
    }
    content = {**CONTENT, "topology": {**CONTENT["topology"], "hidden": [12]}}
    return make_config(merged(merged(content, base), change))


def searched(folder: Path, executor: Instant | None = None, **change: Any) -> SearchResult:
    return search(configured(folder, **change), executor=executor or Instant())


@pytest.fixture(scope="module")
def halved(tmp_path_factory: pytest.TempPathFactory) -> tuple[SearchResult, Instant]:
    executor = Instant()
    return searched(tmp_path_factory.mktemp("halved"), executor), executor


def test_every_rung_lets_the_better_go_on(halved: tuple[SearchResult, Instant]) -> None:
    """Rungs train as configured; the best of a rung goes on, and what stops has its reason."""
    run, (result, _) = halved[0].run, halved
    candidates = [e for e in run.evaluations if not e.reference and e.status != "infeasible"]
    rungs, seen = run.config["search"]["rungs"], [list[float](), list[float]()]
    assert {len(e.rungs) for e in candidates} == {1, 2}
    for level, rung in enumerate(rungs):
        for e in candidates:
            if len(e.rungs) > level:
                expected = accuracy_of(_rung_task(halved[1], e.expression, rung))
                assert e.rungs[level] == pytest.approx(expected)
                seen[level].append(e.rungs[level])
    for e in candidates:
        if e.status == "stopped":
            assert e.metrics["error"] == pytest.approx(1 - e.rungs[-1])
            number, (epochs, data) = len(e.rungs), [(4, 50), (10, 100)][len(e.rungs) - 1]
            assert f"stopped at rung {number} ({epochs} epochs, {data}% of the samples)" in (e.reason or "")
        assert (len(e.rungs) == 2 and e.status == "ok") or e.status == "stopped" or e.audited
    best = max(seen[0])
    assert next(len(e.rungs) for e in candidates if e.rungs[0] == best) == 2
    assert not {e.id for e in candidates if e.status == "stopped"} & {f.id for f in result.front}


def _rung_task(executor: Instant, expression: str, rung: dict[str, float]) -> TrainingTask:
    (work,) = {
        (work.expressions, work.seed): work
        for work in executor.works
        if work.expressions == (expression,)
        and work.settings.epochs == round(20 * rung["epochs"])
        and work.share == rung["data"]
    }.values()
    return work


def test_the_audit_trains_some_stopped_candidates_in_full(halved: tuple[SearchResult, Instant]) -> None:
    run = halved[0].run
    audited = [e for e in run.evaluations if e.audited]
    assert len(audited) == 4
    for e in audited:
        assert e.status == "ok" and len(e.rungs) in (1, 2)
        (work,) = [
            work
            for work in halved[1].works
            if work.expressions == (e.expression,) and work.settings.epochs == 20 and not work.final
        ]
        assert work.share == 1 and 1 - e.metrics["error"] == pytest.approx(accuracy_of(work))


def test_the_audit_is_drawn_by_the_seed(halved: tuple[SearchResult, Instant], tmp_path: Path) -> None:
    def drawn(result: SearchResult) -> list[str]:
        return [e.id for e in result.run.evaluations if e.audited]

    assert drawn(searched(tmp_path / "again")) == drawn(halved[0])
    none = searched(tmp_path / "none", search={"audit": 0})
    assert not drawn(none)
    # Without it, the search asks for the same candidates.
    assert [e.id for e in none.run.evaluations] == [e.id for e in halved[0].run.evaluations]
    everything = searched(tmp_path / "all", search={"audit": 1000})
    assert "stopped" not in Counter(e.status for e in everything.run.evaluations)


def test_a_variant_rejected_before_training_does_not_escape_the_audit(tmp_path: Path) -> None:
    # 768 cycles an image are too slow: every activation has a variant that is not trained.
    result = searched(
        tmp_path,
        folding={"target_cycles": {"choose": [64, 768]}},
        constraints={"min_fps": 1e6},
        search={"audit": 1000, "population": 20},
    )
    statuses = Counter(e.status for e in result.run.evaluations)
    assert statuses["infeasible"] and "stopped" not in statuses
    assert sum(e.audited for e in result.run.evaluations) > 0


def test_the_rungs_are_measured(halved: tuple[SearchResult, Instant]) -> None:
    run = halved[0].run
    candidates = [e for e in run.evaluations if e.rungs]
    assert [(rung.epochs, rung.data) for rung in run.rungs] == [(0.2, 0.5), (0.5, 1.0)]
    for level, rung in enumerate(run.rungs):
        known = [e for e in candidates if len(e.rungs) > level and e.status != "stopped"]
        assert rung.compared == len(known) and rung.audited == sum(e.audited for e in known)
        expected = spearmanr([e.rungs[level] for e in known], [-e.metrics["error"] for e in known]).statistic
        assert rung.correlation == pytest.approx(expected)
        assert rung.interval is not None and -1 <= rung.interval[0] <= expected <= rung.interval[1] <= 1
    first, second = run.rungs
    assert first.tried == len(candidates) and first.promoted == second.tried
    assert second.promoted == sum(e.status == "ok" and not e.audited for e in candidates)
    page = render(run)
    assert sentence(1, first) in page and sentence(2, second) in page
    assert load_run(halved[0].folder).rungs == run.rungs


def test_interrupted_anywhere_it_ends_with_the_same_front(
    halved: tuple[SearchResult, Instant], tmp_path: Path
) -> None:
    total = len(halved[1].works)
    for most in (7, 10, total - 20):  # in a rung, later in the search, and in the finals
        with pytest.raises(KeyboardInterrupt):
            searched(tmp_path, Instant(most))
    after = Instant()
    again = searched(tmp_path, after).run
    assert 0 < len(after.works) < total
    assert again.evaluations == halved[0].run.evaluations
    assert [(f.id, f.test) for f in again.front] == [(f.id, f.test) for f in halved[0].front]
    assert (again.rungs, again.controls) == (halved[0].run.rungs, halved[0].run.controls)


def test_a_rung_is_shared_with_a_candidate_of_its_length(tmp_path: Path) -> None:
    searched(tmp_path, search={"rungs": [{"epochs": 0.5}]})
    # The same space, trained for as many epochs as the rung: nothing new but the plain sign and what is final.
    executor = Instant()
    searched(tmp_path, executor, training={"epochs": 10}, search={"rungs": []})
    assert {work.expressions for work in executor.works if not work.final} == {("x",)}


def untimed(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """Return evaluations without the durations, which are measured."""
    return [
        replace(entry, seconds=0.0, trainings=[replace(each, seconds=0.0) for each in entry.trainings])
        for entry in evaluations
    ]


@pytest.mark.slow
def test_a_trained_search_with_rungs_repeats_itself(tmp_path: Path) -> None:
    change = {
        "training": {"epochs": 8},
        "search": {"population": 8, "generations": 2, "stack": None, "audit": 2},
        "final": {"controls": ["polynomial"]},
    }
    results = [search(configured(tmp_path / name, **change)) for name in ("one", "other")]
    assert untimed(results[0].run.evaluations) == untimed(results[1].run.evaluations)
    assert sum(e.audited for e in results[0].run.evaluations) == 2
    again = search(configured(tmp_path / "one", **change))
    assert again.trained == 0 and again.run.evaluations == results[0].run.evaluations


def test_a_failure_after_a_rung_is_a_failure() -> None:
    trial = Trial(Candidate((), {}, {}, {}, {}), metrics={"error": 0.1, "lut": 400.0})
    Evaluator._measure(None, trial, [{"status": "failed", "reason": "not finite"}])  # type: ignore[arg-type]
    assert (trial.status, trial.reason, trial.metrics) == ("failed", "not finite", {})
