"""Steps with saved results, and the changes that repeat a step."""

import errno
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from zerocross.hw_search.builds.results import StepResult
from zerocross.hw_search.builds.stages import Stages
from zerocross.hw_search.errors import UserError
from zerocross.reports.build_records import Stage


class Notes:
    """A watcher that records its calls."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, str]] = []
        self.shares: list[float] = []
        self.ended: list[Stage] = []

    def stage(self, name: str, note: str = "") -> None:
        self.begun.append((name, note))

    def progress(self, share: float, note: str) -> None:
        self.shares.append(share)

    def finished(self, stage: Stage) -> None:
        self.ended.append(stage)


@dataclass(frozen=True)
class Made(StepResult):
    """The result of a step."""

    name: str
    value: int
    parts: tuple[int, ...] = (1, 2)

    @property
    def note(self) -> str:
        return f"made {self.value}"

    @property
    def files(self) -> tuple[str, ...]:
        return (f"{self.name}.out",)


class Steps:
    """Three steps that write one file each and count their runs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.did, self.notes = folder, [], Notes()
        self.inputs: dict[str, Any] = {"a": 1, "b": 1, "c": 1}
        self.fail: dict[str, BaseException] = {}

    def run(self) -> dict[str, Made]:
        self.did, self.notes = [], Notes()
        self.stages = Stages(self.folder, self.notes)
        return {name: self._step(name) for name in self.inputs}

    def _step(self, name: str) -> Made:
        def work(report: Any) -> Made:
            report(0.5, "half")
            if name in self.fail:
                raise self.fail.pop(name)
            (self.folder / f"{name}.out").write_text("made")
            self.did.append(name)
            return Made(name, self.inputs[name])

        return self.stages.run(name, Made, {"value": self.inputs[name]}, work)


@pytest.fixture
def steps(tmp_path: Path) -> Steps:
    steps = Steps(tmp_path)
    steps.run()
    assert steps.did == ["a", "b", "c"]
    return steps


def test_what_is_done_is_found_done_with_what_it_found_out(steps: Steps) -> None:
    results = steps.run()
    assert steps.did == [] and results["b"] == Made("b", 1)
    assert steps.notes.begun == [("a", "found done"), ("b", "found done"), ("c", "found done")]
    assert [(stage.name, stage.state, stage.note) for stage in steps.notes.ended] == [
        (name, "done", "made 1") for name in "abc"
    ]
    assert steps.notes.ended == steps.stages.done


@pytest.mark.parametrize(("changed", "redone"), [("a", "abc"), ("b", "bc"), ("c", "c")])
def test_a_change_redoes_its_step_and_all_behind_it(steps: Steps, changed: str, redone: str) -> None:
    steps.inputs[changed] = 2
    results = steps.run()
    assert steps.did == list(redone) and results[changed].value == 2
    assert steps.run() and steps.did == []


def test_a_step_whose_file_is_gone_is_done_again_and_the_others_are_not(steps: Steps) -> None:
    (steps.folder / "b.out").unlink()
    steps.run()
    assert steps.did == ["b"] and (steps.folder / "b.out").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"key": 1}', '{"result": {}}', "\udcff", None])
def test_a_damaged_record_is_no_record(steps: Steps, text: str | None) -> None:
    record = steps.folder / "stages" / "b.json"
    if text is None:
        content = json.loads(record.read_text())
        record.write_text(json.dumps({**content, "result": {"name": "b"}}))  # without a value
    else:
        record.write_text(text, errors="surrogateescape")
    assert steps.run()["b"].value == 1 and steps.did == ["b"]


def test_a_step_whose_file_was_changed_is_done_again(steps: Steps) -> None:
    (steps.folder / "b.out").write_text("mad3")
    steps.run()
    assert steps.did == ["b"] and (steps.folder / "b.out").read_text() == "made"


def test_a_result_that_was_changed_is_no_result(steps: Steps) -> None:
    record = steps.folder / "stages" / "b.json"
    record.write_text(record.read_text().replace('"value": 1', '"value": 3'))
    assert steps.run()["b"].value == 1 and steps.did == ["b"]


def test_a_failure_is_told_and_only_its_step_is_done_again(steps: Steps) -> None:
    steps.inputs["b"], steps.fail["b"] = 2, UserError("no b today\nsecond line")
    with pytest.raises(UserError):
        steps.run()
    assert [(stage.name, stage.state) for stage in steps.stages.done] == [("a", "done"), ("b", "failed")]
    assert steps.stages.done[-1].note == "no b today" and steps.notes.ended == steps.stages.done
    steps.run()
    assert steps.did == ["b", "c"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1)])
def test_an_interruption_leaves_what_was_finished(steps: Steps, error: BaseException) -> None:
    steps.inputs["c"], steps.fail["c"] = 2, error
    with pytest.raises(type(error)):
        steps.run()
    assert [stage.name for stage in steps.stages.done] == ["a", "b"]
    steps.run()
    assert steps.did == ["c"]


def test_an_interrupted_step_that_was_done_before_is_not_taken_for_done(steps: Steps) -> None:
    """Its old record has another key, even if its old files are still there."""
    steps.inputs["a"], steps.fail["b"] = 2, KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        steps.run()
    steps.run()
    assert steps.did == ["b", "c"]


def test_going_back_to_old_options_does_not_find_what_newer_ones_made(steps: Steps) -> None:
    steps.inputs["a"] = 2
    steps.run()
    steps.inputs["a"] = 1
    steps.run()
    assert steps.did == ["a", "b", "c"]


def test_a_step_in_between_that_is_left_out_changes_those_behind_it(steps: Steps) -> None:
    del steps.inputs["b"]
    steps.run()
    assert steps.did == ["c"]


def test_a_skipped_step_says_why_and_changes_nothing(tmp_path: Path) -> None:
    notes = Notes()
    stages = Stages(tmp_path, notes)
    stages.skip("route", "not asked for")
    assert [(stage.state, stage.note, stage.seconds) for stage in notes.ended] == [
        ("skipped", "not asked for", 0.0)
    ]


def test_a_result_that_is_found_equals_the_one_that_was_made(steps: Steps) -> None:
    """Tuples stay tuples, though JSON has none."""
    steps.inputs["c"] = 2
    made, found = steps.run(), steps.run()
    assert steps.did == [] and made == found and found["c"].parts == (1, 2)


def test_a_full_disk_is_one_message_and_no_half_a_record(
    steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, *args: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    steps.inputs["c"] = 2
    with monkeypatch.context() as broken:
        broken.setattr("zerocross.hw_search.files.os.replace", full)
        with pytest.raises(UserError, match=r"c\.json cannot be written \(No space left on device\)"):
            steps.run()
    assert not list((steps.folder / "stages").glob(".*"))
    steps.run()
    assert steps.did == ["c"]


def test_a_step_on_which_none_depends_is_the_only_one_that_its_change_redoes(tmp_path: Path) -> None:
    did: list[str] = []

    def run(value: int) -> None:
        stages = Stages(tmp_path, Notes())
        for name, last in (("a", False), ("check", True), ("b", False)):

            def work(report: Any, name: str = name) -> StepResult:
                did.append(name)
                return StepResult()

            stages.run(name, StepResult, {"value": value} if last else {}, work, last=last)

    run(1)
    run(2)
    assert did == ["a", "check", "b", "check"]
