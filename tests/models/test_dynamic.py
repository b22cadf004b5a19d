"""Thresholds that depend on the sample, against numpy and against their initial values."""

import numpy as np
import pytest
import torch
from torch import nn

from zerocross.models.dynamic import DynamicShift
from zerocross.models.expressions import parse
from zerocross.models.layers import StreamSlot
from zerocross.models.topologies import build

SCALE = 0.25


def settle(shift: DynamicShift, seed: int) -> DynamicShift:
    """Give batch norms values that training could reach, in eval mode."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for slot in (shift.mean_level, shift.squeezed_level, shift.shift):
            slot.norm.running_mean.normal_(0, 1, generator=generator)
            slot.norm.running_var.uniform_(0.5, 4, generator=generator)
            slot.norm.weight.normal_(0, 1, generator=generator)
            slot.norm.bias.normal_(0, 1, generator=generator)
    return shift.eval()


def level(x: np.ndarray, slot: StreamSlot, bits: int, signed: bool = True) -> np.ndarray:
    mean, var, gain, bias = (
        value.detach().double().numpy()
        for value in (slot.norm.running_mean, slot.norm.running_var, slot.norm.weight, slot.norm.bias)
    )
    y = (x - mean) / np.sqrt(var + slot.norm.eps) * gain + bias
    low = -(2 ** (bits - 1)) if signed else 0
    return np.clip(np.rint(y / SCALE), low, low + 2**bits - 1) * SCALE


def weights(layer: nn.Module, bits: int) -> np.ndarray:
    values = layer.weight.detach().double().numpy()
    top = 2 ** (bits - 1)
    return (
        np.where(values >= 0, 1, -1) if bits == 1 else np.clip(np.rint(values * top), 1 - top, top - 1) / top
    )


@pytest.mark.parametrize("inner", [1, 4, 8])
@pytest.mark.parametrize(("channels", "reduction", "squeezed"), [(8, 4, 2), (5, 8, 1), (6, 1, 6)])
def test_the_vector_by_numpy(inner: int, channels: int, reduction: int, squeezed: int) -> None:
    torch.manual_seed(inner + channels)
    shift = settle(DynamicShift(channels, 4, SCALE, reduction, inner), channels)
    x = np.random.default_rng(0).integers(-16, 17, (7, channels, 4, 2)) * SCALE
    bits = max(2, inner)
    mean = level(x.mean(axis=(2, 3)), shift.mean_level, bits)
    # an unsigned quantizer turns the norm's value into a rectified level
    features = level(mean @ weights(shift.squeeze, inner).T, shift.squeezed_level, bits, signed=False)
    assert features.shape == (7, squeezed)
    expected = level(features @ weights(shift.expand, inner).T, shift.shift, 4)
    found = torch.from_numpy(x).float()
    assert np.array_equal(shift.vector(found).detach().numpy(), expected)
    assert np.array_equal(shift(found).detach().numpy(), x + expected[:, :, None, None])


def test_it_starts_as_no_shift_and_learns() -> None:
    torch.manual_seed(0)
    shift = DynamicShift(6, 4, SCALE, 2)
    x = torch.randn(9, 6, 3, 3)
    assert torch.equal(shift(x), x)
    optimizer = torch.optim.Adam(shift.parameters(), 0.05)
    for _ in range(30):
        optimizer.zero_grad()
        # needs shifts that follow the sample: the mean of the first channel
        loss = ((shift(x) - x - x[:, :1].mean(dim=(1, 2, 3), keepdim=True)) ** 2).mean()
        loss.backward()
        optimizer.step()
    vectors = shift.vector(x)
    assert vectors.std(dim=0).max() > 0
    assert all(parameter.grad is not None for parameter in shift.parameters())


@pytest.mark.parametrize(
    ("name", "dynamic", "count"),
    [
        ("resnete", "none", 0),
        ("resnete", "threshold", 3),
        ("reactnet_resnet", "threshold_and_shift", 6),
        ("reactnet_mobilenet", "threshold_and_shift", 12),
    ],
)
def test_where_shifts_stand(name: str, dynamic: str, count: int) -> None:
    model = build(name, (3, 8, 8), 2, {"widths": [4, 8], "blocks": [1, 2], "dynamic": dynamic})
    assert sum(isinstance(module, DynamicShift) for module in model.modules()) == count


@pytest.mark.parametrize("text", ["prelu(x)", "shift(prelu(shift(x)))"])
def test_gradients_of_rprelu(text: str) -> None:
    """Finite differences in float64, away from the kink."""
    slot = StreamSlot(3, 4, SCALE, parse(text), norm=False).double()
    x = torch.tensor([[-2.0, -0.7, 0.4], [1.5, 0.9, -1.1]], dtype=torch.float64, requires_grad=True)
    names, parameters = zip(*slot.function.named_parameters(), strict=True)

    def run(x: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(slot.function, dict(zip(names, values, strict=True)), x)

    given = [parameter.detach().requires_grad_() for parameter in parameters]
    assert torch.autograd.gradcheck(run, (x, *given))
