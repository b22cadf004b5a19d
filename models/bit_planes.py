"""Bit planes as inputs: each byte becomes its highest bits, as -1 and +1. In hardware they are wires."""

import math

import brevitas.nn as qnn
import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from zerocross.models.quantizers import BinaryActivation

BYTE = 8


@dataclass(frozen=True, config={"extra": "forbid"})
class BitPlanes:
    """The encoding of each byte of the input as its highest bits.

    Attributes:
        planes: Number of bits, 2..8.
    """

    planes: int

    def __post_init__(self) -> None:
        if self.planes == 1:
            raise ValueError("planes must be 2 or more: for one bit at 128, set input_bits to 1")
        if not 2 <= self.planes <= BYTE:
            raise ValueError(f"planes must be 2..{BYTE} bits, not {self.planes}")


class PlaneEncoder(nn.Module):
    """The highest bits of the network's bytes, behind its InputQuant.

    Shapes: (N, C) to (N, C * z), or (N, C, H, W) to (N, C * z, H, W). Channel c * z + i is the i-th highest bit of channel
    c.

    Args:
        channels: C.
        encoding: Number of bits z.
    """

    def __init__(self, channels: int, encoding: BitPlanes) -> None:
        super().__init__()
        self.channels, self.bits = channels, encoding.planes
        self.repeats: Tensor
        self.shifts: Tensor
        self.register_buffer("repeats", torch.arange(channels).repeat_interleave(self.bits), persistent=False)
        self.register_buffer("shifts", BYTE - 1 - torch.arange(self.bits), persistent=False)
        self.sign = qnn.QuantIdentity(act_quant=BinaryActivation, return_quant_tensor=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return -1 and +1."""
        image = (1,) * (x.dim() - 2)
        if self.sign.act_quant.export_mode:
            # QONNX has no bits of integers. Bit k is 1 where a sine with a half-period of 2^k is negative; half a step
            # ahead, the sine is never near 0 at an integer.
            rate = (-math.pi / 2.0**self.shifts).repeat(self.channels).reshape(1, -1, *image)
            return self.sign(torch.sin((x[:, self.repeats] + 0.5) * rate))
        found = x.long().unsqueeze(2).bitwise_right_shift(self.shifts.reshape(-1, *image)).bitwise_and_(1)
        return found.to(x.dtype).mul_(2).sub_(1).flatten(1, 2)
