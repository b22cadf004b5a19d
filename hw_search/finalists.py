"""Selection and loading of a trained network from a run's folder."""

import re
from dataclasses import replace
from pathlib import Path

from torch import nn

from zerocross.hw_search.errors import UserError
from zerocross.hw_search.execution.tasks import TrainingTask
from zerocross.hw_search.files import write_digests
from zerocross.hw_search.networks import build_topology
from zerocross.hw_search.plugins import import_plugins, plugin_files
from zerocross.hw_search.trainings import training_settings
from zerocross.hw_search.trust import check_run
from zerocross.hw_search.weights import load_weights
from zerocross.models.data_config import DataConfig
from zerocross.models.errors import nearest
from zerocross.models.expressions import parse
from zerocross.models.layers import install
from zerocross.reports.records import Finalist, Run
from zerocross.reports.storage import RECORDS, load_run
from zerocross.reports.summary import knee

_PICKS = ("knee", "best", "smallest", "searched")


def choose(run: Run, pick: str) -> Finalist:
    """Return a network of a run.

    Args:
        run: The run.
        pick: Id of a network of the run, or a word that selects one from the front:

            - "knee": where a further gain in one objective starts to cost much in another;
            - "best": the smallest validation error;
            - "smallest": the fewest LUTs;
            - "searched": the smallest validation error among networks other than plain signs.

    Raises:
        UserError: If there is no such network.
    """
    if not run.front:
        raise UserError(f"{run.name} has no front yet: {run.verdict or 'wait until the search finishes'}")
    if pick == "best":
        return min(run.front, key=lambda network: network.metrics["error"])
    if pick == "smallest":
        return min(run.front, key=lambda network: network.metrics["lut"])
    if pick == "searched":
        searched = [network for network in run.front if not network.reference]
        if not searched:
            raise UserError(f"the front of {run.name} holds only plain signs: pick knee, best or smallest")
        return min(searched, key=lambda network: network.metrics["error"])
    if pick == "knee":
        found = knee(run.front, run.objectives)
        if found is None:
            raise UserError(
                f"the front of {run.name} lacks an objective: pick best, smallest or a network's id"
            )
        return found
    networks = {network.id: network for network in [*run.references, *run.front]}
    if pick not in networks:
        raise UserError(f"{run.name} has no network {pick!r}: {nearest(pick, [*_PICKS, *networks])}")
    return networks[pick]


def best_training(run: Run, network: Finalist) -> tuple[Run, Finalist]:
    """Return the training of a network whose weights have the best validation accuracy.

    Args:
        run: The run.
        network: A network of the run.

    Returns:
        The network as the search or `zerocross retrain` trained it, and the run with the settings of that training.
    """
    again = [net for net in run.retrained if net.id == network.id]
    best = max([network, *again], key=lambda net: net.validation[0])
    if best is network:
        return run, network
    final = {**run.config["final"], "epochs": None}  # its epochs are those of its own training
    return replace(run, config={**run.config, "final": final}), best


def check_pick(pick: str) -> None:
    """Check that a pick is a known word or has the form of an id.

    Raises:
        UserError: If it is neither.
    """
    if pick not in _PICKS and not re.fullmatch(r"[0-9a-f]{8}", pick):
        raise UserError(
            f"build.pick: {pick!r} is not a network's id (eight hexadecimal digits); {nearest(pick, _PICKS)}"
        )


def open_finalist(
    folder: Path, pick: str, trust: bool = False, searched: bool = False
) -> tuple[Run, Finalist]:
    """Return a run and a network of it, whose weights and plugins are as they were made.

    Its training is the one with the best validation, see `best_training`.

    Args:
        folder: Folder of the run.
        pick: See `choose`.
        trust: Whether files may have been changed since.
        searched: Whether to return the search's own training instead of the best one.

    Raises:
        UserError: If there is no such network, or a file was changed.
        zerocross.reports.storage.UnreadableRun: If the folder holds no run.
    """
    run = load_run(folder)
    if not trust:
        check_run(folder, RECORDS)
    finalist = choose(run, pick)
    if not searched:
        run, finalist = best_training(run, finalist)
    if not trust:
        check_run(folder, [finalist.weights, *plugin_files(run.config["plugins"])])
    return run, finalist


def list_digests(run: Run, folder: Path) -> None:
    """List the digests of the files in a run's folder that are read back, as they were just made."""
    weights = [net.weights for net in [*run.front, *run.references, *run.retrained]]
    names = [*RECORDS, *weights, *plugin_files(run.config["plugins"])]
    write_digests(folder, names)


def rebuild(folder: str | Path, name: str, trust: bool = False) -> nn.Module:
    """Return a network of a run's front with its trained weights: those with the best validation, see `best_training`.

    Args:
        folder: Folder of the run.
        name: The network's id, as in `pareto.csv` and the report, or a word that `choose` accepts.
        trust: Whether files of the run may have been changed since the search.

    Returns:
        The Brevitas module in eval mode. It maps samples with values 0 to 255, (N, *input_shape), to logits (N, classes).

    Raises:
        UserError: If the run has no such network, its weights are missing, or a file was changed.
    """
    folder = Path(folder)
    run, finalist = open_finalist(folder, name, trust)
    return with_weights(run, finalist, folder / finalist.weights)


def with_weights(run: Run, finalist: Finalist, weights: Path) -> nn.Module:
    """Return a network with the weights from a file, in eval mode.

    Raises:
        UserError: If the file cannot be read.
    """
    import_plugins(run.config["plugins"])
    model = build_topology(finalist.topology, tuple(run.input_shape), run.classes)
    install(model, [parse(text) for text in finalist.trained])
    load_weights(model, weights, "delete the file if it exists and run the search again, which recreates it")
    return model.eval()


def longer_training(run: Run, finalist: Finalist, epochs: int, seed: int, weights: Path) -> TrainingTask:
    """Return the task of training a network again from its start and testing it at the end.

    Args:
        run: Run of the network.
        finalist: The network.
        epochs: Passes over the training data.
        seed: Seed of the initial weights and the order of samples.
        weights: File for the trained weights.
    """
    return TrainingTask(
        plugins=tuple(run.config["plugins"]),
        data=DataConfig(**run.config["data"]),
        expressions=tuple(finalist.trained),
        topology=finalist.topology,
        settings=training_settings({**finalist.training, "epochs": epochs}),
        device=finalist.training["device"],
        seed=seed,
        final=True,
        test=True,
        weights=str(weights.resolve()),
        start=finalist.training.get("start_from"),
    )
