"""Evaluation of a mixture by a worker: train all operations of topology `nasb` with their weights and read the choice."""

from collections.abc import Callable

import torch

from zerocross.hw_search.execution.tasks import Mixture, Result, TrainingTask
from zerocross.models.data import Data
from zerocross.models.expressions import parse
from zerocross.models.layers import install
from zerocross.models.nasb import Supernet, SupernetSettings, train_supernet
from zerocross.models.thermometer import set_thresholds
from zerocross.models.topologies import cells_of, check_parameters


def choose_operations(
    work: TrainingTask,
    mixture: Mixture,
    data: Data,
    device: torch.device,
    progress: Callable[[int, float], None] | None,
) -> Result:
    """Train the mixture of a task.

    Args:
        work: The task.
        mixture: Mixture of the task.
        data: Training and validation data.
        device: Device to train on.
        progress: Receives each epoch and its loss.

    Returns:
        A result with "operations", the names of the chosen operations, and "shares", the weights of all operations.
    """
    parameters = {key: value for key, value in work.topology.items() if key != "name"}
    parameters = check_parameters("nasb", parameters)
    del parameters["operations"]
    torch.manual_seed(work.seed)
    choices = [[list(edge) for edge in stage] for stage in mixture.choices]
    supernet = cells_of(Supernet, data.input_shape, data.classes, choices, **parameters)
    set_thresholds(supernet, data.train.x)
    install(supernet, [parse(text) for text in work.expressions])
    prices = {(stage, edge, name): price for stage, edge, name, price in mixture.prices}
    search = SupernetSettings(price_weight=mixture.price_weight)
    train_supernet(supernet, data, work.settings, search, prices, work.seed, device, progress)
    shares = [[[round(float(each), 4) for each in edge] for edge in stage] for stage in supernet.shares()]
    return {"status": "ok", "operations": supernet.chosen(), "shares": shares}
