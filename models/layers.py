"""The layers of a binary network, on Brevitas.

Everything a network computes ahead of an activation is an exact integer in float32: inputs are the integers
0..255 (or -1 and +1), weights are -1 and +1. That is what makes crossings exact.

A topology puts an `ActivationSlot` wherever a sign goes; what function stands ahead of the sign is filled in later
with `install`, so a topology never speaks of expressions.
"""

import math
from collections.abc import Sequence

import brevitas.nn as qnn
import torch
from torch import Tensor, nn

from models.activation import ActivationFunction
from models.errors import ModelError
from models.expressions import Expression, X
from models.quantizers import BinaryActivation, BinaryWeight, ByteInput, sign


class InputQuant(nn.Module):
    """The network's input quantizer; inputs are pixels 0..255.

    Args:
        bits: 8 passes the integers 0..255 on; 1 gives +1 for 128 and above, else -1.
    """

    def __init__(self, bits: int = 8) -> None:
        super().__init__()
        if bits not in (1, 8):
            raise ModelError(f"input_bits must be 1 or 8, not {bits}")
        self.bits = bits
        self.quant = qnn.QuantIdentity(
            act_quant=ByteInput if bits == 8 else BinaryActivation, return_quant_tensor=False
        )

    def forward(self, x: Tensor) -> Tensor:
        """Quantize pixels of any shape."""
        if self.bits == 1:
            x = x - 127.5
        return self.quant(x)


class BinaryLinear(qnn.QuantLinear):
    """A fully connected layer with binary weights and no bias. Shapes: (N, fan_in) to (N, channels)."""

    def __init__(self, fan_in: int, channels: int) -> None:
        super().__init__(fan_in, channels, bias=False, weight_quant=BinaryWeight)

    def forward(self, x: Tensor) -> Tensor:
        """Multiply; outside of export without Brevitas' bookkeeping, which would double a step's time."""
        if self.weight_quant.export_mode:
            return super().forward(x)
        return nn.functional.linear(x, sign(self.weight, BinaryWeight.window))


class BinaryConv2d(qnn.QuantConv2d):
    """A convolution with binary weights and no bias. Shapes: (N, C, H, W) to (N, channels, H', W').

    Args:
        in_channels: C.
        channels: output channels.
        kernel: side of the square kernel.
        stride: both ways.
        padding: pixels on each side.
        pad_value: -1 where the input is binary (a zero would be a third value, off the accumulator's grid), 0
            where it is bytes.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        kernel: int = 3,
        stride: int = 1,
        padding: int = 0,
        pad_value: float = -1.0,
    ) -> None:
        super().__init__(in_channels, channels, kernel, stride=stride, bias=False, weight_quant=BinaryWeight)
        self.border = padding
        self.pad_value = pad_value

    def forward(self, x: Tensor) -> Tensor:
        """Pad and convolve."""
        if self.border:
            x = nn.functional.pad(x, [self.border] * 4, value=self.pad_value)
        if self.weight_quant.export_mode:
            return super().forward(x)
        return nn.functional.conv2d(x, sign(self.weight, BinaryWeight.window), stride=self.stride)


class ActivationSlot(nn.Module):
    """Batch norm, an activation function, and the sign. Shapes: (N, C) or (N, C, H, W), kept.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.norm = _BatchNorm(channels)
        self.function = ActivationFunction(X, channels)
        self.sign = qnn.QuantIdentity(act_quant=BinaryActivation, return_quant_tensor=False)

    def install(self, expression: Expression) -> None:
        """Put a function, with fresh parameters, ahead of the sign."""
        self.function = ActivationFunction(expression, self.channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return -1 or +1 for every accumulator."""
        x = self.function(self.norm(x))
        return self.sign(x) if self.sign.act_quant.export_mode else sign(x)

    @torch.no_grad()
    def response(self, accumulators: Tensor) -> Tensor:
        """Return the function's value ahead of the sign for every channel and accumulator.

        Args:
            accumulators: integers, shape (T,).

        Returns:
            Values of shape (channels, T) in float32, by the module as it stands (eval mode expected): bit is
            value >= 0.
        """
        column = accumulators.to(self.norm.running_mean)[:, None].expand(-1, self.channels)
        column = (
            column.contiguous()
        )  # torch's batch norm rounds otherwise where memory is strided, unlike `forward`
        return self.function(self.norm(column)).detach().T


class _BatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm over (N, C) and (N, C, H, W) alike."""

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() not in (2, 4):
            raise ModelError(f"an activation slot takes (N, C) or (N, C, H, W), not {tuple(input.shape)}")


class LogitScale(nn.Module):
    """One learnable positive scale for all logits, so that argmax stays a comparison of integers.

    Args:
        fan_in: the classifier's; the scale starts at 1/sqrt(fan_in).
    """

    def __init__(self, fan_in: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(-0.5 * math.log(fan_in)))

    def forward(self, x: Tensor) -> Tensor:
        """Scale logits of any shape."""
        return x * torch.exp(self.log_scale)


def slots(model: nn.Module) -> dict[str, ActivationSlot]:
    """Return a network's activation slots by name, in the order they were defined."""
    return {name: module for name, module in model.named_modules() if isinstance(module, ActivationSlot)}


def install(model: nn.Module, expressions: Sequence[Expression]) -> None:
    """Put activations into a network's slots.

    Args:
        model: the network.
        expressions: one for all slots, or one for each.

    Raises:
        ModelError: if there are neither one nor as many as slots.
    """
    found = list(slots(model).values())
    if len(expressions) not in (1, len(found)):
        raise ModelError(
            f"{len(expressions)} activations for a network with {len(found)} activation slots: give one, or {len(found)}"
        )
    for index, slot in enumerate(found):
        slot.install(expressions[index if len(expressions) > 1 else 0])
