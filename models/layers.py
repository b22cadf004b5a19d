"""The layers of a binary network, on Brevitas.

Every value before an activation is an exact integer in float32, times a power of two:
* inputs are the integers 0..255 (or -1 and +1);
* weights are -1 and +1, or integers of a few bits;
* a residual stream holds integers of a few bits.

Therefore crossings are exact.

A topology puts an `ActivationSlot` wherever it needs a sign. `install` sets the function before the sign later, so a
topology does not depend on expressions. A `StreamSlot` quantizes a residual stream; the topology sets its function.
"""

import math
from collections.abc import Sequence
from typing import Any

import brevitas.nn as qnn
import torch
from torch import Tensor, nn

from zerocross.models.activation import ActivationFunction
from zerocross.models.errors import ModelError
from zerocross.models.expressions import Expression, X
from zerocross.models.quantizers import (
    BinaryActivation,
    BinaryWeight,
    ByteInput,
    FixedPoint,
    activation_quantizer,
    sign,
    weight_grid,
    weight_quantizer,
)
from zerocross.models.surrogates import Surrogate, Window


class InputQuant(nn.Module):
    """The network's input quantizer; inputs are pixels 0..255.

    Args:
        bits: 8 keeps the integers 0..255; 1 returns +1 for 128 and above, else -1.
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
        if (
            self.training
        ):  # the same values, without Brevitas' bookkeeping, which takes a third of a small network's step
            return sign(x) if self.bits == 1 else x
        return self.quant(x)


class BinaryLinear(qnn.QuantLinear):
    """A fully connected layer with binary weights and no bias. Shapes: (N, fan_in) to (N, channels).

    Attributes:
        weight_bits: 1.
        sharpness: nu of `zerocross.models.self_binarizing`, which replaces weights w by tanh(nu w); None for signs.
    """

    weight_bits = 1

    def __init__(self, fan_in: int, channels: int) -> None:
        super().__init__(fan_in, channels, bias=False, weight_quant=BinaryWeight)
        self.sharpness: float | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Multiply; except in export, skip Brevitas' bookkeeping, which would double a step's time."""
        if self.weight_quant.export_mode:
            return super().forward(x)
        return nn.functional.linear(x, binary(self.weight, WEIGHT_SURROGATE, self.sharpness))


class IntegerLinear(qnn.QuantLinear):
    """A fully connected layer with weights of several bits and no bias. Shapes: (N, fan_in) to (N, channels).

    Args:
        fan_in: Number of inputs.
        channels: Number of outputs.
        weight_bits: Bits of the weights, 2..8; see `zerocross.models.quantizers.weight_quantizer`.
    """

    def __init__(self, fan_in: int, channels: int, weight_bits: int = 8) -> None:
        super().__init__(fan_in, channels, bias=False, weight_quant=weight_quantizer(weight_bits))
        self.weight_bits, self.grid = weight_bits, _integer_weights(self.weight, weight_bits)

    def forward(self, x: Tensor) -> Tensor:
        """Multiply."""
        if self.weight_quant.export_mode:
            return super().forward(x)
        return nn.functional.linear(x, self.grid(self.weight)[0])


class PaddedConv2d(qnn.QuantConv2d):
    """The base of all convolutions here: no bias, and padding with any value.

    Shapes: (N, C, H, W) to (N, channels, H', W').

    Args:
        in_channels: C.
        channels: Output channels.
        kernel: Side of the square kernel.
        stride: Stride in both directions.
        padding: Pixels on each side.
        pad_value: Value of the padding: -1 for binary inputs (0 would be a third value, off the accumulator's grid), 0
            for bytes, the value of the lowest level for levels.
        dilation: Distance of the pixels under the kernel, in both directions.
        groups: Number of groups of the input channels.
        weight_quant: Brevitas' quantizer of the weights.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        kernel: int = 3,
        stride: int = 1,
        padding: int = 0,
        pad_value: float = -1.0,
        dilation: int = 1,
        groups: int = 1,
        *,
        weight_quant: type,
    ) -> None:
        super().__init__(
            in_channels,
            channels,
            kernel,
            stride=stride,
            dilation=dilation,
            groups=groups,
            bias=False,
            weight_quant=weight_quant,
        )
        self.border = padding
        self.pad_value = pad_value

    def quantized(self) -> Tensor:
        """Return the weights that the product uses."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Pad and convolve."""
        if self.border:
            x = nn.functional.pad(x, [self.border] * 4, value=self.pad_value)
        if self.weight_quant.export_mode:
            return super().forward(x)
        return nn.functional.conv2d(
            x, self.quantized(), stride=self.stride, dilation=self.dilation, groups=self.groups
        )


class BinaryConv2d(PaddedConv2d):
    """A convolution with binary weights; arguments as for `PaddedConv2d`.

    Attributes:
        weight_bits: 1.
        sharpness: nu of `zerocross.models.self_binarizing`, which replaces weights w by tanh(nu w); None for signs.
    """

    weight_bits = 1

    def __init__(
        self,
        in_channels: int,
        channels: int,
        kernel: int = 3,
        stride: int = 1,
        padding: int = 0,
        pad_value: float = -1.0,
        dilation: int = 1,
        groups: int = 1,
    ) -> None:
        super().__init__(
            in_channels,
            channels,
            kernel,
            stride,
            padding,
            pad_value,
            dilation,
            groups,
            weight_quant=BinaryWeight,
        )
        self.sharpness: float | None = None

    def quantized(self) -> Tensor:
        """Return the signs of the weights."""
        return binary(self.weight, WEIGHT_SURROGATE, self.sharpness)


class IntegerConv2d(PaddedConv2d):
    """A convolution with weights of several bits.

    Args:
        in_channels: C.
        channels: Output channels.
        weight_bits: Bits of the weights, 2..8; see `zerocross.models.quantizers.weight_quantizer`.
        settings: Other arguments of `PaddedConv2d`, by name.
    """

    def __init__(self, in_channels: int, channels: int, weight_bits: int = 8, **settings: Any) -> None:
        super().__init__(in_channels, channels, **settings, weight_quant=weight_quantizer(weight_bits))
        self.weight_bits, self.grid = weight_bits, _integer_weights(self.weight, weight_bits)

    def quantized(self) -> Tensor:
        """Return the weights on their grid."""
        return self.grid(self.weight)[0]


def linear(fan_in: int, channels: int, weight_bits: int = 1) -> nn.Module:
    """Return a fully connected layer with binary weights, or with weights of 2..8 bits."""
    return (
        BinaryLinear(fan_in, channels) if weight_bits == 1 else IntegerLinear(fan_in, channels, weight_bits)
    )


def conv2d(in_channels: int, channels: int, weight_bits: int = 1, **settings: Any) -> PaddedConv2d:
    """Return a convolution with binary weights, or with weights of 2..8 bits; settings as for `PaddedConv2d`."""
    if weight_bits == 1:
        return BinaryConv2d(in_channels, channels, **settings)
    return IntegerConv2d(in_channels, channels, weight_bits, **settings)


WEIGHT_SURROGATE = Window(BinaryWeight.window)
"""The surrogate gradient of binary weights."""


def binary(x: Tensor, surrogate: Surrogate, sharpness: float | None) -> Tensor:
    """Return tanh(sharpness x), or without a sharpness the sign with its surrogate gradient."""
    return sign(x, surrogate) if sharpness is None else torch.tanh(sharpness * x)


_ZERO = 3e-3
"""Offset before an activation's tanh. A sign maps an exact 0 to +1; with the offset, the tanh is nearly +1 too at
nu = 1000. Exact zeros are common at activation slots that read a stream without batch norm."""


def bit(x: Tensor, surrogate: Surrogate, sharpness: float | None) -> Tensor:
    """Return the output of an activation slot: the sign of its value, or tanh(sharpness (x + 0.003))."""
    return binary(x if sharpness is None else x + _ZERO, surrogate, sharpness)


def _integer_weights(weight: Tensor, bits: int) -> FixedPoint:
    """Return the weights' quantizer. Initialize them over the range in which they have a gradient first."""
    grid = weight_grid(bits)
    nn.init.uniform_(weight, -grid.limit, grid.limit)
    return grid


class _Slot(nn.Module):
    """Batch norm and a function of every channel, before a quantizer.

    Args:
        channels: C.
        function: Function.
        norm: Whether there is a batch norm.
    """

    def __init__(self, channels: int, function: Expression = X, norm: bool = True) -> None:
        super().__init__()
        self.channels = channels
        self.norm = BatchNorm(channels) if norm else nn.Identity()
        self.function = ActivationFunction(function, channels)

    @torch.no_grad()
    def response(self, values: Tensor) -> Tensor:
        """Return the function's value before the quantizer for every channel and value.

        Args:
            values: Possible inputs of the slot, shape (T,) for all channels or (T, channels) for each channel.

        Returns:
            Values of shape (channels, T) in float32, from the module in its current mode (expected: eval mode).
        """
        place = next(self.buffers())
        column = values.to(place)
        column = column[:, None].expand(-1, self.channels) if column.dim() == 1 else column
        # torch's batch norm rounds strided memory in another way than `forward` does, so copy it
        return self.function(self.norm(column.contiguous())).detach().T


class ActivationSlot(_Slot):
    """Batch norm, an activation function, and the sign. Shapes: (N, C) or (N, C, H, W), kept.

    It reads accumulators or levels. The bit is 1 if `response` is >= 0.

    Args:
        channels: C.
        function: Function; `install` replaces it.
        norm: Whether there is a batch norm; ReActNet and Bi-Real-Net have none before a sign.

    Attributes:
        sharpness: nu of `zerocross.models.self_binarizing`, which replaces the sign by tanh(nu x); None for the sign.
        surrogate: Surrogate gradient of the sign (`zerocross.models.surrogates`).
    """

    def __init__(self, channels: int, function: Expression = X, norm: bool = True) -> None:
        super().__init__(channels, function, norm)
        self.sign = qnn.QuantIdentity(act_quant=BinaryActivation, return_quant_tensor=False)
        self.sharpness: float | None = None
        self.surrogate: Surrogate = Window()

    def install(self, expression: Expression) -> None:
        """Put a function with initial parameters before the sign."""
        self.function = ActivationFunction(expression, self.channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return -1 or +1 for every value."""
        x = self.function(self.norm(x))
        return self.sign(x) if self.sign.act_quant.export_mode else bit(x, self.surrogate, self.sharpness)


class StreamSlot(_Slot):
    """Batch norm, a function, and a quantizer of several bits, before a residual stream.

    Shapes: (N, C) or (N, C, H, W), kept. Values are scale * q with an integer q. The hardware's level is q - low, which
    counts from 0.

    Args:
        channels: C.
        bits: Bits of q, 2..8.
        scale: Scale, a power of two; all summands of a stream have the same scale.
        function: Function.
        norm: Whether there is a batch norm.
        signed: True for q in -2**(bits - 1)..2**(bits - 1) - 1; False for q in 0..2**bits - 1, which rectifies.
    """

    def __init__(
        self,
        channels: int,
        bits: int,
        scale: float,
        function: Expression = X,
        norm: bool = True,
        signed: bool = True,
    ) -> None:
        super().__init__(channels, function, norm)
        self.bits = bits
        self.quant = qnn.QuantIdentity(
            act_quant=activation_quantizer(bits, scale, signed), return_quant_tensor=False
        )
        self.grid = FixedPoint(bits, float(scale), signed, narrow_range=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return multiples of the scale."""
        x = self.function(self.norm(x))
        return self.quant(x) if self.quant.act_quant.export_mode else self.grid(x)[0]

    @torch.no_grad()
    def levels(self, values: Tensor) -> Tensor:
        """Return the hardware's level for every channel and value, shape (channels, T); NaN if there is no level.

        Args:
            values: As for `response`.
        """
        return self.grid.integers(self.response(values)) - self.grid.low


class BatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm for (N, C) and (N, C, H, W)."""

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() not in (2, 4):
            raise ModelError(f"an activation slot takes (N, C) or (N, C, H, W), not {tuple(input.shape)}")


class LogitScale(nn.Module):
    """One learnable positive scale for all logits, so that argmax remains a comparison of integers.

    Args:
        fan_in: Fan-in of the classifier; the scale starts at 1/sqrt(fan_in).
    """

    def __init__(self, fan_in: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(-0.5 * math.log(fan_in)))

    def forward(self, x: Tensor) -> Tensor:
        """Scale logits of any shape."""
        return x * torch.exp(self.log_scale)


def slots(model: nn.Module) -> dict[str, ActivationSlot]:
    """Return a network's activation slots by name, in the order of their definition."""
    return {name: module for name, module in model.named_modules() if isinstance(module, ActivationSlot)}


def stream_slots(model: nn.Module) -> dict[str, StreamSlot]:
    """Return a network's stream slots by name, in the order of their definition; a search does not change them."""
    return {name: module for name, module in model.named_modules() if isinstance(module, StreamSlot)}


def install(model: nn.Module, expressions: Sequence[Expression]) -> None:
    """Put activations into a network's slots.

    Args:
        model: Network.
        expressions: One for all slots, or one for each slot.

    Raises:
        ModelError: If the number of expressions is neither 1 nor the number of slots.
    """
    found = list(slots(model).values())
    if len(expressions) not in (1, len(found)):
        raise ModelError(
            f"{len(expressions)} activations for a network with {len(found)} activation slots: give one, or {len(found)}"
        )
    for index, slot in enumerate(found):
        slot.install(expressions[index if len(expressions) > 1 else 0])
