"""The terminal display of a running build."""

import io

import pytest
from rich.console import Console

from zerocross.hw_search.builds.progress import BuildTerminal
from zerocross.reports.build_records import Stage


def shown(terminal: BuildTerminal) -> str:
    """Return the display of the current step."""
    console = Console(file=io.StringIO(), width=120)
    console.print(terminal._progress)
    return console.file.getvalue()


def test_a_terminal_shows_the_step_that_runs_and_a_line_for_each_before_it() -> None:
    text = io.StringIO()
    with BuildTerminal(Console(file=text, force_terminal=True, width=120)) as terminal:
        terminal.stage("loading", "torch and more")
        assert "loading" in shown(terminal) and "torch and more" in shown(terminal)
        terminal.stage("model")
        assert "loading" not in shown(terminal)
        terminal.progress(0.5, "epoch 3")
        assert "model" in shown(terminal) and "epoch 3" in shown(terminal)
        terminal.progress(-1, "nobody knows")
        assert "nobody knows" in shown(terminal)
        terminal.finished(Stage("model", "done", 1.5, "written as QONNX"))
        assert "model" not in shown(terminal)
        terminal.finished(Stage("place and route", "skipped", note="not asked for"))
    lines = text.getvalue()
    assert "written as QONNX" in lines and "1.5 s" in lines and "not asked for" in lines


def test_without_a_terminal_each_step_is_a_plain_line(capsys: pytest.CaptureFixture[str]) -> None:
    with BuildTerminal(Console(file=io.StringIO(), force_terminal=False)) as terminal:
        terminal.stage("model")
        terminal.progress(0.5, "half")
        terminal.finished(Stage("model", "done", 2.0, "no [brackets] are lost"))
    assert capsys.readouterr().err == "done: model   2.0 s  no [brackets] are lost\n"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_why_a_step_failed_is_left_to_the_error_that_follows(
    is_terminal: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    text = io.StringIO()
    with BuildTerminal(Console(file=text, force_terminal=is_terminal, width=120)) as terminal:
        terminal.stage("model")
        terminal.finished(Stage("model", "failed", 2.0, "too large"))
    said = text.getvalue() + capsys.readouterr().err
    assert "model" in said and "2.0 s" in said and "too large" not in said


def test_a_note_is_no_markup() -> None:
    text = io.StringIO()
    with BuildTerminal(Console(file=text, force_terminal=True, width=120)) as terminal:
        terminal.stage("model", "layers [3] of [/x]")
        assert "[3] of [/x]" in shown(terminal)
        terminal.finished(Stage("model", "done", 2.0, "net[0] has no [/hardware]"))
    assert "net[0] has no [/hardware]" in text.getvalue()
