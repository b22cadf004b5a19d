"""`zerocross search` and `zerocross run`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zerocross.finn_flows.errors import FlowError
from zerocross.hw_search.commands.building import build_for
from zerocross.hw_search.commands.output import fail, print_run, stoppable

if TYPE_CHECKING:
    from zerocross.hw_search.config import Config

CONFIG = Annotated[Path, typer.Argument(help="YAML file: what to search. See docs/configuration.md.")]
OUTPUT = Annotated[str | None, typer.Option(help="Folder of all runs, instead of the file's.")]
NAME = Annotated[str | None, typer.Option(help="The run's name, instead of the file's.")]
SEED = Annotated[int | None, typer.Option(help="Instead of search.seed.")]
WORKERS = Annotated[int | None, typer.Option(help="Worker processes, instead of search.workers.")]
EXECUTOR = Annotated[
    str | None, typer.Option(metavar="local|ray", help="Where to train, instead of search.executor.")
]
ADDRESS = Annotated[
    str | None,
    typer.Option(metavar="auto|ip:port", help="A Ray cluster, instead of search.ray_address; trains there."),
]
SET = Annotated[
    list[str] | None,
    typer.Option("--set", help="Any field: --set search.generations=3. May be repeated."),
]


def run(
    config: CONFIG,
    output: OUTPUT = None,
    name: NAME = None,
    seed: SEED = None,
    workers: WORKERS = None,
    executor: EXECUTOR = None,
    address: ADDRESS = None,
    set_: SET = None,
) -> None:
    """Search, then build a network of the front for each target; or go on where that was interrupted."""
    checked = checked_config(config, output, name, seed, workers, executor, address, set_)
    with stoppable("nothing was begun"):
        from zerocross.hw_search.builds.targets import check_target
        from zerocross.hw_search.finalists import check_pick

        check_pick(checked.build.pick)
        for target in checked.build.targets:
            check_target(target, checked.build.clock_mhz)
    folder = _search(checked)
    failed = []
    for target in checked.build.targets:
        typer.echo(f"\nBuilding for {target}")
        try:
            build_for(
                folder,
                pick=checked.build.pick,
                epochs=checked.build.epochs,
                target=target,
                clock_mhz=checked.build.clock_mhz,
                images=checked.build.images,
            )
        except FlowError as error:  # the next target may be large enough
            typer.echo(f"error: {target}: {error}", err=True)
            failed.append(target)
    if failed:
        fail(f"not built: {', '.join(failed)}")


def search(
    config: CONFIG,
    output: OUTPUT = None,
    name: NAME = None,
    seed: SEED = None,
    workers: WORKERS = None,
    executor: EXECUTOR = None,
    address: ADDRESS = None,
    set_: SET = None,
) -> None:
    """Search activations, architecture and folding; or go on with a search that was interrupted."""
    _search(checked_config(config, output, name, seed, workers, executor, address, set_))


def checked_config(
    path: Path,
    output: str | None,
    name: str | None,
    seed: int | None,
    workers: int | None,
    executor: str | None,
    address: str | None,
    set_: list[str] | None,
) -> "Config":
    """Read the configuration a command names, its options laid over it."""
    from zerocross.hw_search.config import load_config

    overrides = {
        "output": output,
        "name": name,
        "search.seed": seed,
        "search.workers": workers,
        "search.executor": executor or (None if address is None else "ray"),
        "search.ray_address": address,
    }
    overrides = {key: value for key, value in overrides.items() if value is not None} | _assignments(
        set_ or []
    )
    return load_config(path, overrides)


def _search(checked: "Config") -> Path:
    from zerocross.hw_search.progress import Terminal

    with (
        stoppable("what was evaluated is kept: run the same command to go on"),
        Terminal(seeds=checked.search.seeds) as watcher,
    ):
        from zerocross.hw_search.pipeline import search as run_search

        result = run_search(checked, watcher)
    if not result.trained:
        typer.echo("This search was finished before: nothing new had to be trained.")
    print_run(result.run)
    typer.echo(f"\nReport: {result.folder / 'report.html'}")
    return result.folder


def _assignments(texts: list[str]) -> dict[str, Any]:
    import yaml

    from zerocross.hw_search.errors import UserError

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
