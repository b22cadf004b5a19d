"""Which trainings are done at once, as a stack (`models.stacking`)."""

import itertools
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch

from finn_flows.network import Network

_CACHE = 2**17
"""Floats of a layer's output, all networks of a stack together, beyond which a CPU gains nothing: half a megabyte."""

_GPU_MEMORY = 2**26
"""Likewise for a GPU, which holds them for every layer: a quarter of a gigabyte each."""

_MOST = 64


def stack_size(network: Network, batch_size: int, device: str) -> int:
    """Return how many networks to train at once.

    On a CPU a stack saves calls and not arithmetic: it pays as long as its layers stay in the cache, which are small
    fully connected networks (`benchmarks/training.py` measures it). On a GPU nearly everything is calls.

    Args:
        network: their layers.
        batch_size: samples a step.
        device: "auto", "cpu" or "cuda".
    """
    widest = max(math.prod(network.shapes()[layer.name]) for layer in network.layers)
    gpu = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    return max(1, min(_MOST, (_GPU_MEMORY if gpu else _CACHE) // (batch_size * widest)))


def stacks(
    tasks: Mapping[str, dict[str, Any]], size: Callable[[dict[str, Any]], int], workers: int
) -> list[list[str]]:
    """Group tasks that can be done at once: those that differ in activations alone.

    What stands in a stack depends on the tasks alone, not on what is stored: a search that goes on after an
    interruption comes to the same floats.

    Args:
        tasks: by store key.
        size: from a task, the most tasks of a stack.
        workers: who wait for stacks; none should have to wait in vain.

    Returns:
        Keys by stack, in the order of the tasks.
    """
    groups: dict[str, list[str]] = {}
    for key, work in tasks.items():
        alike = {name: value for name, value in work.items() if name not in ("expressions", "weights")}
        groups.setdefault(json.dumps(alike, sort_keys=True) if "mixture" not in work else key, []).append(key)
    fair = max(1, math.ceil(len(tasks) / workers))
    found: list[list[str]] = []
    for keys in groups.values():
        most = min(fair, size(tasks[keys[0]])) if len(keys) > 1 else 1
        # Evenly, so that no worker is left with a long stack at the end.
        count = math.ceil(len(keys) / most)
        ends = [len(keys) * part // count for part in range(count + 1)]
        found += [keys[begin:end] for begin, end in itertools.pairwise(ends)]
    return found
