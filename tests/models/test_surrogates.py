"""Surrogate gradients, against torch's own derivatives of what they stand for."""

import pytest
import torch
from torch import Tensor

from zerocross.models.layers import ActivationSlot
from zerocross.models.quantizers import sign
from zerocross.models.surrogates import Polynomial, Surrogate, Tanh, Window, set_surrogate
from zerocross.models.topologies import build
from zerocross.models.training_settings import TrainingSettings

X = torch.linspace(-3, 3, 241, dtype=torch.float64) + 1e-4


def bireal(x: Tensor) -> Tensor:
    """Bi-Real-Net's approximation of the sign, from its paper."""
    inside = torch.where(x < 0, 2 * x + x * x, 2 * x - x * x)
    return torch.where(x < -1, -torch.ones_like(x), torch.where(x < 1, inside, torch.ones_like(x)))


def sharper() -> Tanh:
    found = Tanh(9.0)
    found.sharpen(0.5)
    return found


CASES = {
    "window": (Window(1.3), lambda x: x.clamp(-1.3, 1.3)),
    "narrow": (Window(0.5), lambda x: x.clamp(-0.5, 0.5)),
    "polynomial": (Polynomial(), bireal),
    "wide polynomial": (Polynomial(2.0), lambda x: bireal(x / 2)),
    "tanh": (Tanh(4.0), torch.tanh),
    "sharper tanh": (sharper(), lambda x: torch.tanh(3 * x)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_gradient_is_that_of_its_function(name: str) -> None:
    surrogate, function = CASES[name]
    x, other = X.clone().requires_grad_(), X.clone().requires_grad_()
    after = torch.randn(len(X), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = sign(x, surrogate)
    assert torch.equal(y, torch.where(X >= 0, 1.0, -1.0).double())
    y.backward(after)
    function(other).backward(after)
    torch.testing.assert_close(x.grad, other.grad)


@pytest.mark.parametrize(
    "settings, expected",
    [
        (TrainingSettings(1), Polynomial(1.0)),
        (TrainingSettings(1, surrogate="window"), Window(1.3)),
        (TrainingSettings(1, surrogate="window", surrogate_width=0.7), Window(0.7)),
        (TrainingSettings(1, surrogate_width=0.7), Polynomial(0.7)),
    ],
)
def test_settings(settings: TrainingSettings, expected: Surrogate) -> None:
    assert settings.surrogate_gradient() == expected


def test_it_reaches_every_slot() -> None:
    model = build("cnv", (1, 8, 8), 4, {"blocks": [[4]], "dense": [8]})
    set_surrogate(model, Polynomial())
    found = [module.surrogate for module in model.modules() if isinstance(module, ActivationSlot)]
    assert found == [Polynomial()] * 2
