"""The evaluation of a task by a worker: train a network and read its accuracy and crossings.

`zerocross.hw_search.execution.tasks` defines tasks and results.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from zerocross.digests import digest_of
from zerocross.finn_flows.crossings import CrossingError
from zerocross.finn_flows.integer import IntegerNetwork, remove_constants, remove_first_bits
from zerocross.finn_flows.network import Network, Thermometer
from zerocross.finn_flows.wiring import simplified
from zerocross.hw_search.execution.mixtures import choose_operations
from zerocross.hw_search.execution.tasks import Result, Stack, Task, TrainingTask
from zerocross.hw_search.extraction.agreement import agreement
from zerocross.hw_search.extraction.integers import responses, to_integer
from zerocross.hw_search.extraction.layers import describe
from zerocross.hw_search.networks import build_topology
from zerocross.hw_search.plugins import import_plugins
from zerocross.hw_search.weights import save_weights
from zerocross.hw_search.zoo.start import begin_from
from zerocross.models.curves import Curves
from zerocross.models.data import Data, Split, load, load_test, portion
from zerocross.models.data_config import DataConfig
from zerocross.models.expressions import parse
from zerocross.models.layers import install, slots
from zerocross.models.stacking import Unstackable
from zerocross.models.training import (
    Binarized,
    TrainingFailure,
    accuracy,
    pick_device,
    train,
    train_together,
)
from zerocross.reports.activation_records import ActivationRecord, Curve

Progress = Callable[[int, float], None]

_CURVES = 4
_CURVE_POINTS = 256


def load_data(section: DataConfig) -> Data:
    """Return the data of a section `data`, loaded once per process as long as its file stays the same."""
    return _load(section, _state(section.name))


@lru_cache(maxsize=2)
def _load(section: DataConfig, _state: tuple[int, ...]) -> Data:
    return load(**section.model_dump())


@lru_cache(maxsize=2)
def _portion(section: DataConfig, share: float, state: tuple[int, ...]) -> Data:
    data = _load(section, state)
    return data if share == 1 else portion(data, share)


@lru_cache(maxsize=1)
def _load_test(name: str, root: str, _state: tuple[int, ...]) -> Split:
    return load_test(name, root)


def _state(name: str) -> tuple[int, ...]:
    """Return what changes with the content of a file; nothing for a built-in data set."""
    path = Path(name)
    if not (name.endswith(".npz") and path.exists()):
        return ()
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def evaluate(work: Task, progress: Progress | None = None) -> Result:
    """Run a task.

    Args:
        work: The task.
        progress: Receives each epoch and its loss.

    Returns:
        The result, "ok" or "failed". The result of a stack holds one result per training in "results". A stack fails as a
        whole if its networks cannot be stacked.
    """
    if isinstance(work, Stack):
        try:
            return {"status": "ok", "results": _evaluate_stack(work.trainings, progress)}
        except Unstackable as error:
            return {"status": "failed", "reason": str(error)}
    started = time.monotonic()
    try:
        result = _train_and_read(work, progress)
    except (TrainingFailure, CrossingError) as failure:
        result = {"status": "failed", "reason": str(failure)}
    result["seconds"] = round(time.monotonic() - started, 3)
    return result


def _train_and_read(work: TrainingTask, progress: Progress | None) -> Result:
    data, device = _prepared(work)
    if work.mixture is not None:
        return choose_operations(work, work.mixture, data, device, progress)
    model = fresh(work, data)
    curves = Curves()
    binarized = train(
        model, data, work.settings, work.seed, device, progress, give_up=work.give_up, curves=curves
    )
    result = _read(work, model, describe(model, data.input_shape), data, device, binarized)
    return {**result, **_curve(curves, 0)}


def _evaluate_stack(works: Sequence[TrainingTask], progress: Progress | None) -> list[Result]:
    """Run trainings that differ only in expressions and weight files."""
    started, first = time.monotonic(), works[0]
    data, device = _prepared(first)
    models = [fresh(work, data) for work in works]
    network, results = describe(models[0], data.input_shape), list[Result]()
    curves = Curves()
    outcomes = train_together(
        models, data, first.settings, first.seed, device, progress, give_up=first.give_up, curves=curves
    )
    for index, (work, model, outcome) in enumerate(zip(works, models, outcomes, strict=True)):
        try:
            if isinstance(outcome, TrainingFailure):
                raise outcome
            result = _read(work, model, network, data, device, outcome)
            results.append({**result, **_curve(curves, index)})
        except (TrainingFailure, CrossingError) as failure:
            results.append({"status": "failed", "reason": str(failure)})
    seconds = round((time.monotonic() - started) / len(works), 3)
    for result in results:
        result["seconds"] = seconds
    return results


def _curve(curves: Curves, index: int) -> Result:
    """Return the fields of a result that describe the course of its training."""
    found: Result = {
        "status": "ok",
        "loss": curves.losses[index],
        "looks": curves.looks,
        "validation": curves.validation[index],
        "stacked": len(curves.validation),
    }
    return found


def _prepared(work: TrainingTask) -> tuple[Data, torch.device]:
    import_plugins(work.plugins)
    return _portion(work.data, work.share, _state(work.data.name)), pick_device(work.device)


def fresh(work: TrainingTask, data: Data) -> torch.nn.Module:
    """Return a task's untrained network. Equal seeds give equal networks."""
    torch.manual_seed(work.seed)
    model = build_topology(work.topology, data.input_shape, data.classes, data.train.x)
    install(model, [parse(text) for text in work.expressions])
    if work.start is not None:
        begin_from(model, work.start)
    return model


def _read(
    work: TrainingTask,
    model: torch.nn.Module,
    network: Network,
    data: Data,
    device: torch.device,
    binarized: Binarized | None,
) -> Result:
    """Return the result of a trained network, and write its weights if the task requests it."""
    result: Result = {
        "status": "ok",
        "expressions": list(work.expressions),
        "accuracy": accuracy(model, data.validation, device),
    }
    if work.test:
        result["test"] = accuracy(
            model, _load_test(work.data.name, work.data.root, _state(work.data.name)), device
        )
    if work.final:
        model.cpu()  # as in a build: functions on a GPU round differently
    integer = to_integer(model, network)
    result["crossings"], thresholds = priced_numbers(integer)
    if thresholds:
        result["thresholds"] = thresholds
    result["binarized"] = None if binarized is None else asdict(binarized)
    if work.final:
        result["agreement"] = agreement(model, integer, data.validation)
        result["sites"] = [asdict(site) for site in sites(model, integer)]
        result["savings"] = savings(integer)
    if work.weights:
        save_weights(model, Path(work.weights))
        result["weights"] = digest_of(Path(work.weights))
    return result


def priced_numbers(integer: IntegerNetwork) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
    """Return the numbers of a trained network that determine its price, after the simplifications of a build.

    Returns:
        The number of crossings of each channel by activation; and the thresholds of each thermometer by layer, 256 for bits
        that no layer reads.
    """
    built, _ = simplified(integer)
    crossings = {name: table.counts().tolist() for name, table in built.tables.items()}
    thermometers = {
        layer.name: list(layer.operation.thresholds)
        for layer in built.network.layers
        if isinstance(layer.operation, Thermometer)
    }
    return crossings, thermometers


def savings(integer: IntegerNetwork) -> dict[str, int]:
    """Count the savings from removing constant channels and first bits.

    Returns:
        A dictionary with these counts:

        - "constant_channels" and "weight_bits": channels and weights that could be removed from the network;
        - "first_bits": channels that start at 1;
        - "first_bits_left": channels that start at 1 and cost an XOR because a pool or padding follows them.
    """
    smaller, removed = remove_constants(integer)
    _, left = remove_first_bits(smaller)
    return {
        "constant_channels": sum(removed.values()),
        "weight_bits": _weight_bits(integer) - _weight_bits(smaller),
        "first_bits": int(sum(table.first.sum() for table in smaller.tables.values())),
        "first_bits_left": sum(left.values()),
    }


def _weight_bits(integer: IntegerNetwork) -> int:
    return sum(weights.size for weights in integer.weights.values())


def sites(model: torch.nn.Module, integer: IntegerNetwork) -> list[ActivationRecord]:
    """Return a record of every activation for the report: its curve over the grid, and its crossings."""
    found, values_of = [], responses(model, integer.network)
    for name, slot in slots(model).items():
        table = integer.tables[name]
        counts = table.counts()
        # Channels from the fewest to the most crossings.
        order = np.argsort(counts, kind="stable")
        chosen = sorted({int(order[round(share * (len(order) - 1))]) for share in np.linspace(0, 1, _CURVES)})
        index = np.unique(np.linspace(0, len(table.grid) - 1, _CURVE_POINTS).round().astype(np.int64))
        accumulators = table.grid.low + table.grid.step * index
        values = values_of[name](accumulators)
        curves = [
            Curve(
                channel,
                accumulators.tolist(),
                [float(f"{value:.5g}") for value in np.nan_to_num(values[channel], posinf=1e9, neginf=-1e9)],
                table.accumulators(channel).tolist(),
            )
            for channel in chosen
        ]
        found.append(
            ActivationRecord(
                name,
                str(slot.function.expression),
                table.grid.low,
                table.grid.high,
                table.grid.step,
                counts.tolist(),
                curves,
            )
        )
    return found
