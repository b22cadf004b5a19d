"""`zerocross zoo`: list, show and add trained networks."""

import re
from pathlib import Path
from typing import Annotated, Literal

import typer

from zerocross.hw_search.commands.building import TRUST
from zerocross.hw_search.commands.output import plain_console, stoppable

zoo = typer.Typer(
    help="Trained networks: those that come with the package, and your own. `zerocross build zoo:NAME` builds one.",
    invoke_without_command=True,
    add_completion=False,
)

FOLDER = Annotated[
    Path | None,
    typer.Option(
        help="Folder of your own entries. Default: zerocross/zoo in $XDG_DATA_HOME (~/.local/share). The other commands "
        "take entries of another folder as zoo:FOLDER/NAME.npz."
    ),
]

_WIDE = 110  # columns of a terminal that can show estimates beside counts


@zoo.callback()
def listed(
    context: typer.Context,
    folder: FOLDER = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table.")] = False,
) -> None:
    """List the networks."""
    if context.invoked_subcommand is not None:
        return
    from zerocross.hw_search.errors import UserError
    from zerocross.hw_search.zoo.collection import files, find
    from zerocross.hw_search.zoo.listing import COLUMNS, LEGEND, row
    from zerocross.hw_search.zoo.listing import markdown as as_markdown

    entries, damaged = [], []
    for name in files(folder):
        try:
            entries.append(find(name, folder))
        except UserError as error:  # one bad file does not hide the others
            damaged.append(str(error))
    if markdown:
        typer.echo(as_markdown(entries).encode(), nl=False)  # a document, UTF-8 whatever the terminal
    else:
        from rich.table import Table

        console, table = plain_console(), Table(box=None, pad_edge=False, collapse_padding=True)
        narrow = console.width < _WIDE
        for index, column in enumerate(COLUMNS):
            heading = column.removeprefix("ECP5 ").removeprefix("max ") if narrow else column
            justify: Literal["left", "right"] = "left" if index < 2 else "right"
            table.add_column(heading, justify=justify, no_wrap=index != 1, overflow="fold")
        for entry in entries:
            table.add_row(*(re.sub(r" \(~.*\)", "", cell) if narrow else cell for cell in row(entry)))
        console.print(table)
        typer.echo(f"{LEGEND} A wider terminal shows estimates, too." if narrow else LEGEND)
    for message in damaged:
        typer.echo(f"error: {message}", err=True)


@zoo.command()
def show(
    name: Annotated[str, typer.Argument(help="Name of the entry, or the path of its file.")],
    folder: FOLDER = None,
    config: Annotated[
        bool, typer.Option("--config", help="Print the configuration of its training as YAML.")
    ] = False,
) -> None:
    """Show all that is known of a network."""
    from zerocross.hw_search.zoo import PREFIX
    from zerocross.hw_search.zoo.collection import files, find
    from zerocross.hw_search.zoo.listing import details

    entry = find(name, folder)
    if config:
        import yaml

        typer.echo(yaml.safe_dump(entry.config, sort_keys=False), nl=False)
        return
    typer.echo(entry.name)
    path = files(folder).get(entry.name)
    is_own = folder is not None and path is not None and path.parent == folder
    found = details(entry, str(path) if is_own else name.removeprefix(PREFIX))
    width = max(len(label) for label, _ in found)
    for label, value in found:
        typer.echo(f"{label:{width}}  {value}")


@zoo.command()
def add(
    trainings: Annotated[
        list[Path],
        typer.Argument(
            help="Folders of `zerocross train`. Several must differ only in their seeds; the weights of the best on the "
            "validation set are kept."
        ),
    ],
    name: Annotated[str, typer.Option(help="Name of the entry.")],
    folder: FOLDER = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace your entry of this name.")] = False,
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="Board or part to build the network for; its figures become part of the entry. Repeatable."
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Test set for these builds, as for `zerocross build`.")
    ] = None,
    images: Annotated[int, typer.Option(min=1, help="Maximum number of test images of these builds.")] = 2000,
    builds: Annotated[Path, typer.Option(help="Folder for these builds.")] = Path("builds"),
    trust: TRUST = False,
) -> None:
    """Add your own trained network, so that zoo:NAME refers to it."""
    from zerocross.hw_search.builds.progress import BuildTerminal
    from zerocross.hw_search.builds.targets import check_target

    for each in target or []:
        check_target(each, None)
    with stoppable("The entry has the figures of the finished builds; run the same command with --replace."):
        from zerocross.hw_search.adding import add as add_entry
        from zerocross.hw_search.adding import measure
        from zerocross.hw_search.builds.options import BuildOptions
        from zerocross.hw_search.zoo.entry import save_entry

        file, entry = add_entry(trainings, name, folder, replace, trust)
        for each in target or []:
            with BuildTerminal() as watcher:
                options = BuildOptions(each, images=images)
                entry = measure(entry, builds / f"{name}-{each}", options, watcher, data)
            save_entry(entry, file)
    typer.echo(f"{name}: {file}, {file.stat().st_size / 1000:.0f} kB")
