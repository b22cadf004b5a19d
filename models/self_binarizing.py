"""Self-Binarizing Networks: smooth networks that become binary during training.

In Lahoud et al., 2019 (arXiv:1902.00730), tanh(nu x) replaces binary weights and the signs of activations. Its sharpness nu
grows during training until it is a sign; nothing alternates between float and binary. The gradient is that of tanh, without
a straight-through estimator. At the end signs replace the tanh.

Details of this implementation:
* The paper's schedule of nu was not available. The schedule here is this project's choice; it is configurable.
* Values of more than one bit (residual streams, wider weights) are quantized throughout.
* An activation function precedes its tanh, as it precedes a sign.
* An activation slot that reads a stream without batch norm or shift gets exact zeros. A sign maps them to +1, a tanh would
  map them to 0. Therefore activation slots add 0.003 before the tanh.
* The accuracies before and after the last step show how much that step costs.
"""

import math
from dataclasses import dataclass
from typing import Literal

from torch import nn

from zerocross.models.errors import ModelError


@dataclass(frozen=True)
class Schedule:
    """The growth of the sharpness nu, from the first step of training to the last.

    Attributes:
        nu_start: nu in the first step; with 1 the outputs of a batch norm are in the smooth range of tanh.
        nu_end: nu in the last step; with 1000 the tanh is a sign, except for values within 0.003 of 0.
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
        """Return nu at a fraction of the training, 0..1."""
        if self.shape == "linear":
            return self.nu_start + (self.nu_end - self.nu_start) * progress
        return self.nu_start * (self.nu_end / self.nu_start) ** progress


def set_sharpness(model: nn.Module, nu: float | None) -> None:
    """Replace every sign by tanh(nu x), for activations tanh(nu (x + 0.003)); None restores the signs."""
    for module in model.modules():
        if hasattr(module, "sharpness"):  # activation slots and binary layers, alone or stacked
            module.sharpness = nu  # type: ignore[assignment]
