"""The parameters of a network in few bytes: weights and tables as bits, all other numbers as float32."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import ConfigDict
from torch import Tensor, nn

from zerocross.hw_search.errors import UserError
from zerocross.models.layers import BinaryConv2d, BinaryLinear, IntegerConv2d, IntegerLinear
from zerocross.models.quantizers import weight_grid
from zerocross.models.sparse import SparseLinear
from zerocross.models.table_neurons import TableLinear

Kind = Literal["bit", "integer", "sparse", "choice", "number"]
_UNREAD = "num_batches_tracked"  # batch norms count their batches, but do not read the count


@dataclass(frozen=True)
class PackedTensor:
    """A tensor of a network.

    Attributes:
        name: Name in the network's `state_dict`.
        kind: "bit" for the signs of binary weights and tables; "integer" for weights of several bits; "sparse" for the -1, 0
            and +1 of a sparse layer; "choice" for the largest of each row; "number".
        shape: Shape.
        width: Bits of an "integer", 2..8; 1 otherwise.
    """

    name: str
    kind: Kind
    shape: tuple[int, ...]
    width: int = field(default=1, repr=False)  # entries of older versions have digests without it

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Packed:
    """The parameters and buffers of a network.

    Attributes:
        tensors: All tensors, in order.
        bits: Bits of all weights one after the other, 8 in a byte, uint8. A binary weight has one, 1 for a weight >= 0.
            Weights of several bits have a row for each bit, the lowest first, of the integer minus the smallest one. The
            weights of a sparse layer have two rows of bits: 1 for weights above 0, then 1 for weights below 0.
        numbers: All other numbers one after the other, float32. A choice has the place of the largest of each row.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(arbitrary_types_allowed=True)

    tensors: tuple[PackedTensor, ...]
    bits: np.ndarray
    numbers: np.ndarray


def kinds_of(model: nn.Module) -> dict[str, Kind]:
    """Return the kinds of a network's tensors that are not packed as numbers, by their names in the `state_dict`."""
    found: dict[str, Kind] = {}
    for name, module in model.named_modules():
        match module:
            case BinaryLinear() | BinaryConv2d():
                found[f"{name}.weight"] = "bit"
            case IntegerLinear() | IntegerConv2d():
                found[f"{name}.weight"] = "integer"
            case SparseLinear():
                found[f"{name}.weight"] = "sparse"
            case TableLinear():
                found |= {f"{name}.table": "bit", f"{name}.latent": "choice"}
    return found


def pack(model: nn.Module) -> Packed:
    """Return the parameters of a trained network.

    Raises:
        UserError: If a number does not fit in float32.
    """
    kinds, layers = kinds_of(model), dict(model.named_modules())
    tensors, signs, numbers = [], [np.empty(0, bool)], [np.empty(0, np.float32)]
    for name, tensor in model.state_dict().items():
        if name.endswith(_UNREAD):
            continue
        kind, layer = kinds.get(name, "number"), layers.get(name.rpartition(".")[0])
        several = layer if kind == "integer" and isinstance(layer, IntegerLinear | IntegerConv2d) else None
        width = several.weight_bits if several else 1
        tensors.append(PackedTensor(name, kind, tuple(tensor.shape), width))
        flat = tensor.detach().cpu().flatten()
        if several:
            integers = (several.grid.integers(flat).int() - several.grid.low).numpy()
            signs += [(integers >> bit & 1).astype(bool) for bit in range(width)]
            continue
        if kind == "bit":
            signs.append((flat >= 0).numpy())
            continue
        if kind == "sparse" and isinstance(layer, SparseLinear):
            weights = layer.few(tensor.detach())[0].cpu().flatten()
            signs += [(weights > 0).numpy(), (weights < 0).numpy()]
            continue
        if kind == "choice" and isinstance(layer, TableLinear):
            numbers.append(layer.chosen().cpu().flatten().float().numpy())
            continue
        single = flat.to(torch.float32)
        if not torch.equal(single.to(flat.dtype), flat):
            raise UserError(
                f"{name} is {flat.dtype} and does not fit in float32: use float32 in the topology"
            )
        numbers.append(single.numpy())
    return Packed(tuple(tensors), np.packbits(np.concatenate(signs)), np.concatenate(numbers))


def unpack(packed: Packed) -> dict[str, Tensor]:
    """Return the tensors of a network by name.

    Binary weights are -1 and +1, those of several bits are multiples of their scale, and those of sparse layers are -0.5, 0
    and +0.5. The chosen one of a row is 1, the others are 0.
    """
    return dict(_unpacked(packed))


def _unpacked(packed: Packed) -> Iterator[tuple[str, Tensor]]:
    bits, numbers = 0, 0
    signs = np.unpackbits(packed.bits).astype(np.float32) * 2 - 1
    for tensor in packed.tensors:
        if tensor.kind == "bit":
            values, bits = signs[bits : bits + tensor.size], bits + tensor.size
        elif tensor.kind == "integer":
            rows, bits = bits, bits + tensor.width * tensor.size
            planes = signs[rows:bits].reshape(tensor.width, -1) > 0
            grid = weight_grid(tensor.width)
            integers = 2 ** np.arange(tensor.width) @ planes + grid.low
            values = integers.astype(np.float32) * np.float32(grid.step)
        elif tensor.kind == "sparse":
            above, below = signs[bits : bits + 2 * tensor.size].reshape(2, -1)
            values, bits = np.float32(0.5) * (above - below), bits + 2 * tensor.size
        elif tensor.kind == "choice":
            rows = tensor.size // tensor.shape[-1]
            chosen, numbers = packed.numbers[numbers : numbers + rows].astype(int), numbers + rows
            if rows and not 0 <= chosen.min() <= chosen.max() < tensor.shape[-1]:
                raise ValueError(f"{tensor.name} chooses what it does not have")
            values = np.zeros((rows, tensor.shape[-1]), np.float32)
            values[np.arange(rows), chosen] = 1.0
        else:
            values, numbers = packed.numbers[numbers : numbers + tensor.size], numbers + tensor.size
        yield tensor.name, torch.from_numpy(values.reshape(tensor.shape).copy())


def fill(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Put tensors from `unpack` into a network, in place.

    Raises:
        ValueError: If the network has other tensors.
    """
    own = {name: tensor for name, tensor in model.state_dict().items() if not name.endswith(_UNREAD)}
    for name in sorted(own.keys() ^ tensors.keys()):
        raise ValueError(f"{'it lacks' if name in own else 'the network has no'} {name}")
    for name, tensor in own.items():
        if tensor.shape != tensors[name].shape:
            raise ValueError(
                f"{name} has the shape {tuple(tensors[name].shape)}, in the network {tuple(tensor.shape)}"
            )
    model.load_state_dict(tensors, strict=False)
