"""Self-binarizing: the schedule, the smooth network and its gradients, the signs at the end, and the comparisons."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from zerocross.finn_flows.crossings import from_response
from zerocross.finn_flows.network import Grid
from zerocross.hw_search.extraction.agreement import agreement
from zerocross.hw_search.extraction.integers import to_integer
from zerocross.hw_search.extraction.layers import describe
from zerocross.models.data import load
from zerocross.models.errors import ModelError
from zerocross.models.expressions import parse
from zerocross.models.fitting import reread_statistics
from zerocross.models.layers import ActivationSlot, BatchNorm, BinaryConv2d, BinaryLinear, install, slots
from zerocross.models.self_binarizing import Schedule, set_sharpness
from zerocross.models.topologies import build
from zerocross.models.training import Binarized, TrainingSettings, accuracy, train


def test_schedules() -> None:
    assert [Schedule(1, 16).nu(share) for share in (0, 0.25, 0.5, 1)] == [1, 2, 4, 16]
    assert [Schedule(2, 6, "linear").nu(share) for share in (0, 0.25, 1)] == [2, 3, 6]


@pytest.mark.parametrize(("start", "end"), [(0, 1), (-1, 1), (2, 1), (1, float("inf")), (float("nan"), 1)])
def test_schedules_that_do_not_grow(start: float, end: float) -> None:
    with pytest.raises(ModelError, match="nu must grow from nu_start above 0 to nu_end"):
        TrainingSettings(1, method="self_binarizing", nu_start=start, nu_end=end).schedule()
    assert TrainingSettings(1, nu_start=start, nu_end=end).schedule() is None


@pytest.mark.parametrize("nu", [0.7, 3.0])
def test_the_smooth_layers_by_numpy(nu: float) -> None:
    torch.manual_seed(0)
    dense, conv, slot = BinaryLinear(9, 4), BinaryConv2d(2, 3, 2), ActivationSlot(4, parse("sin(x)"))
    for module in (dense, conv, slot):
        set_sharpness(module.eval(), nu)
    x, image = torch.randn(5, 9), torch.randn(2, 2, 4, 4)
    weights = np.tanh(nu * dense.weight.detach().numpy())
    np.testing.assert_allclose(dense(x).detach().numpy(), x.numpy() @ weights.T, rtol=1e-4, atol=1e-5)
    windows = np.lib.stride_tricks.sliding_window_view(image.numpy(), (2, 2), axis=(2, 3))
    expected = np.einsum("nchwij,ocij->nohw", windows, np.tanh(nu * conv.weight.detach().numpy()))
    np.testing.assert_allclose(conv(image).detach().numpy(), expected, rtol=1e-4, atol=1e-5)
    values = torch.randn(6, 4)
    expected = np.tanh(nu * (np.sin(values.numpy() / np.sqrt(1 + slot.norm.eps)) + 3e-3))
    np.testing.assert_allclose(slot(values).detach().numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("expression", ["x", "sin(scale(x))"])
def test_gradients_are_tanhs_own(expression: str) -> None:
    """Finite differences, in float64, for all learnable parameters."""
    torch.manual_seed(1)
    slot = ActivationSlot(3, parse(expression))
    model = nn.Sequential(BinaryLinear(4, 3), slot, BinaryLinear(3, 2)).double().eval()
    set_sharpness(model, 1.5)
    names, parameters = zip(*model.named_parameters(), strict=True)

    def run(x: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(model, dict(zip(names, values, strict=True)), x)

    x = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(run, (x, *(p.detach().requires_grad_() for p in parameters)))


def test_a_sharp_network_is_a_binary_one() -> None:
    torch.manual_seed(2)
    model = build("cnv", (2, 8, 8), 3, {"blocks": [[4, 4]], "dense": [6]}).eval()
    x = torch.randint(0, 256, (20, 2, 8, 8)).float()
    with torch.no_grad():
        for slot in slots(model).values():
            slot.norm.bias.fill_(0.1)  # the tanh is still +1 just below 0
    binary = model(x)
    set_sharpness(model, 1e9)
    assert torch.allclose(model(x), binary)
    set_sharpness(model, None)
    assert torch.equal(model(x), binary)


TOPOLOGIES = {
    "mlp": {"hidden": [32, 32]},
    "resnete": {"widths": [6, 8], "blocks": [1, 1], "dynamic": "threshold"},
    "reactnet_resnet": {"widths": [6], "blocks": [2]},
}


@pytest.mark.parametrize(
    "name", ["mlp", *(pytest.param(name, marks=pytest.mark.slow) for name in TOPOLOGIES if name != "mlp")]
)
def test_digits_are_learnt(name: str) -> None:
    data = load("digits", limit=700)
    torch.manual_seed(0)
    model = build(name, data.input_shape, data.classes, TOPOLOGIES[name])
    if name != "reactnet_resnet":  # its own function is an RSign
        install(model, [parse("add(x, sin(x))")])
    found = train(model, data, TrainingSettings(6, 32, 1e-2, method="self_binarizing"), 0)
    assert isinstance(found, Binarized)
    assert found.after == accuracy(model, data.validation)
    assert found.before > 0.25  # a guess has an accuracy of 0.1
    assert abs(found.before - found.after) < 0.25
    kept = [norm.running_mean.clone() for norm in model.modules() if isinstance(norm, BatchNorm)]
    reread_statistics(model, data.train.x)  # those of the signs already
    again = [norm.running_mean for norm in model.modules() if isinstance(norm, BatchNorm)]
    assert all(map(torch.equal, kept, again))
    net = to_integer(model, describe(model, data.input_shape))
    compared = agreement(model, net, data.validation)
    assert (compared["differences"], compared["wrong_classes"]) == (0, 0)


def test_straight_through_has_nothing_to_report() -> None:
    data = load("digits", limit=100)
    model = build("mlp", data.input_shape, data.classes, {"hidden": [8]})
    assert train(model, data, TrainingSettings(1), 0) is None


@torch.no_grad()
def comparison_thresholds(norm: nn.modules.batchnorm._BatchNorm) -> tuple[np.ndarray, np.ndarray]:
    """Return the comparisons that equal a batch norm with a sign after it, one for each channel.

    sign(gamma (a - mu) / sqrt(var + eps) + beta) is +1 if a >= T for gamma > 0, and if a <= T for gamma < 0, with
    T = mu - beta sqrt(var + eps) / gamma. For gamma = 0 the result is the sign of beta, and T is infinite.

    Args:
        norm: Batch norm with running statistics and learnt gain and bias.

    Returns:
        T, float64, shape (channels,), and whether the comparison is a >= T (else a <= T), bool, shape (channels,).
    """
    assert norm.running_mean is not None and norm.running_var is not None
    mean, var, gain, bias = (
        value.detach().double().cpu().numpy()
        for value in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    flat = gain == 0
    shift = bias * np.sqrt(var + norm.eps) / np.where(flat, 1.0, gain)
    return np.where(flat, np.where(bias >= 0, -np.inf, np.inf), mean - shift), gain >= 0


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), fan_in=st.integers(1, 300))
def test_a_batch_norm_is_a_comparison(seed: int, fan_in: int) -> None:
    """The crossing table of the plain sign and T with its direction give the same bit for every accumulator."""
    generator = torch.Generator().manual_seed(seed)
    slot = ActivationSlot(12).eval()
    with torch.no_grad():
        slot.norm.running_mean.normal_(0, fan_in**0.5, generator=generator)
        slot.norm.running_var.uniform_(0.1, 2 * fan_in, generator=generator)
        slot.norm.weight.normal_(0, 1, generator=generator)[:2] = 0
        slot.norm.bias.normal_(0, 1, generator=generator)
    grid = Grid(-fan_in, fan_in, 2)
    table = from_response(grid, 12, lambda integers: slot.response(torch.from_numpy(integers)).numpy())
    thresholds, rising = comparison_thresholds(slot.norm)
    accumulators = np.arange(grid.low, grid.high + 1, 2)[:, None]
    expected = np.where(rising, accumulators >= thresholds, accumulators <= thresholds)
    assert np.array_equal(table.bits(np.repeat(accumulators, 12, axis=1)), expected)
