"""`zerocross report`."""

from pathlib import Path
from typing import Annotated

import typer

from zerocross.hw_search.commands.building import TRUST
from zerocross.hw_search.commands.output import print_build, print_run, print_table


def report(
    folders: Annotated[
        list[Path],
        typer.Argument(
            help="Folder of a run or table; or folders to compare: builds, output folders of FINN or Vivado."
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
    """Write the page of a run or build again, or compare builds side by side."""
    from zerocross.hw_search.errors import UserError
    from zerocross.hw_search.files import write_text
    from zerocross.hw_search.trust import check_build, check_run
    from zerocross.reports.build_storage import BUILD
    from zerocross.reports.storage import EVALUATIONS, FUNCTIONS, PARETO, REPORT, load_run

    if len(folders) == 1 and (folders[0] / FUNCTIONS).exists():
        print_table(folders[0] / FUNCTIONS)
        return
    if len(folders) == 1 and not (folders[0] / BUILD).exists() and (folders[0] / PARETO).exists():
        from zerocross.reports.page import render

        loaded = load_run(folders[0])
        if not trust:
            check_run(folders[0], [PARETO, EVALUATIONS])
        print_run(loaded)
        path, text = output or folders[0] / REPORT, render(loaded)
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
