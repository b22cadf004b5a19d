"""The parameters of a network in few bytes: signs of binary weights as bits, all other numbers as float32."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import ConfigDict
from torch import Tensor, nn

from zerocross.hw_search.errors import UserError
from zerocross.models.layers import BinaryConv2d, BinaryLinear

_UNREAD = "num_batches_tracked"  # batch norms count their batches, but do not read the count


@dataclass(frozen=True)
class PackedTensor:
    """A tensor of a network.

    Attributes:
        name: Name in the network's `state_dict`.
        kind: "bit" for the signs of binary weights; "number".
        shape: Shape.
    """

    name: str
    kind: Literal["bit", "number"]
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Packed:
    """The parameters and buffers of a network.

    Attributes:
        tensors: All tensors, in order.
        bits: Signs of all binary weights one after the other, 8 in a byte, uint8; 1 for a weight >= 0.
        numbers: All other numbers one after the other, float32.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(arbitrary_types_allowed=True)

    tensors: tuple[PackedTensor, ...]
    bits: np.ndarray
    numbers: np.ndarray


def binary_products(model: nn.Module) -> dict[str, BinaryLinear | BinaryConv2d]:
    """Return the layers of a network that use only the signs of their weights, by name."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, BinaryLinear | BinaryConv2d)
    }


def pack(model: nn.Module) -> Packed:
    """Return the parameters of a trained network.

    Raises:
        UserError: If a number does not fit in float32.
    """
    binary = {f"{name}.weight" for name in binary_products(model)}
    tensors, signs, numbers = [], [np.empty(0, bool)], [np.empty(0, np.float32)]
    for name, tensor in model.state_dict().items():
        if name.endswith(_UNREAD):
            continue
        tensors.append(PackedTensor(name, "bit" if name in binary else "number", tuple(tensor.shape)))
        flat = tensor.detach().cpu().flatten()
        if name in binary:
            signs.append((flat >= 0).numpy())
            continue
        single = flat.to(torch.float32)
        if not torch.equal(single.to(flat.dtype), flat):
            raise UserError(
                f"{name} is {flat.dtype} and does not fit in float32: use float32 in the topology"
            )
        numbers.append(single.numpy())
    return Packed(tuple(tensors), np.packbits(np.concatenate(signs)), np.concatenate(numbers))


def unpack(packed: Packed) -> dict[str, Tensor]:
    """Return the tensors of a network by name. Binary weights are -1 and +1."""
    return dict(_unpacked(packed))


def _unpacked(packed: Packed) -> Iterator[tuple[str, Tensor]]:
    bits, numbers = 0, 0
    signs = np.unpackbits(packed.bits).astype(np.float32) * 2 - 1
    for tensor in packed.tensors:
        if tensor.kind == "bit":
            values, bits = signs[bits : bits + tensor.size], bits + tensor.size
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
