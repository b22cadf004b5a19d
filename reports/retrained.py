"""What a report says about networks that were trained again."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from zerocross.reports import wording
from zerocross.reports.configurations import setting
from zerocross.reports.convergence import SEEDS
from zerocross.reports.noise import TRUSTED
from zerocross.reports.records import Finalist, Run

_EPOCHS = "epochs"


def sentences(run: Run, folder: Path | None = None) -> list[str]:
    """Return a sentence or two for each training of a network beside the search's.

    Args:
        run: The run.
        folder: Its folder, for commands; by default where the search left it.
    """
    folder = folder or Path(run.config.get("output", "runs")) / run.name
    networks = {net.id: net for net in [*run.references, *run.front]}
    return [_sentence(run, folder, net, networks[net.id]) for net in run.retrained if net.id in networks]


def _sentence(run: Run, folder: Path, net: Finalist, before: Finalist) -> str:
    used = max([before, *(other for other in run.retrained if other.id == net.id)], key=_best)
    epochs = net.training[_EPOCHS]
    changed = {
        name: value
        for name, value in net.training.items()
        if name != _EPOCHS and value != before.training.get(name)
    }
    settings = ", ".join([f"{epochs} epochs", *(f"{name} {value}" for name, value in changed.items())])
    builds = " Builds take these weights." if used is net else ""
    return (
        f"{net.id} trained again ({settings}): test accuracy {wording.accuracy(net.test)}, at the search's end "
        f"{wording.accuracy(before.test)}; validation {wording.percent(fmean(net.validation))}, with the best seed "
        f"{wording.percent(_best(net))}.{builds}{_more_seeds(folder, net, changed)}"
    )


def _more_seeds(folder: Path, net: Finalist, changed: Mapping[str, Any]) -> str:
    """Return the command that trains a network with more seeds, if its spread says nothing."""
    if len(net.test) >= TRUSTED:
        return ""
    sets = "".join(setting(f"training.{name}", value) for name, value in changed.items())
    seeds = wording.count(len(net.test), "seed")
    return (
        f" {seeds} {'shows' if len(net.test) == 1 else 'show'} no spread worth trusting: zerocross retrain "
        f"{shlex.quote(str(folder))} {net.id} --epochs {net.training[_EPOCHS]} --seeds {SEEDS}{sets} trains the "
        "missing ones."
    )


def _best(net: Finalist) -> float:
    """Return the validation accuracy of a network's kept weights."""
    return net.validation[0]
