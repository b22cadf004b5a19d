"""Which trainings are done at once, as a stack (`zerocross.models.stacking`)."""

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from zerocross.finn_flows.network import Conv, Dense, Flatten, Network
from zerocross.hw_search.execution.tasks import TrainingTask, to_json

_CACHE = 2**17
"""Floats of a layer's output, all networks of a stack together, beyond which a CPU gains nothing: half a megabyte."""

_GPU_MEMORY = 2**30
"""Floats that a stack may take of a GPU: four gigabytes."""

_OUTPUTS, _WEIGHTS = 30, 8
"""Tensors of the size of the widest layer's output, and copies of its weights (their gradients, Adam's two moments, the
signs, the networks themselves), that a GPU holds while a network trains."""

_MOST = {"cpu": 64, "cuda": 256}
"""A step of 256 small networks takes no more calls than one of 64, and 36 to 55 times fewer a network than one by one."""

_PARTS = {"cpu": 8, "cuda": 4}
"""A batch of tasks is split in as many stacks at least, for as many workers; not by how many there are, see `stacks`."""


def stack_size(network: Network, batch_size: int, device: str, tasks: int) -> int:
    """Return how many networks to train at once.

    On a CPU a stack saves calls and not arithmetic: it pays as long as its layers stay in the cache, which are small
    fully connected networks. On a GPU nearly everything is calls. `benchmarks/training.py` measures and counts.

    Args:
        network: their layers.
        batch_size: samples a step.
        device: where they are trained, "cpu" or "cuda".
        tasks: how many there are in all.
    """
    # A flattened input is one for all of them.
    shapes = network.shapes()
    widest = max(
        math.prod(shapes[layer.name]) for layer in network.layers if not isinstance(layer.operation, Flatten)
    )
    if device == "cpu":
        room = _CACHE // (batch_size * widest)
    else:
        room = _GPU_MEMORY // (_OUTPUTS * batch_size * widest + _WEIGHTS * _weights(network))
    return max(1, min(_MOST[device], room, math.ceil(tasks / _PARTS[device])))


def _weights(network: Network) -> int:
    """Return how many weights a network's products have."""
    shapes, total = network.shapes(), 0
    for layer in network.layers:
        if isinstance(layer.operation, Dense | Conv):
            fan_in = math.prod(shapes[layer.inputs[0]])
            if isinstance(layer.operation, Conv):
                area = math.prod(layer.operation.kernel)
                fan_in = area * shapes[layer.inputs[0]][-1] // layer.operation.groups
            total += layer.operation.channels * fan_in
    return total


def stacks(tasks: Mapping[str, TrainingTask], size: Callable[[TrainingTask], int]) -> list[list[str]]:
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
        alike = to_json(replace(work, expressions=(), weights=None))
        groups.setdefault(alike if work.mixture is None else key, []).append(key)
    found: list[list[str]] = []
    for keys in groups.values():
        most = size(tasks[keys[0]]) if len(keys) > 1 else 1
        # Evenly, so that no worker is left with a long stack at the end.
        count = math.ceil(len(keys) / most)
        ends = [len(keys) * part // count for part in range(count + 1)]
        found += [keys[begin:end] for begin, end in itertools.pairwise(ends)]
    return found
