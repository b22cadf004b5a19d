"""What the commands print, whatever names of a user look like, and where they cannot write."""

import errno
import io
import os
import shutil
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from zerocross.hw_search.builds.builder import check_path
from zerocross.hw_search.cli import app
from zerocross.hw_search.commands.output import Terminated, plain_console, stoppable
from zerocross.hw_search.errors import UserError
from zerocross.hw_search.files import replacing, write_text
from zerocross.hw_search.progress import Terminal
from zerocross.reports.records import Evaluation

RUNNER = CliRunner()
NAMES = ["[/red]", "[bold]x", ":smile:", "a[b]c", "\\[x]"]


@pytest.mark.parametrize("name", NAMES)
def test_names_are_no_markup(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    from rich.table import Table

    table = Table(name, title=name)
    table.add_row(name)
    plain_console().print(table)
    assert capsys.readouterr().out.count(name) == 3


@pytest.mark.parametrize("name", NAMES)
def test_a_running_search_shows_names_as_they_are(name: str) -> None:
    screen = io.StringIO()
    watched = Terminal()
    assert not watched.console._markup and not watched.console._emoji
    console = Console(file=screen, force_terminal=True, width=200, markup=False, emoji=False)
    metrics = {"error": 0.1, "lut": 10.0}
    found = Evaluation(0, "0" * 8, "sin(x)", {"topology.kind": name}, False, "ok", metrics=metrics)
    with Terminal(console) as watcher:
        watcher.begin(name, 1)
        watcher.trained(name, False, 0.1, False)
        watcher.note(name)
        watcher.generation([found], ["error", "lut"])
    assert name in screen.getvalue()


def test_a_search_by_time_says_how_long(capsys: pytest.CaptureFixture[str]) -> None:
    with Terminal(Console(file=io.StringIO(), force_terminal=False), minutes=2.5) as watcher:
        watcher.begin("letter", None)
    assert "searching letter: for up to 2.5 min, final trainings included" in capsys.readouterr().err


def test_a_read_only_place_gets_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *arguments: object, **options: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "unlink", refuse)  # as Linux does, whether or not the file exists
    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(UserError, match=r"page.html cannot be written \(Read-only file system\)"):
        write_text(tmp_path / "page.html", "x")
    with pytest.raises(UserError, match="cannot be written"), replacing(tmp_path / "b"):
        raise OSError(errno.EROFS, "Read-only file system")


def test_a_page_can_be_written_elsewhere(tiny_run: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    page = tmp_path / "page.html"
    assert RUNNER.invoke(app, ["report", str(tiny_run), "--output", str(page)]).exit_code == 0
    assert "zerocross" in page.read_text()
    refused = RUNNER.invoke(app, ["report", str(tiny_run), "--output", str(blocked / "page.html")])
    assert isinstance(refused.exception, UserError)
    assert str(refused.exception).endswith("give another file with --output")


def test_a_page_of_a_changed_run_needs_trust(tiny_run: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    record = folder / "pareto.json"
    record.write_text(record.read_text().replace("0.", "0.9", 1))
    refused = RUNNER.invoke(app, ["report", str(folder)])
    assert "pareto.json was changed since" in str(refused.exception) and "--trust" in str(refused.exception)
    assert RUNNER.invoke(app, ["report", str(folder), "--trust"]).exit_code == 0


@pytest.mark.parametrize("name", ['a"b', "a\nb", "a\\b", "a\tb"])
def test_a_folder_that_tools_cannot_read_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="which synthesis cannot read: choose a folder with --output"):
        check_path(tmp_path / name)


@pytest.mark.parametrize("name", ["it's", "a b", "#x; y", "größer", "[x]"])
def test_other_folders_are_fine(name: str, tmp_path: Path) -> None:
    check_path(tmp_path / name)
    os.makedirs(tmp_path / name)


@pytest.mark.parametrize(("stop", "code"), [(Terminated, 143), (KeyboardInterrupt, 130)])
def test_an_error_in_what_a_stop_ends_is_no_news(
    stop: type[BaseException], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended, stoppable("Run it again."):
        try:
            raise stop
        finally:
            raise AssertionError("already registered")
    assert ended.value.code == code and capsys.readouterr().err == "Stopped. Run it again.\n"
    with pytest.raises(AssertionError), stoppable("Run it again."):
        raise AssertionError
