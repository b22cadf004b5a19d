"""The terminal display of a running build: a line for each finished step, and a bar for the current one."""

import sys

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from zerocross.reports.build_records import Stage

_MARKS = {"done": "[green]✓[/]", "skipped": "[yellow]-[/]", "failed": "[red]✗[/]"}


class BuildTerminal:
    """Displays a build (see `zerocross.hw_search.builds.stages.BuildWatcher`) on a terminal; elsewhere, prints plain lines.

    Args:
        console: Console to draw on; standard error by default.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=12),
            TextColumn("elapsed"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=self.console,
            transient=True,
        )
        self._draws = self.console.is_terminal and not self.console.is_dumb_terminal
        self._task: TaskID | None = None

    def __enter__(self) -> "BuildTerminal":
        if self._draws:
            self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._draws:
            self._progress.stop()

    def stage(self, name: str, note: str = "") -> None:
        """See `BuildWatcher`."""
        self._forget()
        self._task = self._progress.add_task(name, total=None, note=note)

    def progress(self, share: float, note: str) -> None:
        """See `BuildWatcher`."""
        if self._task is not None:
            known = {"total": 1.0, "completed": share} if share >= 0 else {"total": None}
            self._progress.update(self._task, note=note, **known)

    def finished(self, stage: Stage) -> None:
        """See `BuildWatcher`."""
        self._forget()
        note = "" if stage.state == "failed" else stage.note  # the command prints the error
        seconds = f"{stage.seconds:6.1f} s" if stage.state != "skipped" else " " * 8
        if self._draws:
            line = f"{_MARKS[stage.state]} {stage.name:16}{seconds}  {escape(note)}"
            self._progress.console.print(line, highlight=False)
        else:
            print(f"{stage.state}: {stage.name}{seconds}  {note}".rstrip(), file=sys.stderr, flush=True)

    def _forget(self) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None
