"""Searches that end with their time. Clocks are not read: they are replaced."""

import json
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


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: self.now))


def run(config: Config, clock: Clock, minutes: float, seconds: float, epochs: float = 10.0) -> Budget:
    """Run generations of so many seconds until the budget ends, and return it."""
    evaluator: Any = SimpleNamespace(config=config, epochs=0.0, evaluations=[])
    budget = Budget(evaluator, minutes)
    while budget.goes_on():
        with budget.spending():
            clock.now += seconds
            evaluator.epochs += epochs
    return budget


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(module, "expected_epochs", lambda evaluator: 20.0)
    return Clock(monkeypatch)


def ends(config: Config) -> dict[str, int]:
    (own,) = json.loads((Path(config.output) / config.name / BUDGET).read_text()).values()
    found: dict[str, int] = own["ends"]
    return found


def test_it_keeps_time_for_the_final_trainings_and_ends_there_again(config: Config, clock: Clock) -> None:
    # Generations of 60 s with 10 epochs; the final trainings have 20 epochs, so 120 s of 10 minutes are theirs.
    budget = run(config, clock, 10, 60)
    assert ends(config) == {"10": 8} and "8 generations" in budget.ending and "2 min" in budget.ending
    assert run(config, clock, 10, 0, 0).ending.startswith("The search ended after 8 generations")


def test_a_larger_budget_goes_on(config: Config, clock: Clock) -> None:
    run(config, clock, 4, 60)
    evaluator: Any = SimpleNamespace(config=config, epochs=0.0, evaluations=[])
    longer, done = Budget(evaluator, 6), 0
    while longer.goes_on():
        with longer.spending():
            done += 1
            if done > 2:  # the first two come from the store
                clock.now += 60
                evaluator.epochs += 10
    assert ends(config) == {"4": 2, "6": 4}


def test_the_first_generation_is_always_evaluated(config: Config, clock: Clock) -> None:
    run(config, clock, 0.01, 600)
    assert ends(config) == {"0.01": 1}


def test_an_interrupted_generation_counts(config: Config, clock: Clock) -> None:
    evaluator: Any = SimpleNamespace(config=config, epochs=0.0, evaluations=[])
    budget = Budget(evaluator, 10)
    with pytest.raises(KeyboardInterrupt), budget.spending():
        clock.now += 590
        evaluator.epochs += 10
        raise KeyboardInterrupt
    run(config, clock, 10, 60)
    assert ends(config) == {"10": 1}


def test_an_interruption_late_in_a_search_keeps_its_generations(config: Config, clock: Clock) -> None:
    evaluator: Any = SimpleNamespace(config=config, epochs=0.0, evaluations=[])
    budget = Budget(evaluator, 10)
    for _ in range(6):
        assert budget.goes_on()
        with budget.spending():
            clock.now += 60
            evaluator.epochs += 10
    with pytest.raises(KeyboardInterrupt), budget.spending():
        clock.now += 90
        raise KeyboardInterrupt
    assert run(config, clock, 10, 0, 0).ending.startswith("The search ended after 6 generations")


def test_a_budget_little_larger_keeps_the_generations_of_the_smaller(config: Config, clock: Clock) -> None:
    run(config, clock, 9.2, 60)
    run(config, clock, 9.4, 0, 0)
    run(config, clock, 5, 0, 0)
    found = ends(config)
    assert found["9.4"] >= found["9.2"] > found["5"] > 1


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


def test_a_search_ends_after_a_generation_and_repeats_it(tmp_path: Path) -> None:
    base = merged(CONTENT, {"output": str(tmp_path), "final": {"seeds": 1}})
    base["search"] = {"population": 4, "budget_minutes": 0.001, "workers": 2}
    first = search(make_config(base), executor=InProcess())
    assert max(e.generation for e in first.run.evaluations) == 1 and "1 generation" in first.run.remarks[0]
    again = search(make_config(base))
    assert again.trained == 0 and again.run.front == first.run.front
    assert make_config(again.run.config) == make_config(base)
    more = {"search": {"budget_minutes": 1000, "generations": 2}}
    longer = search(make_config(merged(base, more)), executor=InProcess())
    count = len(first.run.evaluations)
    assert longer.run.evaluations[:count] == first.run.evaluations and len(longer.run.evaluations) > count
    assert not any("search.budget_minutes" in text for text in longer.run.remarks if "ended" in text)
