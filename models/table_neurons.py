"""Fully connected layers whose channels are any function of a few bits: a table of 2**K entries for K inputs, all learned.

A channel is one 6-input lookup table in hardware, as in a sparse layer (`zerocross.models.sparse`), but the table is free.

- `TableLinear` chooses K inputs for each channel and adds them with the weights 1, 2, 4, ...: the sum is the table's index.
- `TableSlot` looks the index up, and takes the sign of the entry.

Tables are trained by finite differences, in the manner of DWN (Bacellar et al., 2024, arXiv:2410.11112). The gradient of an
input is the difference of the two entries that it chooses between; DWN weighs all entries, by their distance. The gradient
of a choice passes to all inputs that it could be. Entries stay within -1..1.
"""

from typing import Any, NamedTuple, Self

import brevitas.nn as qnn
import torch
from torch import Tensor, nn

from zerocross.models.errors import ModelError
from zerocross.models.quantizers import BinaryActivation
from zerocross.models.sparse import Connections

MOST_INPUTS = 6
"""Most inputs of a table: those of one lookup table in hardware."""


class _Index(torch.autograd.Function):
    """The sums of chosen inputs of -1 and +1, with the weights 1, 2, 4, ...

    The gradient of a sum is that of the table's entry which it chooses. It reaches an input times half the difference of the
    entries with and without the input.
    """

    @staticmethod
    def forward(  # type: ignore[no-untyped-def]
        ctx, x: Tensor, latent: Tensor, chosen: Tensor, table: Tensor
    ) -> Tensor:
        ctx.save_for_backward(x, chosen, table)
        columns = x.T.contiguous()
        weights = _powers(chosen).to(x.dtype).expand(chosen.shape).contiguous()
        return nn.functional.embedding_bag(chosen, columns, per_sample_weights=weights, mode="sum").T

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:  # type: ignore[no-untyped-def]
        x, chosen, table = ctx.saved_tensors
        channels, inputs = chosen.shape
        bits = x.T[chosen]  # (channels, inputs, N)
        index = ((bits > 0).long() * _powers(chosen)[:, None]).sum(dim=1)
        start = torch.arange(channels, device=x.device)[:, None] << inputs
        entries = table.detach().flatten()
        slopes = torch.empty_like(bits)
        for place in range(inputs):
            power = 1 << place
            slopes[:, place] = entries[start + (index | power)] - entries[start + (index & ~power)]
        slopes *= 0.5 * gradient.T[:, None]
        of_x = of_latent = None
        if ctx.needs_input_grad[0]:
            of_x = torch.zeros_like(x.T).index_add_(0, chosen.flatten(), slopes.flatten(0, 1)).T
        if ctx.needs_input_grad[1]:
            of_latent = (slopes.flatten(0, 1) @ x).view(channels, inputs, -1)
        return of_x, of_latent, None, None


def _powers(chosen: Tensor) -> Tensor:
    """Return 1, 2, 4, ... for the inputs of a channel, (channels, K)."""
    return 1 << torch.arange(chosen.shape[1], device=chosen.device)


class _LookUp(torch.autograd.Function):
    """The entries of tables (channels, 2**K) at indices (N, channels). The gradient of an index is that of its entry."""

    @staticmethod
    def forward(ctx, sums: Tensor, table: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        channels, entries = table.shape
        index = ((sums + (entries - 1)) / 2).long() + entries * torch.arange(channels, device=table.device)
        ctx.save_for_backward(index)
        ctx.shape = table.shape
        return table.flatten()[index]

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[no-untyped-def]
        (index,) = ctx.saved_tensors
        of_table = gradient.new_zeros(ctx.shape.numel()).index_add_(0, index.flatten(), gradient.flatten())
        return gradient, of_table.view(ctx.shape)


class IndexWeights(NamedTuple):
    """Weights as Brevitas' layers give theirs.

    Attributes:
        value: Weights, (channels, fan_in).
        scale: 1.
        bit_width: Bits of the weights.
    """

    value: Tensor
    scale: Tensor
    bit_width: Tensor


class TableLinear(nn.Module):
    """The index of each channel's table: the sum of K inputs of -1 and +1 with the weights 1, 2, 4, ...

    Shapes: (N, fan_in) to (N, channels), odd integers of -(2**K - 1) to 2**K - 1.

    Each of the K inputs of a channel has a latent weight for every possible connection. The largest of those that are still
    free connects it, in turn.

    Args:
        fan_in: Number of features.
        channels: Number of outputs.
        inputs: K, 1..6 and at most `fan_in`.
        connections: "learned", or "random": drawn here and fixed.

    Attributes:
        table: Entries of each channel's table, (channels, 2**K).

    Raises:
        ModelError: If K is out of range.
    """

    def __init__(self, fan_in: int, channels: int, inputs: int, connections: Connections = "learned") -> None:
        super().__init__()
        if not 1 <= inputs <= min(fan_in, MOST_INPUTS):
            raise ModelError(
                f"a table cannot read {inputs} inputs of {fan_in}: it reads 1 to {MOST_INPUTS} different ones"
            )
        self.in_features, self.out_features, self.inputs = fan_in, channels, inputs
        self.latent = nn.Parameter(torch.rand(channels, inputs, fan_in))
        self.table = nn.Parameter(torch.empty(channels, 1 << inputs).uniform_(-1, 1))
        if connections == "random":
            self.latent.requires_grad_(False)
        self._product: Tensor | None
        self.register_buffer("_product", None, persistent=False)

    @torch.no_grad()
    def chosen(self) -> Tensor:
        """Return the inputs of each channel, (channels, K), all different in a channel."""
        found = self.latent.argmax(dim=-1)
        channels = torch.arange(self.out_features, device=found.device)
        if not found.is_cuda:  # a CUDA graph cannot capture a shape that depends on values
            ordered = found.sort(dim=1).values
            channels = channels[(ordered[:, 1:] == ordered[:, :-1]).any(dim=1)]
        for place in range(1, self.inputs):
            free = self.latent[channels, place].scatter(1, found[channels, :place], -torch.inf)
            found[channels, place] = free.argmax(dim=1)
        return found

    def quant_weight(self) -> IndexWeights:
        """Return the weights of the product: 1, 2, 4, ... and 0."""
        chosen = self.chosen()
        powers = _powers(chosen).float().expand(chosen.shape)
        value = powers.new_zeros(self.out_features, self.in_features).scatter_(1, chosen, powers)
        return IndexWeights(value, torch.tensor(1.0), torch.tensor(max(2.0, float(self.inputs))))

    def train(self, mode: bool = True) -> Self:
        """See `nn.Module`. A training takes `harden` back."""
        if mode:
            self._product = None
        return super().train(mode)

    def harden(self) -> None:
        """Multiply by the whole weights from now on, as an export needs, and make all entries -1 or +1."""
        self._product = self.quant_weight().value
        with torch.no_grad():
            self.table.copy_(torch.where(self.table >= 0, 1.0, -1.0))

    def forward(self, x: Tensor) -> Tensor:
        """Add the chosen inputs."""
        if self._product is not None:
            return nn.functional.linear(x, self._product)
        if self.training:
            with torch.no_grad():
                self.table.clamp_(-1.0, 1.0)  # an entry far from 0 would never change its sign
        out: Tensor = _Index.apply(x.float(), self.latent, self.chosen(), self.table)
        return out


class TableSlot(nn.Module):
    """The signs of tables' entries. Shapes: (N, channels), kept; indices from `TableLinear` to -1 and +1.

    The gradient passes unchanged to the entries.

    Args:
        layer: Layer of the indices, which also owns the tables.
    """

    def __init__(self, layer: TableLinear) -> None:
        super().__init__()
        self.channels = layer.out_features
        self.sign = qnn.QuantIdentity(act_quant=BinaryActivation, return_quant_tensor=False)
        self._layer = (layer,)  # not a submodule: its parameters would have two names

    @property
    def table(self) -> Tensor:
        """Entries of each channel's table, (channels, 2**K)."""
        return self._layer[0].table

    @torch.no_grad()
    def response(self, values: Tensor) -> Tensor:
        """Return every channel's entry for each index.

        Args:
            values: Indices as `forward` reads them, shape (T,).

        Returns:
            Entries of shape (channels, T).
        """
        table = self.table
        places = ((values.to(table) + (table.shape[1] - 1)) / 2).long()
        return table[:, places]

    def forward(self, x: Tensor) -> Tensor:
        """Look up."""
        if self.sign.act_quant.export_mode:
            return self.sign(self._lines(x))
        value: Any = _LookUp.apply(x, self.table)
        signs: Tensor = value + (torch.where(value >= 0, 1.0, -1.0) - value).detach()
        return signs

    def _lines(self, x: Tensor) -> Tensor:
        """Return the entries as lines between them, which an exported graph can compute."""
        entries = self.table.detach()
        place = (x + float(entries.shape[1] - 1)) * 0.5
        result = entries[:, 0]
        for step in range(entries.shape[1] - 1):
            rise = entries[:, step + 1] - entries[:, step]
            result = result + rise * torch.clamp(place - float(step), 0.0, 1.0)
        return result


def table_slots(model: nn.Module) -> dict[str, TableSlot]:
    """Return a network's slots of tables by name, in the order of their definition; a search does not change them."""
    return {name: module for name, module in model.named_modules() if isinstance(module, TableSlot)}
