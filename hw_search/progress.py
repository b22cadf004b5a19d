"""The terminal display of a running search: a progress bar and the front so far."""

import sys
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

from zerocross.hw_search.watcher import Callback
from zerocross.reports.metrics import METRICS
from zerocross.reports.pareto import Front
from zerocross.reports.records import Evaluation, RungRecord
from zerocross.reports.rungs import brief
from zerocross.reports.wording import short_choices

_SHOWN = 10
_WIDEST = 44


class Terminal(Callback):
    """Displays a search (see `zerocross.hw_search.watcher`) on a terminal; elsewhere, prints plain lines.

    Args:
        console: Console to draw on; standard error by default.
        seeds: Trainings per candidate.
    """

    def __init__(self, console: Console | None = None, seeds: int = 1) -> None:
        self.console = console or Console(stderr=True, markup=False, emoji=False)  # names are no markup
        self._progress = Progress(
            TextColumn("{task.description}", style="bold", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=self.console,
        )
        self._live = Live(self._progress, console=self.console, refresh_per_second=4)
        self._loading = self._progress.add_task("loading torch, Brevitas and FINN", total=None, note="")
        self._search: TaskID | None = None
        self._final: TaskID | None = None
        self._seeds = seeds
        self._shown = -1.0
        self._read = self._asked = 0
        self._front = Front[Evaluation]()
        self._ranks = ""

    def __enter__(self) -> "Terminal":
        if self.console.is_terminal:
            self._live.start()
        self._say("loading torch, Brevitas and FINN")
        return self

    def __exit__(self, *exception: object) -> None:
        if self.console.is_terminal:
            self._live.stop()

    def note(self, text: str) -> None:
        """See `Watcher`."""
        if self.console.is_terminal:
            self.console.print(text, highlight=False, soft_wrap=True)
        self._say(text)

    def begin(self, run: str, planned: int | None) -> None:
        """See `Watcher`."""
        self._progress.remove_task(self._loading)
        self._search = self._progress.add_task(f"searching {run}", total=planned, note="starting workers")
        length = "until search.budget_minutes is over" if planned is None else f"about {planned:,} candidates"
        self._say(f"searching {run}: {length}")

    def rung(self, number: int, expression: str, error: float | None) -> None:
        """See `Watcher`."""
        if self._search is not None:
            result = "failed" if error is None else f"{100 * error:.1f} % error"
            self._progress.update(self._search, note=f"rung {number}, {_short(expression)}: {result}")

    def trained(self, expression: str, reference: bool, error: float | None, cached: bool) -> None:
        """See `Watcher`."""
        if self._search is not None:
            result = "failed" if error is None else f"{100 * error:.1f} % error"
            # The bar does not count plain signs. Each seed of a candidate advances it by a fraction.
            advance = 0 if reference else 1 / self._seeds
            self._progress.update(self._search, advance=advance, note=f"{_short(expression)} {result}")

    def generation(self, evaluations: Sequence[Evaluation], objectives: Sequence[str]) -> None:
        """See `Watcher`."""
        for evaluation in evaluations[self._read :]:
            self._asked += not evaluation.reference
            if evaluation.status == "ok":
                self._front.add(evaluation, [evaluation.metrics[name] for name in objectives])
        self._read = len(evaluations)
        if self._search is not None:
            self._progress.update(self._search, completed=self._asked)
        front = sorted(self._front.items, key=lambda evaluation: evaluation.metrics[objectives[0]])
        if not front:
            self._say(f"{self._asked} candidates, none feasible yet")
        elif self.console.is_terminal:
            self._live.update(Group(self._table(front, objectives), self._progress))
        else:
            least = zip(objectives, self._front.points.min(axis=0), strict=True)
            best = ", ".join(f"{METRICS[name].label} {METRICS[name].text(value)}" for name, value in least)
            ranks = f". {self._ranks}" if self._ranks else ""
            self._say(f"{self._asked} candidates, front of {len(front)}, best {best}{ranks}")

    def ranked(self, rungs: Sequence[RungRecord]) -> None:
        """See `Watcher`."""
        self._ranks = "; ".join(brief(number, rung) for number, rung in enumerate(rungs, start=1))

    def finals(self, done: int, total: int) -> None:
        """See `Watcher`."""
        if self._final is None:
            if self._search is None:
                self._progress.remove_task(self._loading)
            else:
                self._progress.update(self._search, note="", total=self._progress.tasks[0].completed)
            self._final = self._progress.add_task(
                "training the front", total=total, note="with fresh seeds, then test"
            )
        self._progress.update(self._final, completed=done)
        if done in (0, total) or time.monotonic() - self._shown > 10:
            self._shown = time.monotonic()
            self._say(f"training the front with fresh seeds: {done} of {total}")

    def _table(self, front: Sequence[Evaluation], objectives: Sequence[str]) -> Table:
        extra = f", {len(front) - _SHOWN} more" if len(front) > _SHOWN else ""
        table = Table(
            title=f"front so far: {len(front)} networks{extra} (validation, estimates)", title_justify="left"
        )
        if self._ranks:
            table.caption, table.caption_justify = self._ranks, "left"
        table.add_column("activation")
        table.add_column("choices")
        for name in objectives:
            table.add_column(METRICS[name].label, justify="right")
        for evaluation in front[:_SHOWN]:
            choices = short_choices(evaluation.choices)
            name = "plain sign" if evaluation.reference else _short(evaluation.expression)
            table.add_row(name, choices, *(METRICS[key].text(evaluation.metrics[key]) for key in objectives))
        return table

    def _say(self, text: str) -> None:
        if not self.console.is_terminal:
            print(text, file=sys.stderr, flush=True)


def _short(text: str) -> str:
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"
