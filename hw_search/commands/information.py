"""`zerocross doctor`, `activations` and `configuration`."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from zerocross.hw_search.commands.output import fail, plain_console


def doctor(
    parts: Annotated[bool, typer.Option("--parts", help="List the supported parts and boards.")] = False,
) -> None:
    """Report which packages and tools are installed, which are missing, and what each is for."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    if parts:
        from zerocross.finn_flows.boards import BOARDS
        from zerocross.finn_flows.families import PARTS

        title = "Bitstreams: Vivado for AMD parts (xc...), open tools for all others"
        table = Table(title=title, title_justify="left")
        for column in ("part", "LUT", "FF", "block RAM", "DSP"):
            table.add_column(column, no_wrap=True)
        table.add_column("boards", overflow="fold")
        for part in PARTS.values():
            boards = [board for board, name in BOARDS.items() if name == part.name]
            memory = f"{part.brams:,} x {part.block_kbit} kbit"
            table.add_row(
                part.name, f"{part.luts:,}", f"{part.ffs:,}", memory, f"{part.dsps:,}", ", ".join(boards)
            )
        console.print(table)
        return
    from zerocross.hw_search.doctor import findings

    table = Table("", "name", "found", "purpose")
    missing = []
    for finding in findings():
        mark = "[green]✓" if finding.state else "[red]✗" if finding.needed else "[yellow]-"
        table.add_row(mark, finding.name, finding.state or "missing", escape(finding.gives))
        if finding.needed and not finding.state:
            missing.append(finding.name)
    console.print(table)
    if missing:
        fail(f"missing: {', '.join(missing)}; install them as the table says")
    typer.echo("Everything that a search needs is installed.")


def activations(
    expression: Annotated[
        str | None,
        typer.Argument(help="An expression or a preset. Default: list all operations and presets."),
    ] = None,
    fan_in: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Fan-in K of the binary layer before the activation.")
    ] = 64,
    html: Annotated[Path | None, typer.Option(help="Also write the curve to this HTML page.")] = None,
    plugins: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Python file with operations of yours, or a configuration (.yaml) that lists such files. Repeatable.",
        ),
    ] = None,
) -> None:
    """Show an expression: its curve, its crossings at a fan-in, and their cost."""
    from rich.table import Table

    console = plain_console()
    if plugins:
        _import(plugins)
    if expression is None:
        from zerocross.models.operations import OPERATIONS
        from zerocross.models.presets import PRESETS

        table = Table(
            "operation", "operands", "formula", "learnable", title="Operations", title_justify="left"
        )
        for operation in OPERATIONS.values():
            initial = ", ".join(f"from {value:g}" for value in operation.initial)
            table.add_row(operation.name, str(operation.arity), operation.description, initial)
        console.print(table)
        table = Table("preset", "expression", "source", title="Presets", title_justify="left")
        for name, (text, source) in PRESETS.items():
            table.add_row(name, text, source)
        console.print(table)
        return
    from zerocross.hw_search.inspection import inspect, picture
    from zerocross.models.finite import expression_gap
    from zerocross.models.presets import resolve

    found = inspect(resolve(expression), fan_in)
    places = found.site.curves[0].crossings
    typer.echo(
        f"{found.expression}    {found.parameters} learnable parameters per channel, canonical key {found.key}\n"
    )
    typer.echo(picture(found.site))
    listed = ", ".join(str(place) for place in places[:16]) + (", ..." if len(places) > 16 else "")
    where = f" at accumulators {listed}" if places else ""
    typer.echo(
        f"\n{len(places)} crossings on the {fan_in + 1} values of fan-in {fan_in}, x = a / sqrt({fan_in}){where}"
    )
    if found.constant is not None:
        typer.echo(
            f"Its bit is always {found.constant}, whatever it learns. A search rejects it without training."
        )
    with suppress(Exception):  # an operation of a user may raise anything without a gradient
        if (place := expression_gap(found.expression)) is not None:
            typer.echo(
                f"Its gradient is not finite at x = {place:.4g}: trainings that meet such a value fail."
            )
    table = Table(
        "PE", "LUT6", "BRAM18", "built as", title="Cost of 64 such channels (estimate)", title_justify="left"
    )
    for pe, price in found.prices.items():
        table.add_row(str(pe), f"{price.lut:,.0f}", str(price.bram18), price.implementation)
    console.print(table)
    if html is not None:
        from zerocross.hw_search.files import write_text
        from zerocross.reports.figure_curves import curves
        from zerocross.reports.pages import figure_page

        write_text(html, figure_page(str(found.expression), curves(found.site)))
        typer.echo(f"Curve: {html}")


def _import(files: list[Path]) -> None:
    """Import the user's files and modules, and those that configurations list."""
    from zerocross.hw_search.config import load_config
    from zerocross.hw_search.plugins import import_plugins

    for file in files:
        if file.suffix in (".yaml", ".yml"):
            import_plugins(load_config(file).plugins)
        elif file.suffix == ".py" and not file.exists():
            fail(f"--plugins {file} does not exist")
        else:
            import_plugins([str(file.resolve() if file.suffix == ".py" else file)])


def configuration() -> None:
    """Print the configuration reference (Markdown), generated from the code."""
    from zerocross.hw_search.config_reference import reference

    typer.echo(reference(), nl=False)
