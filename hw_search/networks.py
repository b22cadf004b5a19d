"""Construction of networks from a configuration's topology section, and the faults of a user's own topology."""

import math
import os
import traceback
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from zerocross.models.errors import ModelError, shown
from zerocross.models.topologies import build, own_file

_COPIES = 4  # of each parameter in a training: itself, its gradient, Adam's two moments
_MOST_TENSORS = 20_000


class FaultyTopology(ModelError):
    """A user's own topology that raises an error of Python or of torch. The message names its file and line."""


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
        FaultyTopology: If the function of a user's topology raises any other error.
    """
    name = topology["name"]
    parameters = {key: value for key, value in topology.items() if key != "name"}
    try:
        with _Limited(name, _memory()):
            return build(name, input_shape, classes, parameters, samples)
    except ModelError:
        raise
    except Exception as error:
        if own_file(name) is None or isinstance(error, MemoryError) or "memory" in str(error):
            raise
        failed = f"topology {name!r} cannot be built{with_parameters(topology)}"
        raise FaultyTopology(f"{failed}: {error_text(error)}. Correct {place_of(name, error)}") from None


def with_parameters(topology: dict[str, Any]) -> str:
    """Return the parameters of a topology section for a message: " with width=32, blocks=1"; "" without any."""
    text = ", ".join(f"{key}={shown(value)}" for key, value in topology.items() if key != "name")
    return f" with {text}" if text else ""


def error_text(error: Exception) -> str:
    """Return the first line of an error of Python or of torch. Those of torch need no kind."""
    line = (str(error).strip().splitlines() or [""])[0]
    kind = "" if type(error) is RuntimeError and line else f"{type(error).__name__}: "
    return f"{kind}{line}".removesuffix(": ").removesuffix(".")


def place_of(name: str, error: Exception) -> str:
    """Return the file of a user's topology, and the last of its lines that an error passed."""
    file = own_file(name)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"{file}, line {lines[-1]}" if lines else str(file)


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
