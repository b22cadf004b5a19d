"""What commands print at their end, and when they are stopped."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean, stdev
from typing import NoReturn

import typer

from zerocross.reports.build_records import Build
from zerocross.reports.metrics import COSTS, METRICS
from zerocross.reports.records import Run


def fail(message: str, code: int = 1) -> NoReturn:
    """Say what went wrong, and end the program."""
    typer.echo(f"error: {message}", err=True)
    sys.exit(code)


@contextmanager
def stoppable(remedy: str) -> Iterator[None]:
    """End quietly on Ctrl-C: "stopped", and the remedy."""
    try:
        yield
    except KeyboardInterrupt:
        fail(f"stopped: {remedy}", 130)


def print_run(run: Run) -> None:
    """Print a run's front and verdict."""
    from rich.console import Console
    from rich.table import Table

    seeds = max((len(net.seeds) for net in run.front), default=0)
    title = f"{run.name}: front. Accuracy: mean and deviation of {seeds} seeds; costs are estimates"
    table = Table(title=title, title_justify="left")
    table.add_column("id", no_wrap=True)
    table.add_column("activation", overflow="fold")
    table.add_column("choices", overflow="fold")
    shown = [METRICS[name] for name in COSTS if METRICS[name].brief or name in run.objectives]
    for column in ("test %", *(metric.label for metric in shown)):
        table.add_column(column, justify="right", no_wrap=True)
    for net in run.front:
        choices = ", ".join(str(value) for value in net.choices.values())
        costs = (metric.text(net.metrics.get(metric.name)) for metric in shown)
        name = "plain sign" if net.reference else net.expression
        table.add_row(net.id, name, choices, _mean_and_deviation(net.test), *costs)
    Console().print(table)
    typer.echo(run.verdict)


def print_build(built: Build) -> None:
    """Print a build's numbers."""
    from rich.console import Console

    from zerocross.reports.build_summary import build_table

    Console().print(build_table(built), crop=False)


def print_table(path: Path) -> None:
    """Print what a table holds, and what it is good for."""
    from zerocross.hw_search.tables.comparison import table_summary
    from zerocross.hw_search.tables.table import Table

    typer.echo(table_summary(Table.load(path)))
    typer.echo(f"\nTable: {path}\nSearch strategies on it: zerocross compare {shlex.quote(str(path))}")


def _mean_and_deviation(values: list[float]) -> str:
    deviation = f" ± {100 * stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * fmean(values):.1f}{deviation}"
