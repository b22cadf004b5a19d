"""`zerocross search` and `zerocross run`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zerocross.finn_flows.errors import FlowError
from zerocross.hw_search.commands.building import build_for
from zerocross.hw_search.commands.output import fail, print_run, stoppable

if TYPE_CHECKING:
    from zerocross.hw_search.config import Config

CONFIG = Annotated[Path, typer.Argument(help="YAML configuration of the search; see docs/configuration.md.")]
OUTPUT = Annotated[str | None, typer.Option(help="Folder that holds all runs. Overrides output in the file.")]
NAME = Annotated[str | None, typer.Option(help="Name of the run. Overrides name in the file.")]
SEED = Annotated[int | None, typer.Option(help="Seed of the search. Overrides search.seed.")]
WORKERS = Annotated[
    int | None, typer.Option(min=1, help="Number of worker processes. Overrides search.workers.")
]
EXECUTOR = Annotated[
    str | None,
    typer.Option(
        metavar="local|ray", help="Train on this machine or a Ray cluster. Overrides search.executor."
    ),
]
ADDRESS = Annotated[
    str | None,
    typer.Option(
        metavar="auto|ip:port",
        help="Address of a Ray cluster to train on. Overrides search.ray_address and search.executor.",
    ),
]
LOG = Annotated[
    list[str] | None,
    typer.Option("--log", metavar="tensorboard|mlflow", help="Also log the search there. Repeatable."),
]
SET = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override any field: --set search.generations=3. Repeatable."),
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
    log: LOG = None,
) -> None:
    """Search, then build a network of the front for each target. An interrupted run resumes."""
    checked = checked_config(config, output, name, seed, workers, executor, address, set_)
    folder = _search(checked, log or [])
    failed = []
    for target in checked.build.targets:
        typer.echo(f"\nBuilding for {target}")
        try:
            met = build_for(
                folder,
                pick=checked.build.pick,
                epochs=checked.build.epochs,
                target=target,
                clock_mhz=checked.build.clock_mhz,
                images=checked.build.images,
            )
            if not met:
                failed.append(target)
        except FlowError as error:  # the design may fit the next target
            typer.echo(f"error: {target}: {error}", err=True)
            failed.append(target)
    if failed:
        fail(f"no build that works at its clock for {', '.join(failed)}: see the messages above")


def search(
    config: CONFIG,
    output: OUTPUT = None,
    name: NAME = None,
    seed: SEED = None,
    workers: WORKERS = None,
    executor: EXECUTOR = None,
    address: ADDRESS = None,
    set_: SET = None,
    log: LOG = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Start nothing. Say how many candidates and trainings the search has, how long they take (a few steps are "
            "timed), and how many candidates a time buys.",
        ),
    ] = False,
) -> None:
    """Search activations, architecture and folding. An interrupted search resumes."""
    checked = checked_config(config, output, name, seed, workers, executor, address, set_)
    if dry_run:
        _check_builds(checked)
        with stoppable("Nothing was started."):
            from zerocross.hw_search.forecast import forecast

            typer.echo(str(forecast(checked)))
    else:
        _search(checked, log or [])


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
    """Return the configuration from a file, with the command's options as overrides."""
    from zerocross.hw_search.config import load_config

    overrides = {
        "output": output,
        "name": name,
        "search.seed": seed,
        "search.workers": workers,
        "search.executor": executor or (None if address is None else "ray"),
        "search.ray_address": address,
    }
    overrides = {key: value for key, value in overrides.items() if value is not None} | assignments(
        set_ or []
    )
    return load_config(path, overrides)


def _search(checked: "Config", log: list[str]) -> Path:
    _check_builds(checked)
    from zerocross.hw_search.progress import Terminal

    with (
        stoppable("Results are saved; run the same command to resume."),
        Terminal(seeds=checked.search.seeds, minutes=checked.search.budget_minutes) as watcher,
    ):
        from zerocross.hw_search.loggers import make_logger
        from zerocross.hw_search.pipeline import search as run_search

        place = Path(checked.output) / checked.name
        result = run_search(checked, watcher, callbacks=[make_logger(name, place) for name in log])
    if not result.trained:
        typer.echo("This search was complete already. Nothing was trained.")
    elif result.replayed:
        typer.echo(f"{result.trained:,} trainings ran, {result.replayed:,} results came from the store.")
    print_run(result.run, result.folder)
    typer.echo(f"\nReport: {result.folder / 'report.html'}")
    return result.folder


def _check_builds(checked: "Config") -> None:
    """Find mistakes in the section `build` before the search, not after it."""
    with stoppable("Nothing was started."):
        from zerocross.finn_flows.errors import FlowError
        from zerocross.hw_search.builds.targets import check_target
        from zerocross.hw_search.errors import UserError
        from zerocross.hw_search.finalists import check_pick

        check_pick(checked.build.pick)
        for target in checked.build.targets:
            try:
                check_target(target, checked.build.clock_mhz)
            except UserError as error:
                raise UserError(f"build.targets: {str(error).removeprefix('--target: ')}") from None
            except FlowError as error:
                raise UserError(f"build.clock_mhz, for {target}: {error}") from None


def assignments(texts: list[str]) -> dict[str, Any]:
    """Return the values of options --set by dotted path. A UserError names a text of another form."""
    from zerocross.hw_search.errors import UserError
    from zerocross.hw_search.yaml_text import read_yaml

    found = {}
    for text in texts:
        key, mark, value = text.partition("=")
        if not mark:
            raise UserError(f"--set {text}: use the form field=value")
        found[key] = read_yaml(value, f"the value of --set {key}")
    return found
