"""Brevitas quantizers of a binary network: bipolar weights and activations, byte or bit inputs."""

import torch
from brevitas.quant.binary import SignedBinaryActPerTensorConst, SignedBinaryWeightPerTensorConst
from brevitas.quant.scaled_int import Uint8ActPerTensorFloat
from torch import Tensor, nn

WINDOW = 1.3
"""Where the straight-through estimator lets gradients pass: GAAF's Hardtanh(-1.3, 1.3) ahead of the sign."""


class _StraightThroughSign(torch.autograd.Function):
    """+1 where x >= 0, else -1; the gradient passes unchanged where |x| < window and is 0 elsewhere."""

    @staticmethod
    def forward(ctx, x: Tensor, window: float) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x)
        ctx.window = window
        # Three cheap kernels; a comparison and its conversion take twice the time. NaN becomes +1: it shows in the
        # gradients, and in the crossing table at the latest.
        return torch.sign(x).add_(0.5).sign_()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[no-untyped-def]
        (x,) = ctx.saved_tensors
        return torch.ops.aten.hardtanh_backward(gradient, x, -ctx.window, ctx.window), None


def sign(x: Tensor, window: float = WINDOW) -> Tensor:
    """Return +1 where x >= 0 and -1 elsewhere, with a straight-through gradient inside -window..window."""
    return _StraightThroughSign.apply(x, window)


class WindowedSign(nn.Module):
    """Brevitas' tensor quantizer contract for `sign`: returns (y, scale 1, zero point 0, bit width 1)."""

    def __init__(self, window: float) -> None:
        super().__init__()
        self.window = window
        self.one: Tensor
        self.zero: Tensor
        self.register_buffer("one", torch.tensor(1.0), persistent=False)
        self.register_buffer("zero", torch.tensor(0.0), persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Quantize a tensor of any shape."""
        return sign(x, self.window), self.one, self.zero, self.one


class BinaryActivation(SignedBinaryActPerTensorConst):
    """-1 or +1, gradients inside the window."""

    scaling_const = 1.0
    window = WINDOW
    tensor_quant = WindowedSign


class BinaryWeight(SignedBinaryWeightPerTensorConst):
    """-1 or +1: batch norm takes up any scale a binary weight could have."""

    scaling_const = 1.0
    window = 1.0
    tensor_quant = WindowedSign


class ByteInput(Uint8ActPerTensorFloat):
    """Integers 0..255 on scale 1, so that every accumulator of the network is exactly an integer."""

    scaling_impl_type = "const"
    min_val = 0.0
    max_val = 255.0
