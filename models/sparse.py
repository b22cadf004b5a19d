"""Fully connected layers of few inputs, whose hardware is wired: each channel reads a few bits and ignores all others.

With K <= 6 inputs, a channel is a single 6-input lookup table, whatever activation it has.
"""

import math
from typing import Literal

import brevitas.nn as qnn
import torch
from brevitas.quant.base import NarrowIntQuant
from brevitas.quant.solver import WeightQuantSolver
from torch import Tensor, nn

from zerocross.models.errors import ModelError

Connections = Literal["learned", "random"]
"""How a layer's inputs are chosen: by training, or by chance before it."""


def _largest(weight: Tensor, inputs: int) -> tuple[Tensor, Tensor]:
    """Return the places of the largest magnitudes in each row, in any order, and their signs, each (..., inputs)."""
    chosen = weight.abs().topk(inputs, dim=-1, sorted=False).indices
    return chosen, weight.gather(-1, chosen).sign()


class _Few(torch.autograd.Function):
    """The signs of the K weights of largest magnitude in each row, and 0 for the others.

    The gradient passes unchanged to all weights (straight through), or to those that are not 0 if connections are fixed.
    """

    @staticmethod
    def forward(ctx, weight: Tensor, inputs: int, fixed: bool) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.fixed = fixed
        if fixed:
            ctx.save_for_backward(weight)
        chosen, signs = _largest(weight, inputs)
        return torch.zeros_like(weight).scatter_(-1, chosen, signs)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[no-untyped-def]
        if ctx.fixed:
            (weight,) = ctx.saved_tensors
            gradient = gradient * (weight != 0)
        return gradient, None, None


class _FewProducts(torch.autograd.Function):
    """The product with the weights of `_Few` times a step, from the inputs that are read alone. The gradient is that of the
    full product.
    """

    @staticmethod
    def forward(  # type: ignore[no-untyped-def]
        ctx, x: Tensor, weight: Tensor, inputs: int, step: float, fixed: bool
    ) -> Tensor:
        chosen, signs = _largest(weight, inputs)
        signs *= step
        ctx.step, ctx.fixed, ctx.features = step, fixed, weight.shape[1]
        ctx.save_for_backward(x, chosen, signs)
        columns = x.T.contiguous()
        return nn.functional.embedding_bag(chosen, columns, per_sample_weights=signs, mode="sum").T

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None, None]:  # type: ignore[no-untyped-def]
        x, chosen, signs = ctx.saved_tensors
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            of_x = gradient @ signs.new_zeros(len(chosen), ctx.features).scatter_(1, chosen, signs)
        if ctx.needs_input_grad[1]:
            rows = gradient.T * ctx.step
            if ctx.fixed:
                read = torch.bmm(x.T[chosen], rows[:, :, None])[:, :, 0]
                of_weight = read.new_zeros(len(chosen), ctx.features).scatter_(1, chosen, read)
            else:
                of_weight = rows @ x
        return of_x, of_weight, None, None, None


class FewInputs(nn.Module):
    """Weights of -1, 0 and +1 times a step, K of which are not 0 in each row; the last axis holds a row.

    As a Brevitas tensor quantizer, it returns (y, scale, zero point 0, bit width 2).

    Args:
        inputs: K.
        step: Scale, a power of two.
        fixed: Whether weights that are 0 stay 0.
    """

    def __init__(self, inputs: int, step: float, fixed: bool) -> None:
        super().__init__()
        self.inputs, self.step, self.fixed = inputs, step, fixed
        self.scale: Tensor
        self.zero: Tensor
        self.width: Tensor
        self.register_buffer("scale", torch.tensor(step), persistent=False)
        self.register_buffer("zero", torch.tensor(0.0), persistent=False)
        self.register_buffer("width", torch.tensor(2.0), persistent=False)

    def forward(self, weight: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Quantize weights (..., features)."""
        return _Few.apply(weight, self.inputs, self.fixed) * self.step, self.scale, self.zero, self.width


class _FewInputsWeight(NarrowIntQuant, WeightQuantSolver):
    tensor_quant = FewInputs
    bit_width = 2


class SparseLinear(qnn.QuantLinear):
    """A fully connected layer in which each channel adds K of its inputs, with signs. Shapes: (N, fan_in) to (N, channels).

    A latent weight belongs to every possible connection. The K largest of a channel connect it, and their signs are its
    weights. Training moves all of them.

    The sum is divided by the power of two nearest to the square root of K, so that activations see values of about one.

    Args:
        fan_in: Number of features.
        channels: Number of outputs.
        inputs: K, 1..fan_in.
        connections: "learned", or "random": drawn here and fixed; training then learns only the signs.

    Raises:
        ModelError: If K is out of range.
    """

    def __init__(self, fan_in: int, channels: int, inputs: int, connections: Connections = "learned") -> None:
        if not 1 <= inputs <= fan_in:
            raise ModelError(f"a neuron cannot read {inputs} inputs of {fan_in}: choose 1 to {fan_in}")
        step, fixed = 2.0 ** -round(math.log2(math.sqrt(inputs))), connections == "random"
        quantizer = _FewInputsWeight.let(inputs=inputs, step=step, fixed=fixed)
        super().__init__(fan_in, channels, bias=False, weight_quant=quantizer)
        self.few = FewInputs(inputs, step, fixed)
        with torch.no_grad():
            self.weight.uniform_(-1.0, 1.0)
            if fixed:
                chosen = torch.rand(channels, fan_in).topk(inputs, dim=1).indices
                self.weight.mul_(torch.zeros_like(self.weight).scatter_(1, chosen, 1.0))

    def harden(self) -> None:
        """Replace the latent weights by those that the product uses, as an export needs."""
        with torch.no_grad():
            self.weight.copy_(self.few(self.weight)[0])

    def forward(self, x: Tensor) -> Tensor:
        """Multiply."""
        if self.weight_quant.export_mode:
            return super().forward(x)
        few = self.few
        out: Tensor = _FewProducts.apply(x.float(), self.weight, few.inputs, few.step, few.fixed)
        return out


class GroupSum(SparseLinear):
    """The sums of equal groups of features, one for each class. Shapes: (N, features) to (N, classes).

    If the features do not divide evenly, the first groups have one more.

    Args:
        features: Number of features, at least one for each class.
        classes: Number of groups.

    Raises:
        ModelError: If there are more classes than features.
    """

    def __init__(self, features: int, classes: int) -> None:
        if classes > features:
            raise ModelError(f"{features} neurons cannot vote for {classes} classes: use {classes} or more")
        super().__init__(features, classes, math.ceil(features / classes), "random")
        groups = torch.arange(features).tensor_split(classes)
        rows = torch.stack([torch.zeros(features).index_fill_(0, group, 1.0) for group in groups])
        self.weight.requires_grad_(False).copy_(rows)
