"""Which trainings are done at once, as a stack (`models.stacking`)."""

import itertools
import json
import math
import os
from collections.abc import Callable, Mapping
from typing import Any

import torch

from finn_flows.network import Flatten, Network
from hw_search.config import Config
from models.training import pick_device

_CACHE = 2**17
"""Floats of a layer's output, all networks of a stack together, beyond which a CPU gains nothing: half a megabyte."""

_GPU_MEMORY = 2**25
"""Likewise for a GPU, which holds some thirty tensors of that size while it trains: about four gigabytes."""

_MOST = {"cpu": 64, "cuda": 256}
"""A step of 256 small networks takes no more calls than one of 64, and 36 to 55 times fewer a network than one by one."""

_PARTS = 8
"""A batch of tasks is split in as many stacks at least, for as many workers."""


def stack_size(network: Network, batch_size: int, device: torch.device, tasks: int) -> int:
    """Return how many networks to train at once.

    On a CPU a stack saves calls and not arithmetic: it pays as long as its layers stay in the cache, which are small
    fully connected networks. On a GPU nearly everything is calls. `benchmarks/training.py` measures and counts.

    Args:
        network: their layers.
        batch_size: samples a step.
        device: where they are trained.
        tasks: how many there are in all.
    """
    # A flattened input is one for all of them.
    shapes = network.shapes()
    widest = max(
        math.prod(shapes[layer.name]) for layer in network.layers if not isinstance(layer.operation, Flatten)
    )
    room = (_CACHE if device.type == "cpu" else _GPU_MEMORY) // (batch_size * widest)
    most = _MOST.get(device.type, 64)
    return max(1, min(most, room, math.ceil(tasks / _PARTS) if device.type == "cpu" else most))


def worker_count(config: Config) -> int:
    """Return how many worker processes to start: as configured, else one for each core, or two that share a GPU."""
    if config.search.workers is not None:
        return config.search.workers
    return (os.cpu_count() or 1) if pick_device(config.training.device).type == "cpu" else 2


def stacks(tasks: Mapping[str, dict[str, Any]], size: Callable[[dict[str, Any]], int]) -> list[list[str]]:
    """Group tasks that can be done at once: those that differ in activations alone.

    What stands in a stack depends on the tasks alone, not on what is stored or on how many workers there are: a search that
    goes on after an interruption comes to the same floats.

    Args:
        tasks: by store key.
        size: from a task, the most tasks of a stack.

    Returns:
        Keys by stack, in the order of the tasks.
    """
    groups: dict[str, list[str]] = {}
    for key, work in tasks.items():
        alike = {name: value for name, value in work.items() if name not in ("expressions", "weights")}
        groups.setdefault(json.dumps(alike, sort_keys=True) if "mixture" not in work else key, []).append(key)
    found: list[list[str]] = []
    for keys in groups.values():
        most = size(tasks[keys[0]]) if len(keys) > 1 else 1
        # Evenly, so that no worker is left with a long stack at the end.
        count = math.ceil(len(keys) / most)
        ends = [len(keys) * part // count for part in range(count + 1)]
        found += [keys[begin:end] for begin, end in itertools.pairwise(ends)]
    return found
