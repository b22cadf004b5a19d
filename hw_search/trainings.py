"""The trainings of a search: from a candidate to a task, and the task's key in the store."""

import hashlib
import os
from dataclasses import asdict, replace
from typing import Any

from zerocross.hw_search.config import Config
from zerocross.hw_search.execution.code_version import code_version
from zerocross.hw_search.execution.tasks import TrainingTask
from zerocross.hw_search.space import Candidate
from zerocross.hw_search.strategy_config import RungConfig, rung_epochs
from zerocross.hw_search.zoo.start import start_digest
from zerocross.models.training import TrainingSettings, pick_device


def task(
    config: Config,
    candidate: Candidate,
    seed: int,
    final: bool = False,
    test: bool = False,
    rung: RungConfig | None = None,
    epochs: int | None = None,
) -> TrainingTask:
    """Return the task of training a candidate.

    Args:
        config: Configuration of the search.
        candidate: Candidate to train.
        seed: Seed of the initial weights and the order of samples.
        final: Whether this is a final training: with the test set, and an examination of the activations.
        test: Whether to evaluate on the test set.
        rung: Rung to train for, or None for the whole training.
        epochs: Epochs instead of the candidate's.
    """
    training = candidate.training
    if epochs is not None:
        training = {**training, "epochs": epochs}
    settings = training_settings(training)
    return TrainingTask(
        plugins=tuple(config.plugins),
        data=config.data,
        expressions=tuple(str(expression) for expression in candidate.expressions),
        topology=candidate.topology,
        settings=settings if rung is None else shortened(settings, rung),
        device=device_type(config),
        seed=seed,
        final=final,
        test=test or final,
        weights=None,
        memory_gb=config.search.worker_memory_gb,
        share=1.0 if rung is None else rung.data,
        give_up=config.search.give_up,
        start=training.get("start_from"),
    )


def training_settings(section: dict[str, Any]) -> TrainingSettings:
    """Return the settings of a section `training` without open choices. They leave out the device and starting weights."""
    others = ("device", "start_from")
    return TrainingSettings(**{name: value for name, value in section.items() if name not in others})


def device_type(config: Config) -> str:
    """Return the type of device for trainings, "cpu" or "cuda". On a cluster, `search.worker_gpus` selects it.

    Raises:
        zerocross.models.errors.ModelError: If the configuration requires a GPU and this machine has none.
    """
    wanted = config.training.device
    if config.search.executor == "ray":
        return "cuda" if config.search.worker_gpus and wanted != "cpu" else "cpu"
    return pick_device(wanted).type


def worker_count(config: Config) -> int:
    """Return the number of worker processes: as configured, else one per core, or two that share a GPU."""
    if config.search.workers is not None:
        return config.search.workers
    return (os.cpu_count() or 1) if pick_device(config.training.device).type == "cpu" else 2


def parallel_trainings(config: Config) -> int:
    """Return how many trainings run at a time, as far as it is known: a cluster has 1 unless `search.workers` says more."""
    return worker_count(config) if config.search.executor == "local" else config.search.workers or 1


def shortened(settings: TrainingSettings, rung: RungConfig) -> TrainingSettings:
    """Return the settings of a rung. All that follows the epochs, such as the decay of the learning rate, shrinks with them.

    Args:
        settings: Settings of the whole training.
        rung: The rung. Its share of the samples is no setting.
    """
    epochs = rung_epochs(rung, settings.epochs)
    return replace(settings, epochs=epochs, average=settings.average * epochs / settings.epochs)


def _schedule(settings: TrainingSettings) -> dict[str, Any]:
    return {"epochs": settings.epochs, "average": settings.average}


def task_key(candidate: Candidate, work: TrainingTask, fingerprint: str) -> str:
    """Return a task's key in the store: a digest of canonical candidate, settings, seed, data and code.

    The candidate has the epochs of the task. A rung is a training like any other: a candidate that trains in full for as
    many epochs shares it.
    """
    trained = replace(candidate, training={**candidate.training, **_schedule(work.settings)})
    parts = [
        trained.network_key,
        repr(sorted(asdict(work.settings).items())),
        work.device,
        work.seed,
        work.final,
        work.test,
        work.share,
        work.give_up,
        fingerprint,
        code_version(work.plugins),
    ]
    if work.mixture is not None:
        parts.append(repr(work.mixture))
    if work.start is not None:
        parts.append(start_digest(work.start))
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()
