"""Brevitas quantizers: bipolar weights and activations, integers on power-of-two scales, byte or bit inputs."""

import math

import torch
from brevitas.quant.base import IntQuant, NarrowIntQuant
from brevitas.quant.binary import SignedBinaryActPerTensorConst, SignedBinaryWeightPerTensorConst
from brevitas.quant.scaled_int import Uint8ActPerTensorFloat
from brevitas.quant.solver import ActQuantSolver, WeightQuantSolver
from torch import Tensor, nn

from zerocross.models.errors import ModelError
from zerocross.models.surrogates import WINDOW, Surrogate, Window


class _Sign(torch.autograd.Function):
    """+1 where x >= 0, else -1; the gradient is that of a surrogate."""

    @staticmethod
    def forward(ctx, x: Tensor, surrogate: Surrogate) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x)
        ctx.surrogate = surrogate
        # Three cheap kernels; a comparison and its conversion take twice the time. NaN becomes +1; the gradients show it,
        # or at the latest the crossing table.
        return torch.sign(x).add_(0.5).sign_()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[no-untyped-def]
        (x,) = ctx.saved_tensors
        return ctx.surrogate(gradient, x), None


_WINDOW = Window()


def sign(x: Tensor, surrogate: Surrogate = _WINDOW) -> Tensor:
    """Return +1 where x >= 0, else -1, with a surrogate gradient."""
    return _Sign.apply(x, surrogate)


class WindowedSign(nn.Module):
    """`sign` as a Brevitas tensor quantizer; it returns (y, scale 1, zero point 0, bit width 1)."""

    def __init__(self, window: float) -> None:
        super().__init__()
        self.window = window
        self.one: Tensor
        self.zero: Tensor
        self.register_buffer("one", torch.tensor(1.0), persistent=False)
        self.register_buffer("zero", torch.tensor(0.0), persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Quantize a tensor of any shape."""
        return sign(x, Window(self.window)), self.one, self.zero, self.one


class BinaryActivation(SignedBinaryActPerTensorConst):
    """Quantizer to -1 or +1, with gradients inside the window."""

    scaling_const = 1.0
    window = WINDOW
    tensor_quant = WindowedSign


class BinaryWeight(SignedBinaryWeightPerTensorConst):
    """Quantizer to -1 or +1 without a scale: batch norm absorbs any scale of binary weights."""

    scaling_const = 1.0
    window = 1.0
    tensor_quant = WindowedSign


class _StraightThroughRound(torch.autograd.Function):
    """The nearest integer (halves to even) in low..high; the gradient passes unchanged inside and is 0 outside."""

    @staticmethod
    def forward(ctx, x: Tensor, low: int, high: int) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x)
        ctx.range = (low - 0.5, high + 0.5)
        return torch.round(x).clamp_(low, high)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[no-untyped-def]
        (x,) = ctx.saved_tensors
        return torch.ops.aten.hardtanh_backward(gradient, x, *ctx.range), None, None


def integer_range(bits: int, signed: bool, narrow: bool = False) -> tuple[int, int]:
    """Return the smallest and the largest integer of a bit width; `narrow` leaves out the smallest signed one."""
    if not signed:
        return 0, 2**bits - 1
    return -(2 ** (bits - 1)) + narrow, 2 ** (bits - 1) - 1


class FixedPoint(nn.Module):
    """Integers on a constant power-of-two scale: y = scale * clip(round(x / scale)).

    Division and multiplication by a power of two are exact. Sums of such values in float32 are exact as long as their
    integers stay below 2**24. As a Brevitas tensor quantizer, it returns (y, scale, zero point 0, bit width).

    Args:
        bit_width: Bits of the integers, 2..8.
        step: Scale, a power of two.
        signed: True for integers -2**(bits - 1)..2**(bits - 1) - 1; False for 0..2**bits - 1.
        narrow_range: Whether to leave out the smallest signed integer.
    """

    def __init__(self, bit_width: int, step: float, signed: bool, narrow_range: bool) -> None:
        super().__init__()
        self.low, self.high = integer_range(bit_width, signed, narrow_range)
        self.step = step
        self.limit = (self.high + 0.5) * step  # largest x with a gradient
        self.scale: Tensor
        self.zero: Tensor
        self.width: Tensor
        self.register_buffer("scale", torch.tensor(step), persistent=False)
        self.register_buffer("zero", torch.tensor(0.0), persistent=False)
        self.register_buffer("width", torch.tensor(float(bit_width)), persistent=False)

    def integers(self, x: Tensor) -> Tensor:
        """Return clip(round(x / scale)), with a straight-through gradient inside the range; NaN stays NaN."""
        return _StraightThroughRound.apply(x / self.step, self.low, self.high)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Quantize a tensor of any shape."""
        return self.integers(x) * self.step, self.scale, self.zero, self.width


class _FixedPointActivation(IntQuant, ActQuantSolver):
    tensor_quant = FixedPoint


class _FixedPointWeight(NarrowIntQuant, WeightQuantSolver):
    tensor_quant = FixedPoint


def activation_quantizer(bits: int, scale: float, signed: bool = True) -> type:
    """Return Brevitas' quantizer for an activation of several bits.

    Args:
        bits: Bits, 2..8.
        scale: Scale, a power of two.
        signed: True for integers of both signs; False for integers from 0.

    Raises:
        ModelError: For other bits or scales.
    """
    _check(bits, "stream_bits")
    if not scale > 0 or math.frexp(scale)[0] != 0.5:
        raise ModelError(f"stream_scale must be a power of two, such as 0.25, not {scale}")
    return _FixedPointActivation.let(bit_width=bits, step=float(scale), signed=signed)


def weight_quantizer(bits: int) -> type:
    """Return Brevitas' quantizer for weights of several bits: -(2**(bits-1) - 1)..2**(bits-1) - 1 times 2**(1 - bits).

    One scale is enough for all channels: the batch norm after the product, or the scale of the logits, absorbs any other.

    Args:
        bits: Bits, 2..8.

    Raises:
        ModelError: For other bits.
    """
    _check(bits, "weight_bits")
    return _FixedPointWeight.let(bit_width=bits, step=_weight_step(bits))


def weight_grid(bits: int) -> FixedPoint:
    """Return the values of weights of 2..8 bits, as `weight_quantizer` has them."""
    return FixedPoint(bits, _weight_step(bits), signed=True, narrow_range=True)


def _weight_step(bits: int) -> float:
    return 2.0 ** (1 - bits)


def _check(bits: int, name: str) -> None:
    if not 2 <= bits <= 8:
        raise ModelError(f"{name} must be 2 to 8 here, not {bits}")


class ByteInput(Uint8ActPerTensorFloat):
    """Integers 0..255 on scale 1, so that every accumulator is an exact integer."""

    scaling_impl_type = "const"
    min_val = 0.0
    max_val = 255.0
