"""`zerocross retrain`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from zerocross.hw_search.commands.building import TRUST
from zerocross.hw_search.commands.output import say, stoppable
from zerocross.hw_search.commands.searching import WORKERS, assignments


def retrain(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")],
    picks: Annotated[
        list[str],
        typer.Argument(
            metavar="ID...", help="Networks: ids as in pareto.csv, or knee, best, smallest, searched."
        ),
    ],
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs. Default: those of the final trainings.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Trainings of each network. Default: final.seeds.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a field of training: --set training.warmup=0.1. Repeatable."),
    ] = None,
    workers: WORKERS = None,
    trust: TRUST = False,
) -> None:
    """Train networks of a front again: longer, in another way or with more seeds. Builds take the best by validation."""
    changed = _training(set_ or [])
    from zerocross.hw_search.progress import Terminal

    with stoppable("Results are saved; run the same command to resume."), Terminal() as watcher:
        from zerocross.hw_search.retraining import retrain as train_again

        found = train_again(folder, picks, epochs, seeds, changed, workers, watcher, trust=trust)
    from zerocross.reports.retrained import sentences
    from zerocross.reports.storage import REPORT, load_run

    ids = {net.id for net in found}
    for text in sentences(load_run(folder), folder):
        if text.partition(" ")[0] in ids:
            say(text)
    typer.echo(f"\nReport: {folder / REPORT}")


def _training(texts: list[str]) -> dict[str, Any]:
    """Return the fields of `training` that --set changes."""
    from zerocross.hw_search.errors import UserError

    found = {}
    for path, value in assignments(texts).items():
        section, _, name = path.partition(".")
        if section != "training" or not name:
            raise UserError(
                f"--set {path}: a retraining changes only fields of training, such as training.warmup"
            )
        found[name] = value
    return found
