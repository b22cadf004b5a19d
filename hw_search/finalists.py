"""A network of a run's front, trained, out of what the run left."""

import re
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from zerocross.hw_search.errors import UserError
from zerocross.hw_search.execution.tasks import TrainingTask
from zerocross.hw_search.networks import build_topology
from zerocross.hw_search.plugins import import_plugins
from zerocross.hw_search.trainings import training_settings
from zerocross.models.data_config import DataConfig
from zerocross.models.errors import nearest
from zerocross.models.expressions import parse
from zerocross.models.layers import install
from zerocross.reports.pareto import knee
from zerocross.reports.records import Finalist, Run
from zerocross.reports.storage import load_run

_PICKS = ("knee", "best", "smallest", "searched")


def choose(run: Run, pick: str) -> Finalist:
    """Return a network of a run.

    Args:
        run: the run.
        pick: its id; or, of the front, "knee" (where giving up a little of one objective stops paying in another),
            "best" (the least validation error), "smallest" (the fewest LUTs), "searched" (the best that is no plain
            sign).

    Raises:
        UserError: if there is none.
    """
    if not run.front:
        raise UserError(f"{run.name} has no front yet: {run.verdict or 'let the search finish'}")
    if pick == "best":
        return min(run.front, key=lambda network: network.metrics["error"])
    if pick == "smallest":
        return min(run.front, key=lambda network: network.metrics["lut"])
    if pick == "searched":
        searched = [network for network in run.front if not network.reference]
        if not searched:
            raise UserError(f"{run.name} has plain signs alone on its front: pick knee, best or smallest")
        return min(searched, key=lambda network: network.metrics["error"])
    if pick == "knee":
        return run.front[knee([[net.metrics[name] for name in run.objectives] for net in run.front])]
    networks = {network.id: network for network in [*run.references, *run.front]}
    if pick not in networks:
        raise UserError(f"{run.name} has no network {pick!r}: {nearest(pick, [*_PICKS, *networks])}")
    return networks[pick]


def check_pick(pick: str) -> None:
    """Make sure that a pick is a known word, or has the form of an id.

    Raises:
        UserError: if it does not.
    """
    if pick not in _PICKS and not re.fullmatch(r"[0-9a-f]{8}", pick):
        raise UserError(f"build.pick: {pick!r} is no id of a network; {nearest(pick, _PICKS)}")


def rebuild(folder: str | Path, name: str) -> nn.Module:
    """Return a network of a run's front with its trained weights.

    Args:
        folder: the run's.
        name: the network's id, as `pareto.csv` and the report have it, or a word as `choose` takes it.

    Returns:
        The Brevitas module in eval mode: from samples of bytes, (N, *input_shape), to logits (N, classes).

    Raises:
        UserError: if the run has no such network, or its weights are gone.
    """
    folder = Path(folder)
    run = load_run(folder)
    finalist = choose(run, name)
    return with_weights(run, finalist, folder / finalist.weights)


def with_weights(run: Run, finalist: Finalist, weights: Path) -> nn.Module:
    """Return a network with the weights of a file, in eval mode.

    Raises:
        UserError: if the file cannot be read.
    """
    import_plugins(run.config["plugins"])
    model = build_topology(finalist.topology, tuple(run.input_shape), run.classes)
    install(model, [parse(text) for text in finalist.trained])
    try:
        model.load_state_dict(load_file(weights))
    except (OSError, SafetensorError, RuntimeError) as error:
        # Gone, damaged, or of another network.
        reason = " ".join(str(error).split())
        raise UserError(
            f"{weights} cannot be read ({reason}): run the search again without it, which writes it anew"
        ) from None
    return model.eval()


def longer_training(run: Run, finalist: Finalist, epochs: int, seed: int, weights: Path) -> TrainingTask:
    """Return the task of training a network anew, to be tested at the end.

    Args:
        run: the network's run.
        finalist: the network.
        epochs: passes over the training data.
        seed: of the initial weights and the order of samples.
        weights: where the trained weights are to go.
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
    )
