"""`zerocross report`."""

from pathlib import Path
from typing import Annotated

import typer

from zerocross.hw_search.commands.building import TRUST
from zerocross.hw_search.commands.output import print_build, print_comparison, print_run, print_table


def _compared(folders: list[Path], searched: list[bool], trust: bool) -> str:
    """Print a comparison of runs, and return its page."""
    from zerocross.hw_search.errors import UserError
    from zerocross.hw_search.trust import check_run
    from zerocross.reports.run_comparison import IncomparableRuns, compare_runs, names_of, render_runs
    from zerocross.reports.storage import RECORDS, load_run

    for folder, search in zip(folders, searched, strict=True):
        if not search:
            raise UserError(
                f"{folder} holds no search, but others do: compare runs with runs, and builds with builds"
            )
        if not trust:
            check_run(folder, RECORDS)
    runs = [load_run(folder) for folder in folders]
    names = names_of(folders, runs)
    if len(set(names)) < len(names):
        raise UserError("the same run is given twice: name each once")
    try:
        found = compare_runs(dict(zip(names, runs, strict=True)))
    except IncomparableRuns as error:
        raise UserError(str(error)) from None
    print_comparison(found)
    return render_runs(found)


def report(
    folders: Annotated[
        list[Path],
        typer.Argument(
            help="Folder of a run or table; or folders to compare: runs; or builds, output folders of FINN or Vivado."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            help="File for the page. Default: report.html in the folder of the run or build; comparison.html for several."
        ),
    ] = None,
    trust: TRUST = False,
) -> None:
    """Write the page of a run or build again, or compare runs or builds side by side."""
    from zerocross.hw_search.errors import UserError
    from zerocross.hw_search.files import write_text
    from zerocross.hw_search.trust import check_build, check_run
    from zerocross.reports.build_storage import BUILD
    from zerocross.reports.storage import FUNCTIONS, PARETO, RECORDS, REPORT, load_run

    if len(folders) == 1 and (folders[0] / FUNCTIONS).exists():
        print_table(folders[0] / FUNCTIONS)
        return
    for folder in folders:
        if not folder.exists():
            raise UserError(f"{folder} does not exist")
    searched = [(folder / PARETO).exists() and not (folder / BUILD).exists() for folder in folders]
    if len(folders) > 1 and any(searched):
        path, text = output or Path("comparison.html"), _compared(folders, searched, trust)
    elif searched[0]:
        from zerocross.reports.page import render
        from zerocross.reports.run_builds import builds_of

        loaded = load_run(folders[0])
        if not trust:
            check_run(folders[0], RECORDS)
        print_run(loaded, folders[0])
        path, text = output or folders[0] / REPORT, render(loaded, builds_of(folders[0], loaded), folders[0])
    else:
        from zerocross.reports.build_page import render_build, render_comparison
        from zerocross.reports.build_reading import read_build

        builds = [read_build(folder) for folder in folders]
        for folder in [] if trust else folders:
            check_build(folder, [BUILD])
        for built in builds:
            print_build(built)
        alone = len(builds) == 1 and (folders[0] / BUILD).exists()
        path = output or (folders[0] / REPORT if alone else Path("comparison.html"))
        text = render_build(builds[0]) if alone else render_comparison(builds)
    try:
        write_text(path, text)
    except UserError as error:
        raise UserError(f"{error}: give another file with --output") from None
    typer.echo(f"\nReport: {path}")
