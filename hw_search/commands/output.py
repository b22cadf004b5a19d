"""Output of commands: results, errors, and the message after Ctrl-C."""

import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, NoReturn

import typer

from zerocross.reports import retrained
from zerocross.reports.build_records import Build
from zerocross.reports.convergence import convergence
from zerocross.reports.metrics import COSTS, METRICS
from zerocross.reports.records import Run
from zerocross.reports.rungs import sentence
from zerocross.reports.wording import control_text, short_choices

if TYPE_CHECKING:
    from rich.console import Console

    from zerocross.reports.run_comparison import RunComparison


def plain_console(error: bool = False) -> "Console":
    """Return a console that prints text as it is: names of a user may look like Rich's markup.

    Args:
        error: Whether it prints to standard error.
    """
    from rich.console import Console

    return Console(stderr=error, markup=False, emoji=False)


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
    """On Ctrl-C or SIGTERM, print "Stopped." with the remedy and end the program with exit status 130 or 143."""
    try:
        yield
    except (KeyboardInterrupt, Terminated) as stop:
        typer.echo(f"Stopped. {remedy}", err=True)
        sys.exit(stop.code if isinstance(stop, Terminated) else 128 + signal.SIGINT)


def print_run(run: Run) -> None:
    """Print a run's front, its controls, how well its rungs ranked, and its verdict."""
    from rich.table import Table

    seeds = max((len(net.seeds) for net in run.front), default=0)
    title = f"{run.name}: front (test accuracy: mean ± deviation over {seeds} seeds; costs: estimates)"
    table = Table(title=title, title_justify="left")
    table.add_column("id", no_wrap=True)
    table.add_column("activation", overflow="fold")
    table.add_column("choices", overflow="fold")
    shown = [METRICS[name] for name in COSTS if METRICS[name].brief or name in run.objectives]
    for column in ("test %", *(metric.label for metric in shown)):
        table.add_column(column, justify="right", no_wrap=True)
    for net in run.front:
        choices = short_choices(net.choices)
        costs = (metric.text(net.metrics.get(metric.name)) for metric in shown)
        name = "plain sign" if net.reference else net.expression
        table.add_row(net.id, name, choices, _mean_and_deviation(net.test), *costs)
    plain_console().print(table)
    for remark in run.remarks:
        typer.echo(remark)
    for note in run.notes:
        typer.echo(f"Data: {note}.")
    for sign in run.references:
        own = [control for control in run.controls if control.sign == sign.id]
        if own:
            choices = short_choices(sign.choices)
            texts = (f"{control_text(control.name)} {_mean_and_deviation(control.test)}" for control in own)
            name = f"plain sign ({choices})" if choices else "plain sign"
            typer.echo(f"Controls, test %: {name} {_mean_and_deviation(sign.test)}; with {', '.join(texts)}.")
    for number, rung in enumerate(run.rungs, start=1):
        typer.echo(sentence(number, rung))
    for text in retrained.sentences(run):
        typer.echo(text)
    if (found := convergence(run)) is not None:
        typer.echo(" ".join(found.sentences))
    typer.echo(run.verdict)
    if priced := _weights_in_blocks(run):
        typer.echo(priced)


def _weights_in_blocks(run: Run) -> str:
    """Return a sentence on weights that the estimates put in block RAM, because a build may not; "" if there are none."""
    from zerocross.finn_flows.nodes.product import WEIGHTS_IN_BLOCK_RAM

    nodes = [node for net in run.front for node in net.nodes if node.implementation == WEIGHTS_IN_BLOCK_RAM]
    layers = ", ".join(dict.fromkeys(node.layer for node in nodes))
    if not layers:
        return ""
    return (
        f"Estimates assume block RAM for the weights of {layers}. A build puts weights into LUTs where block RAM does "
        "not save enough of them, and says so; --weights LAYER=block keeps block RAM."
    )


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
    for name, points, volume in zip(found.names, found.points, found.volumes, strict=True):
        least = (METRICS[key].text(min(p.metrics[key] for p in points)) for key in found.objectives)
        joint = sum(point.joint for point in points)
        table.add_row(name, f"{100 * volume:.1f} %", str(len(points)), str(joint), *least)
    console = plain_console()
    console.print(table)
    if found.differences:
        fields = Table(title="Configurations", title_justify="left")
        for column in ("field", *found.names):
            fields.add_column(column, overflow="fold")
        for path, row in found.differences.items():
            fields.add_row(path, *row)
        console.print(fields)
    typer.echo(found.verdict)


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
