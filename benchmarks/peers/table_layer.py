"""Neurons that are any function of their inputs, trained by finite differences (Bacellar et al., 2024, arXiv:2410.11112)."""

from typing import Any

import torch
from torch import Tensor, nn


class _Lookup(torch.autograd.Function):
    """Entries of a table by K bits; the gradient of a bit is the difference of the entries with and without it."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, bits: Tensor) -> Tensor:
        powers = 1 << torch.arange(bits.shape[2], device=bits.device)
        address = (bits > 0).long() @ powers
        neuron = torch.arange(len(table), device=bits.device)
        ctx.save_for_backward(table, address, powers)
        return table[neuron, address]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        table, address, powers = ctx.saved_tensors
        neuron = torch.arange(len(table), device=table.device)
        entries = torch.zeros_like(table).flatten()
        entries.index_add_(0, (address + neuron * table.shape[1]).flatten(), gradient.flatten())
        columns = address[:, :, None]
        rows = neuron[None, :, None]
        with_bit, without = table[rows, columns | powers], table[rows, columns & ~powers]
        return entries.view_as(table), gradient[:, :, None] * (with_bit - without) / 2


class _Choice(torch.autograd.Function):
    """The most likely input of each slot; the gradient passes to all inputs (straight through)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, latent: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x[:, latent.argmax(dim=-1)]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor]:  # type: ignore[override]
        (x,) = ctx.saved_tensors
        return None, torch.einsum("bnk,bf->nkf", gradient, x)


class TableLayer(nn.Module):
    """Neurons that are any function of K learned inputs. Shapes: (N, features) to (N, neurons), -1 and +1."""

    def __init__(self, features: int, neurons: int, inputs: int) -> None:
        super().__init__()
        self.latent = nn.Parameter(torch.rand(neurons, inputs, features))
        self.table = nn.Parameter(torch.empty(neurons, 1 << inputs).uniform_(-1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the neurons' bits; the gradient passes where the entry is within -1..1."""
        value = _Lookup.apply(self.table, _Choice.apply(x, self.latent))
        passed = torch.clamp(value, -1, 1)
        return passed + (torch.where(value >= 0, 1.0, -1.0) - passed).detach()
