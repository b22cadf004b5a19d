"""Searches in which trainings fail or results are lost, with an executor that makes up all results."""

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from zerocross import search
from zerocross.digests import digest_of
from zerocross.hw_search.commands.output import print_run
from zerocross.hw_search.config import Config, make_config
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.execution.tasks import Result, Task, TrainingTask
from zerocross.hw_search.final_training import Scope, front, scopes
from zerocross.hw_search.watcher import Silent


def result_of(work: TrainingTask) -> Result:
    """Return a result in which a sine is more accurate than the plain sign, and has more crossings."""
    sine = work.expressions[0] == "sin(x)"
    accuracy = 0.9 if sine else 0.8
    return {
        "status": "ok",
        "expressions": list(work.expressions),
        "accuracy": accuracy,
        "test": accuracy,
        "crossings": {"dense1_sign": [3 if sine else 1] * 8},
        "binarized": None,
        "sites": [],
        "agreement": {
            "images": 1,
            "bits": 1,
            "differences": 0,
            "end_to_end": 1,
            "wrong_classes": 0,
            "ties": [],
        },
        "savings": {"constant_channels": 0, "weight_bits": 0, "first_bits": 0, "first_bits_left": 0},
    }


class Failing:
    """An executor whose workers die of some tasks."""

    def __init__(self, fatal: Callable[[TrainingTask], bool]) -> None:
        self.fatal, self.given = fatal, 0

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Result]]:
        for index, work in enumerate(tasks):
            self.given += 1
            assert isinstance(work, TrainingTask)
            if self.fatal(work):
                yield index, {"status": "failed", "passing": True, "died": True, "reason": "its worker died"}
            else:
                result = result_of(work)
                if work.weights:
                    Path(work.weights).parent.mkdir(exist_ok=True)
                    Path(work.weights).touch()
                    result["weights"] = digest_of(Path(work.weights))
                yield index, result

    def close(self) -> None:
        pass


@pytest.fixture
def small(tmp_path: Path) -> Config:
    return make_config(
        {
            "name": "small",
            "output": str(tmp_path),
            "data": {"name": "digits", "limit": 200},
            "activation": {"encoding": "list", "expressions": ["x", "sin(x)"]},
            "topology": {"name": "mlp", "hidden": [8], "input_bits": 1},
            "folding": {"target_cycles": 256},
            "search": {"strategy": "exhaustive", "stack": 1},
            "final": {"seeds": 2, "controls": ["shifted"]},
        }
    )


def is_sign(work: TrainingTask) -> bool:
    return work.expressions == ("x",)


@pytest.mark.parametrize(
    ("fatal", "remark", "signs"),
    [
        (
            lambda work: is_sign(work) and not work.final,
            "The comparison leaves out the plain sign, because its training in the search failed (its worker died).",
            0,
        ),
        (
            lambda work: is_sign(work) and work.final,
            "2 of 2 final trainings of the plain sign failed, so it is left out (its worker died). Run the same command to "
            "try again.",
            0,
        ),
        (
            lambda work: is_sign(work) and work.final and work.seed == 2,
            "1 of 2 final trainings of the plain sign failed, so its figures are those of the others (its worker died).",
            1,
        ),
        (
            lambda work: work.expressions[0].startswith("sub"),
            "2 of 2 final trainings of the plain sign with a shifted start failed, so it is left out (its worker died).",
            1,
        ),
    ],
)
def test_a_plain_sign_or_control_that_fails_is_left_out_and_said(
    small: Config,
    fatal: Callable[[TrainingTask], bool],
    remark: str,
    signs: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    result = search(small, executor=Failing(fatal))
    assert result.run.finished and len(result.run.references) == signs
    assert [text for text in result.run.remarks if text.startswith(remark)], result.run.remarks
    print_run(result.run)
    assert remark in capsys.readouterr().out and remark in (result.folder / "report.html").read_text()


def test_nothing_is_said_where_nothing_failed(small: Config) -> None:
    assert search(small, executor=Failing(lambda work: False)).run.remarks == []


def test_workers_that_die_over_and_over_end_the_search_and_it_resumes(small: Config) -> None:
    many = small.model_copy(
        update={
            "activation": small.activation.model_copy(
                update={"expressions": ["x", *(f"sin({number} * x)" for number in range(1, 20))]}
            )
        }
    )
    executor = Failing(lambda work: not is_sign(work))
    with pytest.raises(UserError, match="8 trainings in a row ended with their worker processes.*to resume"):
        search(many, executor=executor)
    assert executor.given < 12
    assert search(many, executor=Failing(lambda work: False)).run.finished


class Notes(Silent):
    def __init__(self) -> None:
        self.found: list[str] = []

    def note(self, text: str) -> None:
        self.found.append(text)


def test_a_damaged_result_is_said_and_trained_again(small: Config) -> None:
    first, notes = search(small, executor=Failing(lambda work: False)), Notes()
    file = first.folder / "store.sqlite"
    content = file.read_bytes()
    assert b'"accuracy": 0.8' in content
    file.write_bytes(content.replace(b'"accuracy": 0.8', b'"accuracy": 0.9', 1))
    again = search(small, notes, Failing(lambda work: False))
    assert notes.found == [f"1 result is damaged in {file}: these trainings run again."]
    assert again.trained == 1 and again.front == first.front
    assert again.run.references == first.run.references


@pytest.mark.parametrize("lost", ["gone", "empty", "without rows"])
def test_a_store_that_is_lost_beside_a_finished_front_is_said(small: Config, lost: str) -> None:
    first, notes = search(small, executor=Failing(lambda work: False)), Notes()
    file = first.folder / "store.sqlite"
    if lost == "gone":
        file.unlink()
    elif lost == "empty":
        file.write_bytes(b"")
    else:
        with sqlite3.connect(file) as base:
            base.execute("DELETE FROM evaluations")
    again = search(small, notes, Failing(lambda work: False))
    assert "its store.sqlite is gone or empty: all networks train again" in notes.found[0]
    assert again.trained == first.trained and again.front == first.front


def test_a_new_run_and_a_sound_store_need_no_note(small: Config) -> None:
    notes = Notes()
    for _ in range(2):
        search(small, notes, Failing(lambda work: False))
    assert notes.found == []


def test_a_clock_that_falls_back_changes_no_duration(small: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(10**9, 0, -82_770))
    monkeypatch.setattr(time, "time", lambda: float(next(now)))
    assert 0 <= search(small, executor=Failing(lambda work: False)).run.seconds < 600


def test_a_shortened_scope_says_all_that_it_leaves_out(small: Config) -> None:
    def evaluation(number: int, reference: bool, error: float, lut: int) -> Any:
        return SimpleNamespace(
            id=str(number), status="ok", reference=reference, metrics={"error": error, "lut": lut}
        )

    def candidate(number: int) -> Any:
        return SimpleNamespace(
            has_activations=True, with_expressions=lambda expressions: SimpleNamespace(id=str(number))
        )

    config = small.model_copy(update={"objectives": ["error", "lut"]})
    # A small plain sign and a searched network with the same choices dominate another plain sign.
    evaluations = [
        evaluation(*each) for each in [(0, True, 0.2, 10), (1, False, 0.03, 20), (2, True, 0.05, 40)]
    ]
    candidates = {"0": candidate(0), "1": candidate(0), "2": candidate(2)}
    evaluator: Any = SimpleNamespace(config=config, evaluations=evaluations, candidates=candidates)
    assert scopes(evaluator) == [Scope(2), Scope(2, 2), Scope(2, 1)]
    begins = "To end in time, the final trainings"
    assert [scope.shortened(evaluator) for scope in scopes(evaluator)] == [
        "",
        f"{begins} leave out the other best plain signs.",
        f"{begins} have only 1 of the 2 networks of the front and leave out the other best plain signs.",
    ]
    evaluator.config = config.model_copy(update={"final": config.final.model_copy(update={"seeds": 5})})
    assert Scope(2).shortened(evaluator) == f"{begins} have only 2 seeds instead of 5."
    evaluator.evaluations = evaluations[:2]  # no other plain sign is lost
    assert Scope(5, 2).shortened(evaluator) == ""


@pytest.mark.parametrize(
    ("networks", "kept"), [(None, "01234"), (4, "0134"), (3, "134"), (2, "14"), (1, "1")]
)
def test_a_limited_front_keeps_searched_activations_first(
    small: Config, networks: int | None, kept: str
) -> None:
    final = small.final.model_copy(update={"networks": networks})
    config = small.model_copy(update={"objectives": ["error", "lut"], "final": final})
    evaluations = [
        SimpleNamespace(
            id=str(place),
            status="ok",
            reference=reference,
            metrics={"error": place / 100, "lut": 50 - 10 * place},
        )
        for place, reference in enumerate([True, False, True, False, False])
    ]
    evaluator: Any = SimpleNamespace(config=config, evaluations=evaluations)
    assert "".join(evaluation.id for evaluation in front(evaluator)) == kept
