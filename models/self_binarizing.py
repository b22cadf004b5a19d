"""Self-Binarizing Networks: smooth networks that become binary while they are trained.

Lahoud et al., 2019 (arXiv:1902.00730): binary weights and the signs of activations are replaced by tanh(nu x), whose
sharpness nu grows during training until it is a sign; nothing alternates between float and binary. The gradient is
tanh's own, no straight-through estimator. At the end signs take its place.

The paper's schedule of nu was not at hand: the one here is a choice, and a setting. What has more than one bit
(residual streams, wider weights) stays quantized throughout, and an activation function stands ahead of its tanh as it
does ahead of a sign. A site that reads a stream without batch norm or shift meets exact zeros, which a sign makes +1 and a
tanh would leave at 0: sites add 0.003 ahead of theirs. What the last step still costs, the accuracies before and after show.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import nn

from zerocross.models.errors import ModelError


@dataclass(frozen=True)
class Schedule:
    """How the sharpness nu grows, from the first step of training to the last.

    Attributes:
        nu_start: of the first step; 1 leaves a batch norm's values inside the bend of tanh.
        nu_end: of the last step; 1000 is a sign for all values but those within 0.003 of 0.
        shape: "geometric" grows by the same factor every step, "linear" by the same amount.
    """

    nu_start: float = 1.0
    nu_end: float = 1000.0
    shape: Literal["geometric", "linear"] = "geometric"

    def __post_init__(self) -> None:
        if not 0 < self.nu_start <= self.nu_end < math.inf:
            raise ModelError(
                f"nu must grow from nu_start above 0 to nu_end, not from {self.nu_start} to {self.nu_end}"
            )

    def nu(self, progress: float) -> float:
        """Return nu at a share of the training, 0..1."""
        if self.shape == "linear":
            return self.nu_start + (self.nu_end - self.nu_start) * progress
        return self.nu_start * (self.nu_end / self.nu_start) ** progress


def set_sharpness(model: nn.Module, nu: float | None) -> None:
    """Let tanh(nu x), of activations tanh(nu (x + 0.003)), stand for every sign; None puts the signs back."""
    for module in model.modules():
        if hasattr(module, "sharpness"):  # activation slots and binary layers, alone or stacked
            module.sharpness = nu  # type: ignore[assignment]


@torch.no_grad()
def comparison_thresholds(norm: nn.modules.batchnorm._BatchNorm) -> tuple[np.ndarray, np.ndarray]:
    """Return what a batch norm and a sign behind it come to: one comparison for each channel.

    sign(gamma (a - mu) / sqrt(var + eps) + beta) is +1 where a >= T for gamma > 0 and where a <= T for gamma < 0, with
    T = mu - beta sqrt(var + eps) / gamma. With gamma 0 the sign is beta's: T is infinite.

    Args:
        norm: a batch norm with running statistics and learnt gain and bias.

    Returns:
        T, float64, shape (channels,), and whether the comparison is a >= T (else a <= T), bool.
    """
    assert norm.running_mean is not None and norm.running_var is not None
    mean, var, gain, bias = (
        value.detach().double().cpu().numpy()
        for value in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    flat = gain == 0
    shift = bias * np.sqrt(var + norm.eps) / np.where(flat, 1.0, gain)
    return np.where(flat, np.where(bias >= 0, -np.inf, np.inf), mean - shift), gain >= 0
