"""Output of commands: results, errors, and the message after Ctrl-C."""

import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from zerocross.hw_search.commands.streams import in_ascii
from zerocross.reports.build_records import Build
from zerocross.reports.metrics import COSTS, METRICS
from zerocross.reports.records import Run
from zerocross.reports.rungs import sentence
from zerocross.reports.wording import activation, short_choices

if TYPE_CHECKING:
    from rich.console import Console

    from zerocross.reports.run_comparison import RunComparison


def plain_console(error: bool = False) -> "Console":
    """Return a console that prints text as it is: names of a user may look like Rich's markup.

    Args:
        error: Whether it prints to standard error.
    """
    from rich.console import Console
    from rich.text import Text

    class PlainConsole(Console):
        def render_str(self, text: str, **options: Any) -> Text:
            # Signs that become wider in ASCII must do so before the width of a column is known.
            return super().render_str(in_ascii(text) if self.options.ascii_only else text, **options)

    return PlainConsole(stderr=error, markup=False, emoji=False)


def fail(message: str, code: int = 1) -> NoReturn:
    """Print an error message and end the program with an exit status."""
    typer.echo(f"error: {message}", err=True)
    sys.exit(code)


class Terminated(SystemExit):
    """The program must end because of SIGTERM, which `kill`, a batch system or a shutdown sends."""

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)


@contextmanager
def stoppable(remedy: str) -> Iterator[None]:
    """On Ctrl-C or SIGTERM, print "Stopped." with the remedy and end the program with exit status 130 or 143.

    So does an error in what a stop ends: a module whose import was interrupted, for instance, cannot be imported again.
    """
    try:
        yield
    except BaseException as error:
        stop: BaseException | None = error
        while not isinstance(stop, KeyboardInterrupt | Terminated | None):
            stop = stop.__context__
        if stop is None:
            raise
        typer.echo(f"Stopped. {remedy}", err=True)
        sys.exit(stop.code if isinstance(stop, Terminated) else 128 + signal.SIGINT)


def say(text: str) -> None:
    """Print a sentence: on a terminal broken between words, elsewhere in one line."""
    console = plain_console()
    console.print(text, highlight=False, soft_wrap=not console.is_terminal)


def print_run(run: Run, folder: Path | None = None) -> None:
    """Print a run's front, what is not on it and why, its controls, how well its rungs ranked, and its verdict.

    Args:
        run: The run.
        folder: Its folder, for the command that would improve it; by default where the search left it.
    """
    from rich.table import Table

    from zerocross.reports import retrained, summary
    from zerocross.reports.convergence import convergence
    from zerocross.reports.run_progress import progress

    seeds = max((len(net.seeds) for net in run.front), default=0)
    title = f"{run.name}: front (test accuracy: mean ± deviation over {seeds} seeds; costs: estimates)"
    table = Table(title=title, title_justify="left")
    table.add_column("id", no_wrap=True)
    table.add_column("activation, choices", overflow="fold")
    shown = [METRICS[name] for name in COSTS if name in run.objectives or name == "lut"]
    for column in ("test %", *(metric.label for metric in shown)):
        table.add_column(column, justify="right", no_wrap=True)
    knee = summary.knee(run.front, run.objectives)
    for net in run.front:
        described = "\n".join(filter(None, (activation(net), short_choices(net.choices))))
        costs = (metric.text(net.metrics.get(metric.name)) for metric in shown)
        label = f"{net.id}\nknee" if net is knee else net.id
        table.add_row(label, described, _mean_and_deviation(net.test), *costs)
    plain_console().print(table)
    if lost := summary.left_out(run.evaluations):
        say(f"Left out: {lost}.")
    for remark in run.remarks:
        say(remark)
    if run.notes:
        say(f"Data: {'; '.join(run.notes)}.")
    if controls := summary.controls_in_a_line(run):
        say(controls)
    for number, rung in enumerate(run.rungs, start=1):
        say(sentence(number, rung))
    for text in retrained.sentences(run, folder):
        say(text)
    found, gained = convergence(run, folder), progress(run)
    say(" ".join(found.statement))
    if gained is not None and gained.sentence:
        say(gained.sentence)
    say(run.verdict)
    if found.advice is not None:
        say(found.advice.sentence)
        if found.advice.command:  # in one line, to copy
            typer.echo(f"    {found.advice.command}")


def print_build(built: Build) -> None:
    """Print the results of a build."""
    from zerocross.reports.build_summary import build_table

    plain_console().print(build_table(built), crop=False)


def print_comparison(found: "RunComparison") -> None:
    """Print runs side by side: hypervolumes, fronts and the fields that differ."""
    from rich.table import Table

    title = "Fronts on common axes, and least values (validation errors, estimates)"
    table = Table(title=title, title_justify="left")
    table.add_column("run", overflow="fold")
    for column in ("hypervolume", "networks", "joint"):
        table.add_column(column, justify="right", no_wrap=True)
    for name in found.objectives:
        table.add_column(METRICS[name].label.removeprefix("validation "), justify="right")
    for index, (name, points) in enumerate(zip(found.names, found.points, strict=True)):
        least = (METRICS[key].text(min(p.metrics[key] for p in points)) for key in found.objectives)
        joint = sum(point.joint for point in points)
        table.add_row(name, found.volume(index), str(len(points)), str(joint), *least)
    console = plain_console()
    console.print(table)
    if found.differences:
        fields = Table(title="Configurations", title_justify="left")
        for column in ("field", *found.names):
            fields.add_column(column, overflow="fold")
        for path, row in found.differences.items():
            fields.add_row(path, *row)
        console.print(fields)
    say(found.verdict)


def print_table(path: Path) -> None:
    """Print the summary of a table and the command that uses it."""
    from zerocross.hw_search.tables.comparison import table_summary
    from zerocross.hw_search.tables.table import Table

    typer.echo(table_summary(Table.load(path)))
    typer.echo(
        f"\nTable: {path}\nCompare search strategies on it: zerocross compare {shlex.quote(str(path))}"
    )


def _mean_and_deviation(values: list[float]) -> str:
    deviation = f" ± {100 * stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * fmean(values):.1f}{deviation}"
