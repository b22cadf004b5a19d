"""The trainings that a search asks for: from a candidate to a task, and the key that the store knows it by."""

import hashlib
from dataclasses import asdict
from typing import Any

from zerocross.hw_search.config import Config
from zerocross.hw_search.execution.code_version import code_version
from zerocross.hw_search.execution.tasks import TrainingTask
from zerocross.hw_search.space import Candidate
from zerocross.models.training import TrainingSettings, pick_device


def task(
    config: Config,
    candidate: Candidate,
    seed: int,
    final: bool = False,
    weights: str | None = None,
    test: bool = False,
    first_look: bool = False,
) -> TrainingTask:
    """Return the task of training a candidate.

    Args:
        config: the search's.
        candidate: what to train.
        seed: of the initial weights and the order of samples.
        final: train as long as the finals do, read the test set, and examine the activations.
        weights: file for the trained weights (safetensors), if they are wanted.
        test: read the test set.
        first_look: train for a share of the epochs alone.
    """
    epochs = candidate.training["epochs"]
    if first_look:
        epochs = first_look_epochs(candidate, config)
    if final and config.final.epochs is not None:
        epochs = config.final.epochs
    return TrainingTask(
        plugins=tuple(config.plugins),
        data=config.data,
        expressions=tuple(str(expression) for expression in candidate.expressions),
        topology=candidate.topology,
        settings=training_settings({**candidate.training, "epochs": epochs}),
        device=device_type(config),
        seed=seed,
        final=final,
        test=test or final,
        weights=weights,
        memory_gb=config.search.worker_memory_gb,
    )


def training_settings(section: dict[str, Any]) -> TrainingSettings:
    """Return the configuration's section `training`, its choices made, as training takes it: without the device."""
    return TrainingSettings(**{name: value for name, value in section.items() if name != "device"})


def device_type(config: Config) -> str:
    """Return what networks are trained on, "cpu" or "cuda": here, or on a cluster by what its workers are given.

    Raises:
        zerocross.models.errors.ModelError: if a GPU is asked for and there is none.
    """
    wanted = config.training.device
    if config.search.executor == "ray":
        return "cuda" if config.search.worker_gpus and wanted != "cpu" else "cpu"
    return pick_device(wanted).type


def first_look_epochs(candidate: Candidate, config: Config) -> int:
    """Return for how many epochs a first look trains."""
    return max(1, round(config.search.first_look * int(candidate.training["epochs"])))


def task_key(candidate: Candidate, work: TrainingTask, fingerprint: str) -> str:
    """Return the store's key of a task: canonical candidate, fidelity, seed, data and code."""
    parts = [
        candidate.network_key,
        repr(sorted(asdict(work.settings).items())),
        work.device,
        work.seed,
        work.final,
        work.test,
        fingerprint,
        code_version(work.plugins),
    ]
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()
