"""`zerocross tabulate` and `zerocross compare`."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated

import typer

from zerocross.hw_search.commands.output import print_table, stoppable
from zerocross.hw_search.commands.searching import (
    ADDRESS,
    CONFIG,
    EXECUTOR,
    NAME,
    OUTPUT,
    SET,
    WORKERS,
    checked_config,
)


def tabulate(
    config: CONFIG,
    output: OUTPUT = None,
    name: NAME = None,
    workers: WORKERS = None,
    executor: EXECUTOR = None,
    address: ADDRESS = None,
    set_: SET = None,
) -> None:
    """Train every distinct activation of a space on one network, and write table.csv.gz. An interrupted run resumes."""
    checked = checked_config(config, output, name, None, workers, executor, address, set_)
    with (
        stoppable("Results are saved; run the same command to resume."),
        _bars() as progress,
    ):
        from zerocross.hw_search.tables.tabulate import tabulate as make

        path = make(checked, progress, note=lambda text: typer.echo(text, err=True))
    print_table(path)


def compare(
    table: Annotated[Path, typer.Argument(help="Table (table.csv.gz) from `zerocross tabulate`.")],
    strategies: Annotated[
        str,
        typer.Option(help="Strategies, separated by commas. The suffix +look adds the rung of the table."),
    ] = "surrogate,nsga2,gaaf,random",
    seeds: Annotated[int, typer.Option(min=1, help="Searches per strategy.")] = 20,
    share: Annotated[
        float, typer.Option(min=0.001, max=1, help="Evaluations per search, as a share of all functions.")
    ] = 0.25,
    objectives: Annotated[str, typer.Option(help="Metrics to minimise, separated by commas.")] = "error,lut",
    population: Annotated[int, typer.Option(min=2, help="Candidates in the first generation.")] = 24,
    children: Annotated[
        int | None,
        typer.Option(min=1, help="Candidates in each later generation. Default: the strategy's own number."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Parallel searches. Default: one per core.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Also write the curves to this HTML page.")] = None,
) -> None:
    """Compare search strategies on a table: the share of the exact front they find per number of evaluations."""
    with stoppable("Nothing was written."), _bars() as progress:
        from zerocross.hw_search.tables.comparison import compare as run
        from zerocross.hw_search.tables.table import Table

        found = run(
            Table.load(table),
            [name.strip() for name in strategies.split(",") if name.strip()],
            seeds=seeds,
            share=share,
            objectives=[name.strip() for name in objectives.split(",")],
            population=population,
            children=children,
            workers=workers,
            progress=progress,
        )
    from zerocross.hw_search.tables.comparison import comparison_table

    typer.echo(comparison_table(found))
    if html is not None:
        from zerocross.hw_search.files import write_text
        from zerocross.reports.figure_comparison import comparison_figure
        from zerocross.reports.pages import figure_page

        write_text(html, figure_page("Search strategies", comparison_figure(found.shares, found.functions)))
        typer.echo(f"\nCurves: {html}")


@contextmanager
def _bars() -> Iterator[Callable[[str, int, int], None]]:
    """Display a progress bar for each task. Without a terminal, print a line at most every 20 seconds."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
    from rich.progress import TimeRemainingColumn as Left

    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    bars = Progress(*columns, TextColumn("left"), Left(), console=console)
    with bars if console.is_terminal else nullcontext():
        loading = bars.add_task("loading torch, Brevitas and FINN", total=None)
        known: dict[str, TaskID] = {}
        said = 0.0

        def show(what: str, done: int, total: int) -> None:
            nonlocal said
            if what not in known:
                bars.update(loading, visible=False)
                known[what] = bars.add_task(what, total=total)
            bars.update(known[what], completed=done, total=total)
            if not console.is_terminal and (done == total or time.monotonic() - said > 20):
                said = time.monotonic()
                print(f"{what}: {done:,} of {total:,}", file=sys.stderr, flush=True)

        yield show
