"""The sign and its gradient, alone and through Brevitas."""

from collections.abc import Callable

import brevitas.nn as qnn
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from zerocross.models.errors import ModelError
from zerocross.models.quantizers import (
    WINDOW,
    BinaryActivation,
    ByteInput,
    FixedPoint,
    activation_quantizer,
    sign,
    weight_quantizer,
)
from zerocross.models.surrogates import Window

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
    sign(x, Window(window)).backward(incoming)
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


@pytest.mark.parametrize(("bits", "scale"), [(2, 1.0), (4, 0.25), (8, 2.0**-6)])
@pytest.mark.parametrize("signed", [True, False])
@given(values=FLOATS)
def test_levels_on_a_scale(bits: int, scale: float, signed: bool, values: np.ndarray) -> None:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    expected = np.clip(np.rint(values.astype(np.float64) / scale), low, high) * scale
    x = torch.from_numpy(values)
    assert np.array_equal(FixedPoint(bits, scale, signed, False)(x)[0].numpy(), expected)
    quantizer = qnn.QuantIdentity(act_quant=activation_quantizer(bits, scale, signed))
    assert np.array_equal(quantizer(x).detach().numpy(), expected)


def test_gradients_pass_inside_the_range() -> None:
    x = torch.tensor([-3.0, -2.2, -1.9, 0.3, 1.7, 1.8, 9.0], requires_grad=True)
    FixedPoint(3, 0.5, True, False)(x)[0].sum().backward()
    assert x.grad.tolist() == [0, 1, 1, 1, 1, 0, 0]  # integers -4..3, and half a step beyond: -2.25..1.75


@pytest.mark.parametrize("bits", range(2, 9))
def test_weights_are_symmetric_integers(bits: int) -> None:
    layer = qnn.QuantLinear(7, 5, bias=False, weight_quant=weight_quantizer(bits))
    with torch.no_grad():
        layer.weight.copy_(torch.linspace(-1.5, 1.5, 35).reshape(5, 7))
    top = 2 ** (bits - 1)
    expected = np.clip(np.rint(layer.weight.detach().numpy() * top), 1 - top, top - 1) / top
    assert np.array_equal(layer.quant_weight().value.detach().numpy(), expected)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: activation_quantizer(1, 0.5), "stream_bits must be 2 to 8 here, not 1"),
        (lambda: activation_quantizer(4, 0.3), "stream_scale must be a power of two, such as 0.25, not 0.3"),
        (lambda: activation_quantizer(4, -0.5), "stream_scale must be a power of two"),
        (lambda: weight_quantizer(9), "weight_bits must be 2 to 8 here, not 9"),
    ],
)
def test_other_widths_and_scales(make: Callable[[], type], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        make()
