"""Callbacks of a search, in a notebook too."""

import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import zerocross
from tests.hw_search.conftest import CONTENT, InProcess, merged
from zerocross import Callback, StopSearch, load_result, make_config, search
from zerocross.hw_search.notebook import Notebook, in_notebook
from zerocross.hw_search.watcher import Silent, Watcher, together
from zerocross.reports.records import Evaluation, Run


class Log(Callback):
    def __init__(self, stop_after: int = 99) -> None:
        self.calls: list[str] = []
        self.stop_after = stop_after
        self.ended: tuple[Run, Path] | None = None

    def begin(self, run: str, planned: int | None) -> None:
        self.calls.append("begin")

    def generation(self, evaluations: Sequence[Evaluation], objectives: Sequence[str]) -> None:
        self.calls.append("generation")
        if evaluations[-1].generation >= self.stop_after:
            raise StopSearch("flat")

    def end(self, run: Run, folder: Path) -> None:
        self.calls.append("end")
        self.ended = run, folder


def test_all_hear_of_a_generation_that_one_of_them_ends() -> None:
    first, second = Log(1), Log()
    both = together(first, second)
    entry = SimpleNamespace(generation=1)
    with pytest.raises(StopSearch, match="flat"):
        both.generation([entry], [])  # type: ignore[list-item]
    assert first.calls == second.calls == ["generation"]
    alone: Watcher = Silent()
    assert together(alone) is alone


def test_a_callback_ends_a_search_and_gets_its_result(tmp_path: Path) -> None:
    log = Log(stop_after=1)
    base = merged(CONTENT, {"output": str(tmp_path), "final": {"seeds": 1, "controls": []}})
    result = search(make_config(base), executor=InProcess(), callbacks=[log])
    assert log.calls == ["begin", "generation", "end"] and log.ended == (result.run, result.folder)
    assert (
        result.run.finished
        and result.run.remarks[0] == "A callback ended the search after generation 1: flat."
    )
    assert {e.generation for e in result.run.evaluations} == {1}
    for e in result.run.evaluations:
        for training in e.trainings:
            assert training.seconds > 0 and len(training.loss) == 2 and len(training.looks) == 1
        assert e.status != "ok" or (
            e.seconds > 0 and e.trainings[0].accuracy == pytest.approx(1 - e.metrics["error"])
        )

    again = load_result(result.folder)
    assert again.run == result.run and repr(again).startswith(f"<SearchResult {result.folder}: front of ")
    table = again.to_dataframe()
    assert len(table) == len(result.run.evaluations) and "lut" in table.columns
    assert len(again.to_dataframe(front=True)) == len(result.front)
    assert len(again.plot().data) == 7 and "<table>" in again._repr_html_()


def test_a_callback_may_end_a_search_that_has_ended(tmp_path: Path) -> None:
    """The search with rungs tells of a last generation after its audit."""
    search_ = {"population": 8, "generations": 1, "rungs": [{"epochs": 0.5}], "keep": 0.5, "audit": 2}
    change = {"output": str(tmp_path), "search": search_, "final": {"seeds": 1, "controls": []}}
    log = Log(stop_after=0)
    result = search(make_config(merged(CONTENT, change)), executor=InProcess(), callbacks=[log])
    assert log.calls.count("generation") == 2 and result.run.finished


def test_the_display_of_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    handle = SimpleNamespace(update=shown.append)

    def display(content: str, display_id: bool) -> Any:
        shown.append(content)
        return handle

    ipython, own = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = lambda: SimpleNamespace(kernel=object())  # type: ignore[attr-defined]
    own.HTML, own.display = str, display  # type: ignore[attr-defined]
    assert not in_notebook()
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", own)
    assert in_notebook()
    bar = Notebook()
    bar.begin("<tiny>", 8)
    bar.generation(
        [
            Evaluation(
                0, "a", "sin(x)", {"topology.hidden": [8]}, False, "ok", None, {"error": 0.1, "lut": 300.0}
            )
        ],
        ["error", "lut"],
    )
    bar.finals(3, 10)
    assert "&lt;tiny&gt;" in shown[0] and 'max="8"' in shown[1] and "sin(x)" in shown[1]
    bar.finals(10, 10)
    assert 'max="10"' in shown[-1]


def test_the_names_of_the_package_exist() -> None:
    for name in zerocross.__all__:
        assert getattr(zerocross, name)
