"""Grouping of trainings into stacks that run together (`zerocross.models.stacking`)."""

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from zerocross.finn_flows.network import Conv, Dense, Flatten, Network, Sparse, is_indexed
from zerocross.hw_search.execution.tasks import TrainingTask, to_json

_CACHE = 2**17
"""Largest layer output of a whole stack, in floats, with which a CPU still gains speed: half a megabyte."""

_GPU_MEMORY = 2**30
"""Memory of a stack on a GPU, in floats: four gigabytes."""

_OUTPUTS, _WEIGHTS = 30, 8
"""GPU memory of a network in training: tensors of the size of the widest layer's output, and copies of its weights
(gradients, Adam's two moments, signs, the networks themselves)."""

_MOST = {"cpu": 64, "cuda": 256}
"""Largest stack by device. A step of 256 small networks needs no more calls than one of 64, and 36 to 55 times fewer per
network than separate steps."""

_PARTS = {"cpu": 8, "cuda": 4}
"""Smallest number of stacks for a batch of tasks, so that several workers share it. It is independent of the number of
workers; see `stacks`."""


def stack_size(network: Network, batch_size: int, device: str, tasks: int) -> int:
    """Return the number of networks to train together.

    On a CPU a stack saves calls, not arithmetic. It pays while its layers fit in the cache, that is, for small fully
    connected networks. On a GPU calls take nearly all of the time. `benchmarks/training.py` measures both.

    Args:
        network: Layers of each network.
        batch_size: Samples per step.
        device: Device of the training, "cpu" or "cuda".
        tasks: Total number of tasks.
    """
    if any(is_indexed(layer) for layer in network.layers):
        return 1  # layers of tables have no stack
    # All networks share one flattened input.
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
    """Return the number of weights in a network's products."""
    shapes, total = network.shapes(), 0
    for layer in network.layers:
        if isinstance(layer.operation, Dense | Sparse | Conv):
            fan_in = math.prod(shapes[layer.inputs[0]])
            if isinstance(layer.operation, Conv):
                area = math.prod(layer.operation.kernel)
                fan_in = area * shapes[layer.inputs[0]][-1] // layer.operation.groups
            total += layer.operation.channels * fan_in
    return total


def stacks(tasks: Mapping[str, TrainingTask], size: Callable[[TrainingTask], int]) -> list[list[str]]:
    """Group tasks that can run together: those that differ only in activations.

    The groups depend only on the tasks, not on stored results or the number of workers. A resumed search therefore computes
    the same floats.

    Args:
        tasks: Tasks by store key.
        size: Function from a task to the largest number of tasks in its stack.

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
        # Stacks of equal size, so that no worker has a long stack at the end.
        count = math.ceil(len(keys) / most)
        ends = [len(keys) * part // count for part in range(count + 1)]
        found += [keys[begin:end] for begin, end in itertools.pairwise(ends)]
    return found
