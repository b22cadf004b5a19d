"""The sign and its gradient, alone and through Brevitas."""

import brevitas.nn as qnn
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models.quantizers import WINDOW, BinaryActivation, ByteInput, sign

FLOATS = hnp.arrays(np.float32, st.integers(1, 20), elements=st.floats(allow_nan=False, width=32))


@given(FLOATS)
def test_the_sign_of_any_number(values: np.ndarray) -> None:
    expected = np.where(values >= 0, 1, -1)
    assert np.array_equal(sign(torch.from_numpy(values)).numpy(), expected)


@pytest.mark.parametrize(
    ("value", "bit"),
    [(0.0, 1), (-0.0, 1), (1e-45, 1), (-1e-45, -1), (np.inf, 1), (-np.inf, -1), (-1e-30, -1)],
)
def test_the_sign_at_its_edges(value: float, bit: int) -> None:
    assert sign(torch.tensor([value])).item() == bit
    quantizer = qnn.QuantIdentity(act_quant=BinaryActivation, return_quant_tensor=False).eval()
    assert quantizer(torch.tensor([value])).item() == bit


def test_the_sign_of_what_is_no_number_is_a_bit_without_a_gradient_to_trust() -> None:
    x = torch.tensor([float("nan")], requires_grad=True)
    assert sign(x).item() == 1.0


@pytest.mark.parametrize("window", [WINDOW, 1.0, 0.25])
def test_gradients_pass_inside_the_window_only(window: float) -> None:
    x = torch.linspace(-2, 2, 401, dtype=torch.float64, requires_grad=True)
    incoming = torch.arange(401, dtype=torch.float64)
    sign(x, window).backward(incoming)
    inside = x.detach().abs() < window - 1e-9
    assert x.grad is not None
    assert torch.equal(x.grad[inside], incoming[inside])
    outside = x.detach().abs() > window + 1e-9
    assert not x.grad[outside].any()


def test_the_window_is_the_papers_hardtanh() -> None:
    assert WINDOW == 1.3
    x = torch.tensor([-1.31, -1.29, 0.0, 1.29, 1.31], requires_grad=True)
    sign(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0, 1, 1, 1, 0]


def test_brevitas_gives_the_same_gradient() -> None:
    quantizer = qnn.QuantIdentity(act_quant=BinaryActivation, return_quant_tensor=False)
    ours = torch.linspace(-2, 2, 101, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    sign(ours).sum().backward()
    quantizer(theirs).sum().backward()
    assert ours.grad is not None and theirs.grad is not None
    assert torch.equal(ours.grad, theirs.grad)


def test_bytes_pass_unchanged() -> None:
    quantizer = qnn.QuantIdentity(act_quant=ByteInput, return_quant_tensor=False).eval()
    pixels = torch.arange(256.0)
    assert torch.equal(quantizer(pixels), pixels)
    assert quantizer(torch.tensor([-7.0, 300.0])).tolist() == [0, 255]
