"""Whether a front still rises, and what would improve it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from zerocross.reports.convergence import convergence
from zerocross.reports.page import render
from zerocross.reports.records import Evaluation, Run

MakeRun = Callable[..., Run]


def searched(make_run: MakeRun, errors: list[float], deviation: float, optimism: float = 0.0) -> Run:
    """Return a run of two objectives with these errors in the order of the search, each with a smaller network."""
    run = make_run(60)
    evaluations = [
        Evaluation(n, f"{n:08x}", "sin(x)", {}, False, "ok", None, {"error": error, "lut": 1000.0 - n})
        for n, error in enumerate(errors)
    ]
    net = run.front[0]
    accuracy = 1 - min(errors) - optimism
    front = replace(
        net,
        search_error=min(errors),
        metrics={**net.metrics, "error": min(errors) + optimism},
        validation=[accuracy - deviation, accuracy, accuracy + deviation],
    )
    config = {
        "output": "runs",
        "search": {"generations": 5, "seeds": 2, "budget_minutes": None},
        "training": {"epochs": 20},
    }
    return replace(
        run, objectives=["error", "lut"], evaluations=evaluations, front=[front], references=[], config=config
    )


def test_a_front_that_falls_steadily_still_rises(make_run: MakeRun) -> None:
    found = convergence(searched(make_run, [0.5 - 0.01 * n for n in range(40)], 0.001))
    assert found is not None and found.rising and found.rise > 0.1
    assert found.deviation == pytest.approx(0.001)
    assert found.command == "zerocross search runs/digits/config.yaml --set search.generations=10"
    assert "the front still rises" in " ".join(found.sentences)


def test_a_budget_is_doubled_where_it_ended_the_search(make_run: MakeRun) -> None:
    run = searched(make_run, [0.5 - 0.01 * n for n in range(40)], 0.001)
    config = {**run.config, "search": {"generations": None, "budget_minutes": 30.0, "seeds": 1}}
    found = convergence(replace(run, config=config))
    assert found is not None and found.command.endswith("--set search.budget_minutes=60")


def test_a_rise_within_the_noise_of_seeds_is_none(make_run: MakeRun) -> None:
    errors = [0.3 - 0.01 * n for n in range(20)] + [0.11 - 0.0001 * n for n in range(20)]
    found = convergence(searched(make_run, errors, 0.05, optimism=0.04))
    assert found is not None and found.noise is not None and not found.rising
    assert found.optimism == pytest.approx(0.04)
    assert found.command.endswith("--set search.seeds=4") and "points higher" in found.sentences[2]


def test_a_flat_front_is_trained_longer(make_run: MakeRun) -> None:
    run = searched(make_run, [0.3 - 0.01 * n for n in range(20)] + [0.4] * 20, 0.001)
    run = replace(run, evaluations=[replace(e, metrics={**e.metrics, "lut": 500.0}) for e in run.evaluations])
    found = convergence(run)
    assert found is not None and found.rise == 0 and not found.rising
    assert found.command == "zerocross retrain runs/digits knee --epochs 40"
    assert found.command in render(run)


def test_too_few_candidates_say_nothing(make_run: MakeRun) -> None:
    assert convergence(searched(make_run, [0.3, 0.2], 0.01)) is None


def test_two_final_seeds_give_no_spread(make_run: MakeRun) -> None:
    run = searched(make_run, [0.3 - 0.01 * n for n in range(20)] + [0.4] * 20, 0.001)
    run = replace(run, evaluations=[replace(e, metrics={**e.metrics, "lut": 500.0}) for e in run.evaluations])
    few = replace(run, front=[replace(net, validation=net.validation[:2]) for net in run.front])
    found = convergence(few, Path("elsewhere/run"))
    assert found is not None and found.deviation is None and found.noise is None and not found.rising
    assert "Networks have 2 final seeds, which show no spread worth trusting" in " ".join(found.sentences)
    assert found.command == "zerocross retrain elsewhere/run knee --seeds 5"
    rising = searched(make_run, [0.5 - 0.01 * n for n in range(40)], 0.001)
    rising = replace(rising, front=[replace(net, validation=net.validation[:1]) for net in rising.front])
    found = convergence(rising)
    assert found is not None and found.rising and "--set search.generations=10" in found.command
