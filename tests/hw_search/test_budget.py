"""Searches that end with their time. Clocks are not read: they are replaced."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.hw_search.conftest import CONTENT, InProcess, merged
from zerocross import search
from zerocross.hw_search import budget as module
from zerocross.hw_search.budget import BUDGET, Budget
from zerocross.hw_search.config import Config, make_config
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.final_training import Scope
from zerocross.hw_search.pace import ENDING

SECONDS = 5.0
"""Duration of a candidate and of a final training of one seed."""


FINGERPRINT = "samples"


class Durations:
    """What a search is expected to take."""

    final_ratio = 1.0

    def seconds(self, candidates: int) -> float:
        return SECONDS * candidates

    def final_seconds(self, candidates: int, seeds: int = 5) -> float:
        return ENDING + SECONDS * seeds

    def fits(self, seconds: float) -> int:
        return int((seconds - min(self.final_seconds(1), seconds / 2)) / SECONDS)


class Clock:
    now = 0.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: made.now))
    monkeypatch.setattr(module, "scopes", lambda evaluator: [Scope(5), Scope(3), Scope(2), Scope(2, 1)])
    monkeypatch.setattr(module, "final_seconds", lambda evaluator, scope: 2 * SECONDS * scope.seeds)
    monkeypatch.setattr(module, "parallel_trainings", lambda config: 2)
    monkeypatch.setattr(Scope, "shortened", lambda scope, evaluator: "" if scope == Scope(5) else str(scope))
    return made


def fake(config: Config, audit: float = 0.0) -> Any:
    """Return an evaluator that expects so many seconds of an audit in one worker."""
    data = SimpleNamespace(fingerprint=FINGERPRINT)
    return SimpleNamespace(
        config=config, data=data, evaluations=[], generation=0, audit_seconds=lambda: audit
    )


def run(
    config: Config,
    clock: Clock,
    minutes: float,
    generations: Sequence[int] = (24, *([8] * 99)),
    seconds: float | Callable[[int], float] = SECONDS,
    note: Callable[[str], None] = lambda text: None,
    audit: float = 0.0,
) -> tuple[list[int], Budget]:
    """Run generations until the budget ends; return the candidates that each evaluation had, and the budget."""
    evaluator = fake(config, audit)
    budget, taken = Budget(evaluator, minutes, Durations, note), list[int]()  # type: ignore[arg-type]
    for size in generations:
        evaluator.generation += 1
        waiting = size
        while waiting and (part := budget.take(waiting)):
            with budget.spending(part):
                known = sum(taken)
                each = seconds(known) if callable(seconds) else seconds
                clock.now += part * each
            taken.append(part)
            waiting -= part
        if waiting:
            break
    if audit:
        with budget.auditing():
            clock.now += audit / 2  # two workers
    budget.scope()
    return taken, budget


def ended(config: Config) -> dict[str, Any]:
    (own,) = json.loads((Path(config.output) / config.name / BUDGET).read_text()).values()
    found: dict[str, Any] = own["ends"]
    return found


def test_a_search_ends_at_its_time_with_all_final_trainings(config: Config, clock: Clock) -> None:
    taken, budget = run(config, clock, 10)
    # 600 s: 25 s of final trainings, 4 s of files, the rest in candidates of 5 s.
    assert taken[0] == 24 and abs(sum(taken) - (600 - 25 - ENDING) / SECONDS) < 4
    assert budget.scope() == Scope(5)
    clock.now += 1e6
    assert run(config, clock, 10, seconds=0)[0] == taken  # the same command


def test_a_short_budget_cuts_the_first_generation_and_the_final_trainings(
    config: Config, clock: Clock
) -> None:
    notes: list[str] = []
    taken, budget = run(config, clock, 1, note=notes.append)
    spent = sum(taken) * SECONDS
    assert 4 <= sum(taken) < 24 and spent + SECONDS * budget.scope().seeds + ENDING <= 60 + 2 * SECONDS
    assert "24 candidates with all final trainings need about 2 min" in notes[0]
    assert "begins with 6 of them" in notes[0] and "Even so" not in notes[0]


def test_a_budget_for_nothing_says_what_it_takes(config: Config, clock: Clock) -> None:
    notes: list[str] = []
    taken, budget = run(config, clock, 0.01, note=notes.append)
    assert taken == [4] and budget.scope() == Scope(2, 1)
    assert "Even so, it takes about 34 s" in notes[0]


def test_a_slow_machine_shortens_the_final_trainings(config: Config, clock: Clock) -> None:
    taken, budget = run(config, clock, 3, seconds=3 * SECONDS)
    assert taken == [24] and budget.scope() == Scope(2, 1)
    assert "final" not in budget.ending or "Scope" in budget.ending
    assert run(config, clock, 3, seconds=0)[1].scope() == Scope(2, 1)


def test_a_larger_budget_goes_on(config: Config, clock: Clock) -> None:
    short, _ = run(config, clock, 4)
    done = sum(short)
    longer, _ = run(config, clock, 8, seconds=lambda known: 0 if known < done else SECONDS)
    assert longer[: len(short) - 1] == short[:-1] and sum(longer) > done
    assert set(ended(config)) == {"4", "8"}


@pytest.mark.parametrize("minutes", [3, 4, 5, 6, 7])
def test_a_smaller_budget_after_a_larger_one_ends_as_a_fresh_one(
    config: Config, clock: Clock, minutes: float
) -> None:
    fresh, alone = run(config, clock, minutes)
    (Path(config.output) / config.name / BUDGET).unlink()
    run(config, clock, 60)
    taken, budget = run(config, clock, minutes, seconds=0)
    assert budget.scope() == alone.scope() == Scope(5) and sum(taken) == pytest.approx(sum(fresh), abs=2)


def test_the_pace_does_not_contain_an_earlier_audit(config: Config, clock: Clock) -> None:
    short, _ = run(config, clock, 4, audit=300)
    longer, _ = run(config, clock, 7, seconds=lambda known: 0 if known < sum(short) else SECONDS, audit=1)
    # The shorter search took 270 s with its audit. Less 29 s at the end, 120 s are left for candidates.
    assert sum(longer) == sum(short) + 120 / SECONDS


def test_other_data_begins_anew(config: Config, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    before, _ = run(config, clock, 10)
    monkeypatch.setitem(globals(), "FINGERPRINT", "more samples")
    after, _ = run(config, clock, 10, seconds=3 * SECONDS)
    assert sum(after) < sum(before) / 2


def test_the_audit_of_rungs_is_within_the_time(config: Config, clock: Clock) -> None:
    plain, _ = run(config, clock, 10)
    (Path(config.output) / config.name / BUDGET).unlink()
    taken, budget = run(config, clock, 10, audit=200)
    assert sum(plain) - sum(taken) == pytest.approx(100 / SECONDS, abs=4) and budget.scope() == Scope(5)
    again, _ = run(config, clock, 10, seconds=0, audit=200)  # the same command
    assert again == taken


def test_an_audit_that_takes_longer_shortens_the_final_trainings(config: Config, clock: Clock) -> None:
    budget = Budget(fake(config), 10, Durations)  # type: ignore[arg-type]
    budget.take(24)
    with budget.spending(24):
        clock.now += 120
    with pytest.raises(KeyboardInterrupt), budget.auditing():
        clock.now += 400  # also one that is interrupted
        raise KeyboardInterrupt
    budget = Budget(fake(config), 10, Durations)  # type: ignore[arg-type]
    budget.take(24)
    with budget.spending(24):
        clock.now += 1
    with budget.auditing():
        clock.now += 75
    assert budget.scope() == Scope(2, 1)


def test_an_interrupted_generation_counts(config: Config, clock: Clock) -> None:
    evaluator = fake(config)
    budget = Budget(evaluator, 10, Durations)  # type: ignore[arg-type]
    assert budget.take(24) == 24
    with pytest.raises(KeyboardInterrupt), budget.spending(24):
        clock.now += 590
        raise KeyboardInterrupt
    taken, again = run(config, clock, 10)
    assert taken == [24] and again.scope() == Scope(2, 1)


def test_an_interruption_late_in_a_search_keeps_its_generations(config: Config, clock: Clock) -> None:
    evaluator = fake(config)
    budget = Budget(evaluator, 10, Durations)  # type: ignore[arg-type]
    for _ in range(6):
        assert budget.take(16) == 16
        with budget.spending(16):
            clock.now += 80
    assert budget.take(16)
    with pytest.raises(KeyboardInterrupt), budget.spending(16):
        clock.now += 90
        raise KeyboardInterrupt
    taken, _ = run(config, clock, 10, generations=[16] * 99, seconds=0)
    assert taken[:6] == [16] * 6 and len(taken) <= 7


def test_a_damaged_or_older_file_costs_only_the_memory(config: Config, clock: Clock) -> None:
    run(config, clock, 4)
    path = Path(config.output) / config.name / BUDGET
    path.write_text('{"1a2b3c4d": {"seconds": 1.0, "epochs": 2.0, "after": [1.0], "ends": {"4": 1}}}')
    assert sum(run(config, clock, 4)[0]) >= 24


def test_the_configuration_needs_one_end(content: dict[str, Any]) -> None:
    def search_of(**change: Any) -> Any:
        section = {"population": 4, **change}
        return make_config({**content, "search": section}).search

    assert search_of().generations == 8
    assert search_of(budget_minutes=5).generations is None
    assert search_of(budget_minutes=5, generations=3).generations == 3
    with pytest.raises(UserError, match="give generations, budget_minutes or both"):
        search_of(generations=None)
    with pytest.raises(UserError, match="which no budget ends"):
        search_of(budget_minutes=5, strategy="differentiable")


def test_a_search_ends_in_a_generation_and_repeats_it(tmp_path: Path) -> None:
    base = merged(CONTENT, {"output": str(tmp_path), "final": {"seeds": 3}})
    base["search"] = {"population": 8, "budget_minutes": 0.001, "workers": 2}
    first = search(make_config(base), executor=InProcess())
    assert max(e.generation for e in first.run.evaluations) == 1 and "1 generation" in first.run.remarks[0]
    assert "2 seeds instead of 3" in first.run.remarks[0] and {len(net.seeds) for net in first.front} == {2}
    again = search(make_config(base))
    assert again.trained == 0 and again.run.front == first.run.front
    assert make_config(again.run.config) == make_config(base)
    more = {"search": {"budget_minutes": 1000, "generations": 2}}
    longer = search(make_config(merged(base, more)), executor=InProcess())
    known = {e.id: e.metrics for e in longer.run.evaluations}
    assert all(known[e.id] == e.metrics for e in first.run.evaluations) and len(known) > len(
        first.run.evaluations
    )
    assert {len(net.seeds) for net in longer.front} == {3}
    assert not any("search.budget_minutes" in text for text in longer.run.remarks if "ended" in text)
