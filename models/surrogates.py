"""Surrogate gradients of the sign: what its backward pass uses in place of the derivative, which is 0 almost everywhere.

The forward pass is the same for all of them. `training.surrogate` chooses one.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

WINDOW = 1.3
"""Limit of |x| up to which the straight-through estimator passes gradients: GAAF's Hardtanh(-1.3, 1.3) ahead of the sign."""


class Surrogate(Protocol):
    """A function from the gradient after a sign, and the sign's input, to the gradient before the sign (same shapes)."""

    def __call__(self, gradient: Tensor, x: Tensor) -> Tensor:
        """Return the gradient with respect to x."""
        ...


@dataclass(frozen=True)
class Window:
    """The straight-through estimator: the gradient passes unchanged where |x| < width, and is 0 elsewhere."""

    width: float = WINDOW

    def __call__(self, gradient: Tensor, x: Tensor) -> Tensor:
        """See `Surrogate`."""
        return torch.ops.aten.hardtanh_backward(gradient, x, -self.width, self.width)


@dataclass(frozen=True)
class Polynomial:
    """Bi-Real-Net's polynomial (Liu et al., 2018, arXiv:1808.00278), whose derivative is a triangle.

    The gradient is multiplied by (2 - 2 |x| / width) / width where |x| < width, and is 0 elsewhere. The paper's width is 1.
    """

    width: float = 1.0

    def __call__(self, gradient: Tensor, x: Tensor) -> Tensor:
        """See `Surrogate`."""
        return gradient * x.abs().mul_(-2 / self.width**2).add_(2 / self.width).clamp_(min=0)


class Tanh:
    """The derivative of tanh(nu x), which sharpens: `sharpen` sets nu.

    Args:
        last: nu at the end of training; it starts at 1 and grows by the same factor in every step.
        device: Device of the tensors to come.

    Attributes:
        nu: Current nu, a tensor, so that a captured CUDA graph reads its current value.
    """

    def __init__(self, last: float = 4.0, device: torch.device | None = None) -> None:
        self.last = last
        self.nu = torch.ones((), device=device)

    def sharpen(self, progress: float) -> None:
        """Set nu for a fraction of the training, 0..1."""
        self.nu.fill_(self.last**progress)

    def __call__(self, gradient: Tensor, x: Tensor) -> Tensor:
        """See `Surrogate`."""
        nu = self.nu.to(x.dtype)
        return gradient * (nu * (1 - torch.tanh(nu * x).square()))


def set_surrogate(model: nn.Module, surrogate: Surrogate) -> None:
    """Give all activation slots of a network, alone or stacked, a surrogate gradient. Weights keep their window of 1."""
    for module in model.modules():
        if hasattr(module, "surrogate"):
            module.surrogate = surrogate  # type: ignore[assignment]
