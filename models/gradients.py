"""The gradients of one batch: computed call by call, or on a GPU as one captured graph of all calls."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

Compute = Callable[[Tensor], Tensor]
"""Computes the gradients of a batch into the parameters' `grad`, and returns its loss, a scalar."""

_WARM = 3


@dataclass
class _Captured:
    graph: torch.cuda.CUDAGraph
    batch: Tensor
    loss: Tensor
    gradients: list[Tensor | None]


class Graphed:
    """Replays the gradients' computation as CUDA graphs, one for each batch size.

    A small network's step consists of hundreds of calls of a few microseconds. A graph launches all of them at once. If a
    network cannot be captured (because its forward waits for the GPU), its steps run call by call.

    Args:
        compute: The computation. It must not read anything that changes except tensors, nor wait for the GPU.
        model: Network whose parameters receive the gradients, on a GPU.
    """

    def __init__(self, compute: Compute, model: nn.Module) -> None:
        self._compute = compute
        self._parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._buffers = list(model.buffers())
        self._captured: dict[int, _Captured] = {}
        self._possible = True

    def __call__(self, batch: Tensor) -> Tensor:
        """See `Compute`. The loss is overwritten by the next call."""
        size = batch.shape[-1]
        if self._possible and size not in self._captured:
            self._capture(batch)
        if not self._possible:
            return self._fresh(batch)
        captured = self._captured[size]
        captured.batch.copy_(batch)
        captured.graph.replay()
        for parameter, gradient in zip(self._parameters, captured.gradients, strict=True):
            parameter.grad = gradient
        return captured.loss

    def _fresh(self, batch: Tensor) -> Tensor:
        for parameter in self._parameters:
            parameter.grad = None
        return self._compute(batch)

    def _capture(self, batch: Tensor) -> None:
        # The warm-up, which a capture needs, must not count as training.
        before = [buffer.clone() for buffer in self._buffers]
        state = torch.cuda.get_rng_state(batch.device)
        static = batch.clone()
        stream = torch.cuda.Stream(batch.device)
        stream.wait_stream(torch.cuda.current_stream(batch.device))
        with torch.cuda.stream(stream):
            for _ in range(_WARM):
                self._fresh(static)
        torch.cuda.current_stream(batch.device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        try:
            for parameter in self._parameters:
                parameter.grad = None
            with torch.cuda.graph(graph):
                loss = self._compute(static)
            gradients = [parameter.grad for parameter in self._parameters]
            self._captured[batch.shape[-1]] = _Captured(graph, static, loss, gradients)
        except RuntimeError as error:
            torch.cuda.synchronize(batch.device)
            warnings.warn(f"training runs without a CUDA graph: {error}", RuntimeWarning, stacklevel=2)
            self._possible = False
        for buffer, value in zip(self._buffers, before, strict=True):
            buffer.copy_(value)
        torch.cuda.set_rng_state(state, batch.device)
