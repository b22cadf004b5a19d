"""The trainings of a search: from a candidate to a task, and the task's key in the store."""

import hashlib
from dataclasses import asdict
from typing import Any

from zerocross.hw_search.config import Config
from zerocross.hw_search.execution.code_version import code_version
from zerocross.hw_search.execution.tasks import TrainingTask
from zerocross.hw_search.space import Candidate
from zerocross.hw_search.zoo.start import start_digest
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
        config: Configuration of the search.
        candidate: Candidate to train.
        seed: Seed of the initial weights and the order of samples.
        final: Whether this is a final training: with the epochs of the section `final`, the test set, and an examination
            of the activations.
        weights: File for the trained weights (safetensors), or None.
        test: Whether to evaluate on the test set.
        first_look: Whether to train only for the epochs of the first evaluation round.
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
        start=config.training.start_from,
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


def first_look_epochs(candidate: Candidate, config: Config) -> int:
    """Return the number of epochs in the first evaluation round."""
    return max(1, round(config.search.first_look * int(candidate.training["epochs"])))


def task_key(candidate: Candidate, work: TrainingTask, fingerprint: str) -> str:
    """Return a task's key in the store: a digest of canonical candidate, settings, seed, data and code."""
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
    if work.start is not None:
        parts.append(start_digest(work.start))
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()
