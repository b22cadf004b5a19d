"""All operations against formulas written a second time, their bounds, and users' own operations."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models.strategies import (
    BINARY_CODES,
    INITIAL,
    KNOTS,
    REFERENCE,
    UNARY_CODES,
    expressions,
    learnt,
    reference,
)
from zerocross.models.activation import ActivationFunction, evaluate
from zerocross.models.canonical import bounds, canonical_key, constant_bit
from zerocross.models.encodings import Encoding
from zerocross.models.errors import ModelError
from zerocross.models.expressions import Expression, X, parse
from zerocross.models.operations import (
    BUILT_IN,
    GAAF_BINARY,
    GAAF_UNARY,
    OPERATIONS,
    Interval,
    get_operation,
    register_operation,
)

NAMES = [operation.name for operation in BUILT_IN]
RANGES = st.sampled_from([0.01, 1.0, 10.0, 1e3, 1e6])


@pytest.fixture(autouse=True)
def registry() -> Iterator[None]:
    """Remove a test's own operations."""
    before = dict(OPERATIONS)
    yield
    OPERATIONS.clear()
    OPERATIONS.update(before)


def test_codes_are_those_of_the_paper() -> None:
    assert GAAF_UNARY == UNARY_CODES
    assert GAAF_BINARY == BINARY_CODES
    assert [operation.code for operation in BUILT_IN] == [*range(22), *range(11), None, None]
    assert {operation.name: operation.initial for operation in BUILT_IN if operation.initial} == {
        **{name: (value,) for name, value in INITIAL.items()},
        "row": tuple(KNOTS),
    }


@pytest.mark.parametrize("name", [name for name in NAMES if name != "x"])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), reach=RANGES)
def test_values_are_the_formulas(name: str, seed: int, reach: float) -> None:
    rng = np.random.default_rng(seed)
    operation = get_operation(name)
    operands = [np.r_[0.0, rng.uniform(-reach, reach, 200)] for _ in range(operation.arity)]
    learned = [float(value) for value in rng.normal(0, 3, len(operation.initial))]
    with np.errstate(all="ignore"):
        expected = REFERENCE[name](*operands, *learned)
    value = operation.function(
        *map(torch.from_numpy, operands), *(torch.tensor(value, dtype=torch.float64) for value in learned)
    )
    # A difference is only as exact as its terms: quotients near a pole, and 1 - erf for large x.
    # A row is a sum of lines, whose terms are larger than a value near 0.
    atol = 1e-12 if name == "row" else 1e-15
    np.testing.assert_allclose(value.numpy(), expected, rtol=1e-9, atol=atol)


def inside(values: np.ndarray, interval: Interval) -> bool:
    """Return whether all values that are numbers are in an interval, up to rounding."""
    values = values[np.isfinite(values)]
    slack = 1e-9 * np.maximum(1e-300, np.abs(values))
    return bool((values >= interval[0] - slack).all() and (values <= interval[1] + slack).all())


LOWS = st.one_of(st.floats(-50, 50), st.sampled_from([-math.inf, 0.0]))
WIDTHS = st.one_of(st.floats(0, 60), st.sampled_from([0.0, math.inf]))
INTERVALS = st.builds(
    lambda low, width: (low, math.inf if width == math.inf else low + width), LOWS, WIDTHS
).filter(lambda interval: interval[1] > -math.inf)


def within(interval: Interval, rng: np.random.Generator) -> np.ndarray:
    low, high = max(interval[0], -1e4), min(interval[1], 1e4)
    return np.clip(np.r_[rng.uniform(low, high, 300), low, high, np.clip(0.0, low, high)], low, high)


@pytest.mark.parametrize("name", [operation.name for operation in BUILT_IN if operation.bounds])
@settings(max_examples=60, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**32))
def test_bounds_hold_every_value(name: str, data: st.DataObject, seed: int) -> None:
    rng = np.random.default_rng(seed)
    operation = get_operation(name)
    intervals = [data.draw(INTERVALS) for _ in range(operation.arity)]
    operands = [rng.permutation(within(interval, rng)) for interval in intervals]
    learned = [float(value) for value in rng.normal(0, 5, len(operation.initial))]
    with np.errstate(all="ignore"):
        values = np.asarray(REFERENCE[name](*operands, *learned))
    assert operation.bounds is not None
    low, high = operation.bounds(*intervals)
    if not (math.isnan(low) or math.isnan(high)):
        assert inside(values, (low, high))


@settings(max_examples=400, deadline=None)
@given(expressions(numbers=False), st.integers(0, 2**32))
def test_bounds_of_trees_hold_every_value(expression: Expression, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = np.concatenate([rng.normal(0, spread, 100) for spread in (0.1, 2, 50, 1e4)])
    low, high = bounds(expression)
    assert low <= high
    for _ in range(4):
        values = reference(expression, x, learnt(expression, rng, 4.0))
        assert inside(values, (low, high)), str(expression)


def test_a_users_unary_operation_with_learnables() -> None:
    register_operation(
        "wave", lambda x, s, b: torch.sin(s * x + b), initial=(2, 0.5), bounds=lambda a: (-1, 1)
    )
    expression = parse("add(wave(x), wave(shift(x)))")
    assert expression.initial_parameters() == (2.0, 0.5, 0.0, 2.0, 0.5)
    x = np.linspace(-3, 3, 50)
    value = evaluate(expression, torch.from_numpy(x), [1.5, 0.1, 0.2, 2.5, 0.3])
    np.testing.assert_allclose(value.numpy(), np.sin(1.5 * x + 0.1) + np.sin(2.5 * (x + 0.2) + 0.3))
    assert bounds(expression) == (-2, 2)
    assert [p.tolist() for p in ActivationFunction(parse("wave(x)"), 3).learned] == [[2.0] * 3, [0.5] * 3]


def test_a_users_binary_operation() -> None:
    own = register_operation("mean", lambda a, b: (a + b) / 2, arity=2, description="(a+b)/2")
    assert get_operation("mean") is own
    x = torch.linspace(-2, 2, 9)
    assert torch.equal(evaluate(parse("mean(x, neg(x))"), x, []), torch.zeros(9))
    assert constant_bit(parse("mean(x, neg(x))")) == 1
    space = Encoding("pair", unary=("x", "sin"), binary=("mean", "add"))
    assert str(space.decode((0, 1, 0))) == "mean(x, sin(x))"


def test_a_users_operation_is_replaced_by_a_later_one() -> None:
    register_operation("mine", torch.sin)
    register_operation("mine", torch.cos)
    assert evaluate(parse("mine(x)"), torch.zeros(1), []).item() == 1.0


def test_a_replaced_operation_is_judged_anew() -> None:
    register_operation("mine", torch.relu)
    before = canonical_key(parse("mine(x)"))
    assert constant_bit(parse("mine(x)")) == 1
    register_operation("mine", torch.sin)
    assert constant_bit(parse("mine(x)")) is None and canonical_key(parse("mine(x)")) != before


@pytest.mark.parametrize("name", NAMES)
def test_built_in_names_are_taken(name: str) -> None:
    with pytest.raises(ModelError, match=f"{name!r} is taken"):
        register_operation(name, torch.sin)


@pytest.mark.parametrize("name", ["", "2x", "a-b", "a b", "_a", "é", "a(", "a\n"])
def test_names_that_are_no_names(name: str) -> None:
    with pytest.raises(ModelError, match="operation name"):
        register_operation(name, torch.sin)


def test_the_name_of_constants_is_taken() -> None:
    with pytest.raises(ModelError, match="number"):
        register_operation("number", torch.sin)


@pytest.mark.parametrize("arity", [-1, 0, 3])
def test_wrong_arity(arity: int) -> None:
    with pytest.raises(ModelError, match=f"arity must be 1 or 2, not {arity}"):
        register_operation("mine", torch.sin, arity=arity)
    assert "mine" not in OPERATIONS


def test_an_unknown_operation_names_the_nearest() -> None:
    with pytest.raises(ModelError, match=r"unknown operation 'sine': did you mean .*sin"):
        get_operation("sine")
    with pytest.raises(ModelError, match="known: x, zero, square"):
        get_operation("qqqqqq")


def test_x_is_the_variable() -> None:
    x = torch.randn(4, 3)
    assert torch.equal(evaluate(X, x, []), x)
