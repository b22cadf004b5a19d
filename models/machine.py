"""The machine of a training: what makes a GPU repeat its results, and failures that are the machine's."""

import torch

from zerocross.models.errors import first_line


def repeat_results() -> None:
    """Make a GPU compute equal results in every run: with deterministic kernels, and float32 in full precision."""
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = False


def machine_failure(error: Exception) -> str | None:
    """Return why the machine, not the network, ended a training: its memory or its GPU; None for any other error."""
    if isinstance(error, torch.AcceleratorError):
        return f"its GPU failed: {first_line(error)}"
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "memory" in str(error)):
        return f"out of memory: {first_line(error)}"
    return None
