"""What a person sees while a build runs."""

import io

import pytest
from rich.console import Console

from hw_search.builds.progress import BuildTerminal
from reports.build_records import Stage


def shown(terminal: BuildTerminal) -> str:
    """What is drawn of the step that runs."""
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
        terminal.finished(Stage("model", "failed", 2.0, "no [brackets] are lost"))
    assert capsys.readouterr().err == "failed: model   2.0 s  no [brackets] are lost\n"


def test_a_note_is_no_markup() -> None:
    text = io.StringIO()
    with BuildTerminal(Console(file=text, force_terminal=True, width=120)) as terminal:
        terminal.stage("model", "layers [3] of [/x]")
        assert "[3] of [/x]" in shown(terminal)
        terminal.finished(Stage("model", "failed", 2.0, "net[0] has no [/hardware]"))
    assert "net[0] has no [/hardware]" in text.getvalue()
