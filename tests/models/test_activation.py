"""The activation module against numpy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models.strategies import expressions, reference
from zerocross.models.activation import ActivationFunction, evaluate
from zerocross.models.expressions import Expression, X, parse

CHANNELS = 3


def learn(function: ActivationFunction, rng: np.random.Generator) -> list[np.ndarray]:
    values = [rng.normal(0, 2, CHANNELS) for _ in function.learned]
    with torch.no_grad():
        for parameter, value in zip(function.learned, values, strict=True):
            parameter.copy_(torch.from_numpy(value))
    return values


@pytest.mark.parametrize("shape", [(5, CHANNELS), (2, CHANNELS, 4, 3)], ids=["dense", "image"])
@settings(max_examples=100, deadline=None, derandomize=True)
@given(expression=expressions(numbers=False), seed=st.integers(0, 2**32))
def test_values_of_every_channel(shape: tuple[int, ...], expression: Expression, seed: int) -> None:
    rng = np.random.default_rng(seed)
    function = ActivationFunction(expression, CHANNELS).double()
    learned = learn(function, rng)
    x = rng.normal(0, 2, shape)
    value = function(torch.from_numpy(x)).detach().numpy()
    assert value.shape == shape
    for channel in range(CHANNELS):
        own = [values[channel] for values in learned]
        expected = reference(expression, x[:, channel], own)
        # At a pole, at a jump, or when large terms cancel, the value depends on rounding: it cannot be tested.
        steady = np.isfinite(expected) & (np.abs(expected) < 1e12)
        for nudge in (1 - 1e-6, 1 + 1e-6, 1 - 3.1e-6, 1 + 7.3e-7, 1 + 1.7e-6):
            nudged = reference(expression, x[:, channel] * nudge, [one * nudge for one in own])
            steady &= np.isclose(nudged, expected, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(value[:, channel][steady], expected[steady], rtol=1e-4, atol=1e-5)


def test_parameters_are_one_a_channel_and_start_where_they_should() -> None:
    function = ActivationFunction(parse("mix(shift(x), scale(learned))"), 5)
    assert [tuple(parameter.shape) for parameter in function.learned] == [(5,)] * 4
    assert [parameter[0].item() for parameter in function.learned] == [0.0, 1.0, 1.0, 1.0]
    assert all(parameter.requires_grad for parameter in function.learned)
    assert list(ActivationFunction(X, 5).parameters()) == []


@pytest.mark.parametrize("text", ["zero", "learned", "3", "cos(zero)", "add(learned, -2)"])
@pytest.mark.parametrize("shape", [(4, 2), (4, 2, 3, 3)])
def test_what_does_not_depend_on_x_has_its_shape(text: str, shape: tuple[int, ...]) -> None:
    assert ActivationFunction(parse(text), 2)(torch.zeros(shape)).shape == shape


@pytest.mark.parametrize(
    "text",
    [
        *("zero", "cos(zero)", "add(zero, zero)", "x", "add(zero, x)"),
        *("learned", "add(3, x)", "3"),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_have_the_type_of_x(text: str, dtype: torch.dtype) -> None:
    expression = parse(text)
    assert (
        evaluate(expression, torch.zeros(2, dtype=dtype), list(expression.initial_parameters())).dtype
        == dtype
    )


SMOOTH = ["square", "cube", "sin", "cos", "sigmoid", "atan", "erf", "erfc", "gauss", "neg", "scale", "shift"]


@pytest.mark.parametrize(
    "text",
    [
        *(f"{name}(shift(scale(x)))" for name in SMOOTH),
        *(f"{name}(sin(scale(x)), shift(x))" for name in ("add", "sub", "mul", "gate", "gaussdiff", "mix")),
        "div(sin(scale(x)), add(shift(gauss(x)), 2))",
        "ratio(sigmoid(scale(x)), erfc(shift(x)))",
        "log(add(2, sin(scale(x))))",
        "mul(learned, x)",
    ],
)
def test_gradients(text: str) -> None:
    torch.manual_seed(0)
    expression = parse(text)
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    learned = [
        (value + 0.1 * torch.randn(1, 3, dtype=torch.float64)).requires_grad_()
        for value in expression.initial_parameters()
    ]
    assert torch.autograd.gradcheck(lambda x, *given: evaluate(expression, x, given), (x, *learned))


def test_the_expression_is_shown() -> None:
    assert "add(sin(x), scale(x))" in repr(ActivationFunction(parse("add(sin(x), scale(x))"), 2))
