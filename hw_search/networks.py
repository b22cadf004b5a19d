"""Construction of networks from a configuration's topology section."""

import math
import os
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from zerocross.models.errors import ModelError
from zerocross.models.topologies import build

_COPIES = 4  # of each parameter in a training: itself, its gradient, Adam's two moments
_MOST_TENSORS = 20_000


def build_topology(
    topology: dict[str, Any], input_shape: tuple[int, ...], classes: int, samples: Tensor | None = None
) -> nn.Module:
    """Return the network of a topology section (`name` and parameters, without open choices).

    Args:
        topology: The section.
        input_shape: Shape of a sample, (features,) or (channels, height, width).
        classes: Number of logits.
        samples: Training samples, for thresholds at the input; see `zerocross.models.topologies.build`.

    Raises:
        zerocross.models.errors.ModelError: If a parameter is wrong, or the network exceeds this machine's memory; the
            message names it.
    """
    parameters = {key: value for key, value in topology.items() if key != "name"}
    with _Limited(topology["name"], _memory()):
        return build(topology["name"], input_shape, classes, parameters, samples)


class _Limited(TorchDispatchMode):
    """Refuses a network whose tensors exceed the memory, before the tensor that does is allocated.

    Args:
        name: Name of the topology, for the message.
        memory: Memory of the machine, bytes.
    """

    def __init__(self, name: str, memory: int) -> None:
        super().__init__()
        self._name, self._memory = name, memory
        self._bytes = self._tensors = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        declared = function._schema.arguments
        if declared and declared[0].name == "size" and args:
            shape, kind = args[0], (kwargs or {}).get("dtype") or torch.get_default_dtype()
            self._bytes += math.prod(shape) * kind.itemsize
            self._tensors += 1
            if self._tensors > _MOST_TENSORS:
                raise ModelError(
                    f"{self._name!r} has more than {_MOST_TENSORS:,} tensors: give it fewer layers"
                )
            if 2 * _COPIES * self._bytes > self._memory:
                size = " x ".join(f"{length:,}" for length in shape)
                raise ModelError(
                    f"{self._name!r} has too many parameters for this machine: with a tensor of {size}, its training needs "
                    f"{_COPIES * self._bytes / 2**30:,.0f} GiB, more than half of {self._memory / 2**30:,.0f} GiB. Make its "
                    "layers narrower"
                )
        return function(*args, **(kwargs or {}))


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
