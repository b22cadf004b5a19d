"""The terminal display of a running search: a progress bar and the front so far."""

import sys
import textwrap
import time
from collections.abc import Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from zerocross.hw_search.watcher import Callback, Unread
from zerocross.reports.metrics import METRICS
from zerocross.reports.pareto import Front
from zerocross.reports.records import Evaluation, RungRecord
from zerocross.reports.rungs import brief
from zerocross.reports.summary import left_out, tried
from zerocross.reports.wording import activation, short_choices

_SHOWN = 10
_OTHER_LINES = 11
_NAME = 26
"""Characters of the step's name; the whole line has 74."""


class Terminal(Callback):
    """Displays a search (see `zerocross.hw_search.watcher`) on a terminal; elsewhere, prints plain lines.

    Args:
        console: Console to draw on; standard error by default.
        seeds: Trainings per candidate.
        minutes: Time of the search, `search.budget_minutes`, or None.
    """

    def __init__(self, console: Console | None = None, seeds: int = 1, minutes: float | None = None) -> None:
        self.console = console or Console(stderr=True, markup=False, emoji=False)  # names are no markup
        self._draws = self.console.is_terminal and not self.console.is_dumb_terminal
        self._progress = Progress(
            TextColumn("{task.description}", style="bold", markup=False),
            BarColumn(bar_width=12),
            TextColumn("{task.percentage:3.0f} %"),
            TextColumn("elapsed"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
        )
        self._loading = self._progress.add_task("loading", total=None)
        self._search: TaskID | None = None
        self._final: TaskID | None = None
        self._seeds, self._minutes = seeds, minutes
        self._shown = -1.0
        self._unread, self._asked = Unread(), 0
        self._front = Front[Evaluation]()
        self._table: Table | None = None
        self._last, self._ranks, self._lost = "torch, Brevitas and FINN", "", ""
        self._live = Live(console=self.console, refresh_per_second=4, get_renderable=self._display)

    def __enter__(self) -> "Terminal":
        if self._draws:
            self._live.start()
        self._say("loading torch, Brevitas and FINN")
        return self

    def __exit__(self, *exception: object) -> None:
        if self._draws:
            self._live.stop()

    def note(self, text: str) -> None:
        """See `Watcher`."""
        if self._draws:
            self.console.print(text, highlight=False)
        self._say(text)

    def begin(self, run: str, planned: int | None) -> None:
        """See `Watcher`."""
        self._progress.remove_task(self._loading)
        self._search = self._progress.add_task(_clip(f"searching {run}", _NAME), total=planned)
        self._last = "starting workers"
        time_only = "until its time is over"
        if self._minutes is not None:
            time_only = f"for up to {self._minutes:g} min, final trainings included (search.budget_minutes)"
        length = time_only if planned is None else f"about {planned:,} candidates"
        self._say(f"searching {run}: {length}")

    def rung(self, number: int, expression: str, error: float | None) -> None:
        """See `Watcher`."""
        self._last = f"rung {number}, {_result(error)}: {expression}"

    def trained(self, expression: str, reference: bool, error: float | None, cached: bool) -> None:
        """See `Watcher`."""
        self._last = f"{_result(error)}: {expression}"
        if self._search is not None:
            # The bar does not count plain signs. Each seed of a candidate advances it by a fraction.
            self._progress.update(self._search, advance=0 if reference else 1 / self._seeds)

    def generation(self, evaluations: Sequence[Evaluation], objectives: Sequence[str]) -> None:
        """See `Watcher`."""
        self._asked = sum(not evaluation.reference for evaluation in evaluations)
        for evaluation in self._unread.of(evaluations):
            if evaluation.status == "ok":
                self._front.add(evaluation, [evaluation.metrics[name] for name in objectives])
        self._lost = left_out(evaluations)
        if self._search is not None:
            self._progress.update(self._search, completed=self._asked)
        front = sorted(self._front.items, key=lambda evaluation: evaluation.metrics[objectives[0]])
        asked = tried(evaluations) + (f" ({self._lost})" if self._lost else "")
        if not front:
            self._say(f"{asked}, none feasible yet")
            return
        self._table = _front_table(front, objectives, (self.console.height - _OTHER_LINES) // 2)
        least = zip(objectives, self._front.points.min(axis=0), strict=True)
        best = ", ".join(f"{METRICS[name].label} {METRICS[name].text(value)}" for name, value in least)
        ranks = f". {self._ranks}" if self._ranks else ""
        self._say(f"{asked}, front of {len(front)}, best {best}{ranks}")

    def ranked(self, rungs: Sequence[RungRecord]) -> None:
        """See `Watcher`."""
        self._ranks = "; ".join(brief(number, rung) for number, rung in enumerate(rungs, start=1))

    def finals(self, done: int, total: int) -> None:
        """See `Watcher`."""
        if self._final is None:
            if self._search is None:
                self._progress.remove_task(self._loading)
            else:
                self._progress.update(self._search, total=self._progress.tasks[0].completed)
            self._final = self._progress.add_task("training the front", total=total)
            self._last = "with fresh seeds, then test"
        self._progress.update(self._final, completed=done)
        if done in (0, total) or time.monotonic() - self._shown > 10:
            self._shown = time.monotonic()
            self._say(f"training the front with fresh seeds: {done} of {total}")

    def _display(self) -> Group:
        """Return what the terminal shows: the front, what is left out of it, the bars, and the last result."""
        lines = [Text(f"Left out: {self._lost}.")] if self._lost else []
        lines += [Text(self._ranks)] if self._ranks else []
        last = Text(_clip(self._last, self.console.width - 1), style="dim", no_wrap=True)
        return Group(*([self._table] if self._table else []), *lines, self._progress, last)

    def _say(self, text: str) -> None:
        if not self._draws:
            print(text, file=sys.stderr, flush=True)


def _front_table(front: Sequence[Evaluation], objectives: Sequence[str], most: int) -> Table:
    """Return a table of at most `most` networks, and at most 10: the bars below it must stay on the screen."""
    most = max(1, min(most, _SHOWN))
    extra = f", {most} shown" if len(front) > most else ""
    table = Table(
        title=f"front so far: {len(front)} networks{extra} (validation, estimates)", title_justify="left"
    )
    table.add_column("activation, choices", overflow="fold")
    for name in objectives:
        table.add_column(METRICS[name].label, justify="right")
    for evaluation in front[:most]:
        described = "\n".join(filter(None, (activation(evaluation), short_choices(evaluation.choices))))
        table.add_row(described, *(METRICS[key].text(evaluation.metrics[key]) for key in objectives))
    return table


def _result(error: float | None) -> str:
    return "failed" if error is None else f"{100 * error:.1f} % error"


def _clip(text: str, width: int) -> str:
    """Return a text in a line, cut between two words, or within one that is wider than the line."""
    text = " ".join(text.split())
    short = textwrap.shorten(text, width, placeholder=" ...")
    return short if short != "..." else text[: width - 4] + " ..."
