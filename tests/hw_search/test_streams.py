"""What is printed where the reader shows ASCII only."""

import io
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.reports.conftest import make_run
from zerocross.hw_search.commands import streams
from zerocross.hw_search.commands.output import plain_console, print_run, say
from zerocross.reports.storage import contents


class Terminal(io.TextIOWrapper):
    """A stream that calls itself a terminal."""

    def __init__(self, is_terminal: bool) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8")
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        return self.is_terminal

    def written(self) -> str:
        self.flush()
        return self.buffer.getvalue().decode("utf-8")  # type: ignore[attr-defined]


@pytest.fixture(name="printed")
def printed_fixture(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return a function that prints under some settings of the environment, and returns what arrives."""

    def printed(show: Callable[[], None], is_terminal: bool = False, **environment: str) -> str:
        for name in ("LC_ALL", "LC_CTYPE", "LANG", "TERM", "COLUMNS", "NO_COLOR"):
            monkeypatch.delenv(name, raising=False)
        for name, value in {"TERM": "xterm", "COLUMNS": "80", "NO_COLOR": "1", **environment}.items():
            monkeypatch.setenv(name, value)
        stream = Terminal(is_terminal)
        monkeypatch.setattr(sys, "stdout", stream)
        streams.set_up()
        show()
        return re.sub(r"\x1b\[[0-9;]*m", "", stream.written())

    return printed


def test_signs_and_names(printed: Callable[..., str]) -> None:
    def show() -> None:
        print("größer: 95 ± 1 %, \N{MINUS SIGN}3 … ✓")

    assert printed(show, True, LANG="de_DE.UTF-8") == "größer: 95 ± 1 %, \N{MINUS SIGN}3 … ✓\n"
    assert printed(show, True) == "größer: 95 ± 1 %, \N{MINUS SIGN}3 … ✓\n"
    assert printed(show, False, LANG="de_DE.UTF-8") == "größer: 95 +- 1 %, -3 ... +\n"
    for plain in ({"LC_ALL": "C"}, {"LC_ALL": "POSIX", "LANG": "de_DE.UTF-8"}, {"TERM": "dumb"}):
        for is_terminal in (True, False):
            assert printed(show, is_terminal, **plain) == "gr\\xf6\\xdfer: 95 +- 1 %, -3 ... +\n"


@pytest.mark.parametrize("environment", [{"LC_ALL": "C"}, {"TERM": "dumb"}, {}], ids=str)
def test_a_run_is_plain_ascii_in_whole_columns(
    printed: Callable[..., str], environment: dict[str, str]
) -> None:
    text = printed(lambda: print_run(make_run(60, front=3)), is_terminal=bool(environment), **environment)
    assert text.isascii()
    table = [line for line in text.splitlines() if line.startswith(("|", "+--"))]
    assert len(table) > 6 and len({len(line) for line in table}) == 1 and len(table[0]) <= 80
    assert "+-" in text and "validation" not in table[1]


def test_a_terminal_breaks_sentences_between_words(printed: Callable[..., str]) -> None:
    words = "extraordinarily long words in one sentence " * 5
    lines = printed(lambda: say(words), True).splitlines()
    assert len(lines) > 2 and " ".join(lines).split() == words.split() and max(map(len, lines)) <= 80
    assert len(printed(lambda: say(words)).splitlines()) == 1


def test_the_table_has_the_objectives_and_the_choices_with_names(printed: Callable[..., str]) -> None:
    run = make_run(60, front=3, objectives=("error", "latency"))
    text = printed(lambda: print_run(run))
    assert "latency" in text and "LUT" in text and "BRAM18" not in text and "II" not in text
    assert "hidden [" in text and "target_cycles" in text and "knee" in text
    assert "infeasible (most often: needs " in text
    assert printed(lambda: plain_console().print("a")) == "a\n"


def test_the_command_in_a_pipe(tmp_path: Path) -> None:
    folder = tmp_path / "größer"
    folder.mkdir()
    for name, content in contents(make_run(30, front=2)).items():
        (folder / name).write_text(content)
    command = [sys.executable, "-m", "zerocross", "report", str(folder), "--trust"]
    environment = {**os.environ, "LC_ALL": "C", "TERM": "dumb"}
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii() and done.stderr.isascii() and b"gr\\xf6\\xdfer/report.html" in done.stdout
    assert (folder / "report.html").exists()
