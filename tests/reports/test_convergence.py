"""Whether a front still rises, and what would improve it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from zerocross.reports.convergence import Advice, convergence
from zerocross.reports.page import render
from zerocross.reports.records import Evaluation, Run, TrainingCurve
from zerocross.reports.run_progress import progress
from zerocross.reports.summary import search_front

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


def advice(run: Run, folder: Path | None = None) -> Advice:
    found = convergence(run, folder).advice
    assert found is not None
    return found


def flat(make_run: MakeRun) -> Run:
    """Return a run whose front no longer rises."""
    run = searched(make_run, [0.3 - 0.01 * n for n in range(20)] + [0.4] * 20, 0.001)
    return replace(
        run, evaluations=[replace(e, metrics={**e.metrics, "lut": 500.0}) for e in run.evaluations]
    )


def configured(run: Run, section: str, **fields: object) -> Run:
    return replace(run, config={**run.config, section: {**run.config.get(section, {}), **fields}})


def with_curves(run: Run, validation: list[float]) -> Run:
    """Return a run whose front trained for 8 epochs, with this validation accuracy after each but the last."""
    curve = TrainingCurve(0, 1.0, 0.9, [0.5] * 8, list(range(1, 8)), validation)
    ids = {net.id for net in run.front}
    best = min(run.evaluations, key=lambda e: e.metrics["error"])
    front = [replace(net, id=best.id) for net in run.front]
    assert ids and len(front) == 1
    found = [replace(e, trainings=[curve]) if e is best else e for e in run.evaluations]
    return replace(run, evaluations=found, front=front)


@pytest.mark.parametrize(
    ("folder", "place"),
    [
        ("runs/digits", ""),
        ("runs/digits/earlier/1a2b3c4d", ""),
        ("elsewhere/copy", " --output {here}/elsewhere --name copy"),
    ],
)
def test_the_command_reaches_its_folder(
    make_run: MakeRun, folder: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = searched(make_run, [0.5 - 0.01 * n for n in range(40)], 0.001)
    wanted = f"zerocross search {folder}/config.yaml{place.format(here=tmp_path)} --set search.generations=10"
    assert advice(run, Path(folder)).command == wanted


def test_a_front_that_falls_steadily_still_rises(make_run: MakeRun) -> None:
    run = searched(make_run, [0.5 - 0.01 * n for n in range(40)], 0.001)
    found = convergence(run)
    assert found.rising and found.rise is not None and found.rise > 0.1
    assert found.deviation == pytest.approx(0.001)
    assert advice(run).command == "zerocross search runs/digits/config.yaml --set search.generations=10"
    assert "the front still rises" in " ".join(found.sentences)
    assert found.sentences[-1].endswith(advice(run).command)
    assert advice(run).command in render(run)


def test_a_budget_is_doubled_where_it_ended_the_search(make_run: MakeRun) -> None:
    run = searched(make_run, [0.5 - 0.01 * n for n in range(40)], 0.001)
    ending = "The search ended after 2 generations (40 candidates), as search.budget_minutes is 30."
    timed = replace(configured(run, "search", generations=None, budget_minutes=30.0), remarks=[ending])
    assert advice(timed).command.endswith("config.yaml --set search.budget_minutes=60")
    both = configured(run, "search", budget_minutes=30.0)
    assert advice(both).command.endswith("--set search.generations=10 --set search.budget_minutes=60")
    ended = replace(both, remarks=[ending])
    assert advice(ended).command.endswith("config.yaml --set search.budget_minutes=60")


def test_a_callback_or_an_exhausted_space_ends_a_search(make_run: MakeRun) -> None:
    run = searched(make_run, [0.5 - 0.01 * n for n in range(40)], 0.001)
    run = replace(run, evaluations=[replace(e, generation=2) for e in run.evaluations])
    stopped = replace(run, remarks=["A callback ended the search after generation 2."])
    assert advice(stopped).command == "zerocross search runs/digits/config.yaml"
    assert "generations" not in advice(run).command  # 2 of 5 generations: there was nothing left to evaluate
    whole = replace(run, exhausted=True, evaluations=[replace(e, generation=5) for e in run.evaluations])
    assert advice(whole).fact.startswith("all candidates of the space are evaluated")


def test_a_rise_within_the_noise_of_seeds_is_none(make_run: MakeRun) -> None:
    errors = [0.3 - 0.01 * n for n in range(20)] + [0.11 - 0.0001 * n for n in range(20)]
    run = searched(make_run, errors, 0.05, optimism=0.04)
    found = convergence(run)
    assert found.noise is not None and not found.rising
    assert found.optimism == pytest.approx(0.04) and "points higher" in found.sentences[2]
    assert advice(run).command.endswith("--set search.seeds=4")
    assert "4.00 points higher with fresh seeds" in advice(run).fact
    timed = configured(run, "search", generations=None, budget_minutes=2.0)
    assert advice(timed).command.endswith("--set search.seeds=4 --set search.budget_minutes=4")


def test_learning_curves_that_still_rise_want_more_epochs(make_run: MakeRun) -> None:
    rising = [0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7]
    run = with_curves(flat(make_run), rising)
    # Of eight epochs, 3 to 5 are the middle third and 6 and 7 the last one.
    assert advice(run).fact.startswith(
        "the validation accuracy of the front's networks was 12.5 points higher"
    )
    assert advice(run).command.endswith("config.yaml --set training.epochs=40")
    choice = configured(run, "training", epochs={"choose": [10, 20]})
    assert advice(choice).command.endswith("--set 'training.epochs={choose: [20, 40]}'")
    limited = configured(with_curves(run, [0.6] * 7), "data", limit=4000)
    assert advice(limited).command.endswith("--set data.limit=null")
    assert advice(limited).fact == "data.limit is 4,000 samples"


def test_where_nothing_speaks_for_more_there_is_no_command(make_run: MakeRun) -> None:
    run = flat(make_run)
    found = convergence(run)
    assert found.rise == 0 and not found.rising
    assert advice(run).command == "" and "more operations" in found.sentences[-1]
    assert advice(run).sentence in render(run).replace("&#39;", "'")


def test_too_few_candidates_are_said_to_be_too_few(make_run: MakeRun) -> None:
    ending = "The search ended after 1 generation (4 candidates), as search.budget_minutes is 2.5."
    run = replace(searched(make_run, [0.3, 0.2, 0.1, 0.1], 0.01), remarks=[ending])
    run = configured(run, "search", generations=None, budget_minutes=2.5)
    found = convergence(run)
    assert found.rise is None and not found.rising
    assert found.sentences[0] == (
        "Whether the front still rises cannot be said yet: 4 candidates have a result, and a statement needs 8."
    )
    assert advice(run).command.endswith("--set search.budget_minutes=10")
    assert found.sentences[0] in render(run)
    nothing = replace(run, evaluations=[], front=[])
    assert convergence(nothing).advice is None and len(convergence(nothing).sentences) == 1


def test_a_front_that_was_cut_wants_time(make_run: MakeRun) -> None:
    run = configured(flat(make_run), "search", budget_minutes=30.0)
    first, *others = run.evaluations
    small = replace(
        first, metrics={**first.metrics, "lut": 400.0}
    )  # also on the front, and not trained again
    run = replace(run, evaluations=[small, *others])
    assert len(search_front(run)) == 2
    assert advice(run).command.endswith("config.yaml --set search.budget_minutes=60")
    assert advice(run).fact == "the final trainings cover only 1 of the 2 networks of the front"
    assert "time" not in advice(configured(run, "search", budget_minutes=None)).sentence


def test_a_front_of_plain_signs_does_not_rise(make_run: MakeRun) -> None:
    run = searched(make_run, [0.5 - 0.01 * n for n in range(20)], 0.001)
    assert convergence(run).rising
    sign = replace(run.evaluations[0], id="sign", reference=True, metrics={"error": 0.1, "lut": 100.0})
    found = convergence(replace(run, evaluations=[sign, *run.evaluations]))
    assert found.candidates == 20 and found.rise == 0 and not found.rising


def test_candidates_that_fail_are_mended_first(make_run: MakeRun) -> None:
    run = searched(make_run, [0.5 - 0.01 * n for n in range(20)], 0.001)
    failed = [replace(e, status="failed", reason="no gradient", metrics={}) for e in run.evaluations[:12]]
    found = advice(replace(run, evaluations=[*failed, *run.evaluations[12:]]))
    assert found.command == "" and found.fact == "most candidates failed: 12 failed (no gradient)"
    assert found.sentence.endswith("Mend this first.")


def test_two_final_seeds_give_no_spread(make_run: MakeRun) -> None:
    run = flat(make_run)
    few = replace(run, front=[replace(net, validation=net.validation[:2]) for net in run.front])
    found = convergence(few, Path("elsewhere/run"))
    assert found.deviation is None and found.noise is None and not found.rising
    assert "Networks have 2 final seeds, which show no spread worth trusting" in " ".join(found.sentences)
    rising = searched(make_run, [0.5 - 0.01 * n for n in range(40)], 0.001)
    rising = replace(rising, front=[replace(net, validation=net.validation[:1]) for net in rising.front])
    assert convergence(rising).rising and "--set search.generations=10" in advice(rising).command


def test_plain_signs_within_the_noise_are_said_to_be(make_run: MakeRun) -> None:
    run = searched(make_run, [0.3 - 0.01 * n for n in range(20)], 0.001)
    sign = replace(
        run.evaluations[0], number=20, id="sign", reference=True, metrics={"error": 0.2, "lut": 990.0}
    )
    run = replace(run, evaluations=[*run.evaluations, sign])
    found = progress(run)
    assert found is not None and found.signs is not None and found.noise is not None
    assert "difference is more than the noise" in found.sentence and found.history[-1] > found.signs
    noisy = replace(run, front=[replace(net, validation=[0.8, 0.9, 1.0]) for net in run.front])
    within = progress(noisy)
    assert within is not None and "difference is within the noise" in within.sentence
    assert within.sentence in render(noisy)
    unknown = progress(replace(run, front=[replace(net, validation=[0.9]) for net in run.front]))
    assert unknown is not None and "is unknown" in unknown.sentence
    alone = progress(replace(run, evaluations=run.evaluations[:-1]))
    assert alone is not None and alone.sentence == ""
