"""Trainings as tasks, plain JSON that travels to any process or machine, and the keys that the store knows them by."""

import hashlib
import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from zerocross.hw_search.config import Config
from zerocross.hw_search.space import Candidate
from zerocross.models.training import pick_device


def task(
    config: Config,
    candidate: Candidate,
    seed: int,
    final: bool = False,
    weights: str | None = None,
    test: bool = False,
    first_look: bool = False,
) -> dict[str, Any]:
    """Return the task of training a candidate.

    Args:
        config: the search's.
        candidate: what to train.
        seed: of the initial weights and the order of samples.
        final: train as long as the finals do, read the test set, and look closely at the activations.
        weights: where to write the trained weights (safetensors), if anywhere.
        test: read the test set.
        first_look: train for a share of the epochs alone.
    """
    training = {**candidate.training, "device": device_type(config)}
    if first_look:
        training["epochs"] = first_look_epochs(candidate, config)
    if final and config.final.epochs is not None:
        training["epochs"] = config.final.epochs
    return training_task(
        plugins=config.plugins,
        data=config.data.model_dump(),
        expressions=[str(expression) for expression in candidate.expressions],
        topology=candidate.topology,
        training=training,
        seed=seed,
        final=final,
        test=test,
        weights=weights,
        memory_gb=config.search.worker_memory_gb,
    )


def training_task(
    plugins: list[str],
    data: dict[str, Any],
    expressions: list[str],
    topology: dict[str, Any],
    training: dict[str, Any],
    seed: int,
    final: bool = False,
    test: bool = False,
    weights: str | None = None,
    memory_gb: float | None = None,
) -> dict[str, Any]:
    """Return any training as a task: see `task`; `training` is the configuration's section with its choices made."""
    return {
        "plugins": plugins,
        "data": data,
        "expressions": expressions,
        "topology": topology,
        "training": training,
        "seed": seed,
        "final": final,
        "test": test or final,
        "weights": weights,
        "memory_gb": memory_gb,
    }


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


def task_key(candidate: Candidate, work: dict[str, Any], fingerprint: str) -> str:
    """Return the store's key of a task: canonical candidate, fidelity, seed, data and code."""
    parts = [
        candidate.network_key,
        repr(sorted(work["training"].items())),
        work["seed"],
        work["final"],
        work["test"],
        fingerprint,
    ]
    parts.append(code_version(tuple(work["plugins"])))
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()


@lru_cache(maxsize=8)
def code_version(plugins: tuple[str, ...] = ()) -> str:
    """Return a digest of all code that decides a training's result: this project's, the plugins', torch's version."""
    digest = hashlib.blake2b(torch.__version__.encode(), digest_size=8)
    root = Path(__file__).resolve().parents[2]
    own = sorted((root / "models").glob("*.py"))
    own += [root / "hw_search" / "execution" / name for name in ("evaluation.py", "stacks.py")]
    own += sorted((root / "hw_search" / "extraction").glob("*.py"))
    own += [root / "finn_flows" / name for name in ("crossings.py", "integer.py", "network.py")]
    for plugin in plugins:
        spec = None if plugin.endswith(".py") else importlib.util.find_spec(plugin)
        source = spec.origin if spec is not None else plugin
        if source and Path(source).is_file():
            own.append(Path(source))
    for path in own:
        digest.update(path.read_bytes())
    return digest.hexdigest()
