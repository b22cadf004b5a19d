"""`zerocross search` and `zerocross run`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from hw_search.commands.building import build_for
from hw_search.commands.telling import stoppable, tell_run

_CONFIG = Annotated[Path, typer.Argument(help="YAML file: what to search. See docs/configuration.md.")]
_OUTPUT = Annotated[str | None, typer.Option(help="Folder of all runs, instead of the file's.")]
_NAME = Annotated[str | None, typer.Option(help="The run's name, instead of the file's.")]
_SEED = Annotated[int | None, typer.Option(help="Instead of search.seed.")]
_WORKERS = Annotated[int | None, typer.Option(help="Worker processes, instead of search.workers.")]
_SET = Annotated[
    list[str] | None,
    typer.Option("--set", help="Any field: --set search.generations=3. May be repeated."),
]


def run(
    config: _CONFIG,
    output: _OUTPUT = None,
    name: _NAME = None,
    seed: _SEED = None,
    workers: _WORKERS = None,
    set_: _SET = None,
) -> None:
    """Search, then build a network of the front for each target; or go on where that was interrupted."""
    folder, checked = _search(config, output, name, seed, workers, set_)
    for target in checked.build.targets:
        typer.echo(f"\nBuilding for {target}")
        build_for(
            folder,
            pick=checked.build.pick,
            epochs=checked.build.epochs,
            target=target,
            clock_mhz=checked.build.clock_mhz,
            images=checked.build.images,
        )


def search(
    config: _CONFIG,
    output: _OUTPUT = None,
    name: _NAME = None,
    seed: _SEED = None,
    workers: _WORKERS = None,
    set_: _SET = None,
) -> None:
    """Search activations, architecture and folding; or go on with a search that was interrupted."""
    _search(config, output, name, seed, workers, set_)


def _search(
    path: Path,
    output: str | None,
    name: str | None,
    seed: int | None,
    workers: int | None,
    set_: list[str] | None,
) -> tuple[Path, Any]:
    from hw_search.config import load_config
    from hw_search.progress import Terminal

    overrides = {"output": output, "name": name, "search.seed": seed, "search.workers": workers}
    overrides = {key: value for key, value in overrides.items() if value is not None} | _assignments(
        set_ or []
    )
    checked = load_config(path, overrides)
    with (
        stoppable("what was evaluated is kept: run the same command to go on"),
        Terminal(seeds=checked.search.seeds) as watcher,
    ):
        from hw_search.pipeline import search as run_search

        result = run_search(checked, watcher)
    if not result.trained:
        typer.echo("This search was finished before: nothing new had to be trained.")
    tell_run(result.run)
    typer.echo(f"\nReport: {result.folder / 'report.html'}")
    return result.folder, checked


def _assignments(texts: list[str]) -> dict[str, Any]:
    import yaml

    from hw_search.errors import UserError

    found = {}
    for text in texts:
        key, mark, value = text.partition("=")
        if not mark:
            raise UserError(f"--set {text}: write it as field=value")
        try:
            found[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise UserError(f"--set {text}: the value is no valid YAML") from None
    return found
