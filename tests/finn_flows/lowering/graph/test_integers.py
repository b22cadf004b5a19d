"""Tensors of integers against the real values that they stand for, in exact fractions."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zerocross.finn_flows.lowering.graph.integers import (
    Integers,
    added,
    along,
    joined,
    of_levels,
    pooled,
    with_one_scale,
)
from zerocross.finn_flows.lowering.graph.levels import Levels
from zerocross.finn_flows.network import Grid

SCALES = st.sampled_from([0.25, 0.5, 1.0, 2.0])
ZEROS = st.integers(-4, 4)
DIVISORS = st.sampled_from([1, 2, 4, 8])  # with which every value is a float32


@st.composite
def tensors(draw: st.DrawFn, scale: float | None = None, divisor: int | None = None) -> Integers:
    scale = draw(SCALES) if scale is None else scale
    divisor = draw(DIVISORS) if divisor is None else divisor
    grid = Grid(0, draw(st.integers(1, 9)))
    return Integers("t", grid, np.asarray(scale), np.asarray(float(draw(ZEROS))), divisor)


def exact(tensor: Integers, integer: int, channel: int = 0) -> Fraction:
    scale, zero, bias = (
        Fraction(float(np.ravel(each)[channel % np.size(each)]))
        for each in (tensor.scale, tensor.zero, np.asarray(tensor.bias))
    )
    return scale * (integer + zero) / tensor.divisor + bias


def every(tensor: Integers) -> np.ndarray:
    return np.arange(tensor.grid.low, tensor.grid.high + 1, tensor.grid.step)


@settings(max_examples=30)
@given(tensors())
def test_a_value_belongs_to_one_integer(tensor: Integers) -> None:
    values = tensor.values(every(tensor))
    assert values.dtype == np.float32 and values.shape == (len(tensor.grid), 1)
    step = float(tensor.scale) / tensor.divisor
    assert tensor.step == step
    for integer, value in zip(every(tensor), values[:, 0], strict=True):
        assert float(value) == exact(tensor, int(integer))
        assert tensor.level(float(value)) == integer
        assert tensor.level(float(value) + step / 3) is tensor.level(float(value) - step / 3) is None
    assert tensor.level(float(values[0, 0]) - step) is None
    assert tensor.level(float(values[-1, 0]) + step) is None


def test_a_value_between_bits_belongs_to_none() -> None:
    bits = of_levels("t", Levels(1, 0.5, 1.0))
    assert [bits.level(value) for value in (0.0, 0.5, 1.0, 1.5, 2.0)] == [None, -1, None, 1, None]


@settings(max_examples=30)
@given(st.integers(1, 8), SCALES, st.integers(-9, 9))
def test_levels_are_integers_of_their_values(bits: int, scale: float, offset: int) -> None:
    levels = Levels(bits, scale, offset * scale)
    tensor = of_levels("t", levels, axis=2)
    assert (tensor.axis, tensor.grid) == (2, Grid(levels.low, levels.high, levels.step))
    assert tensor.values(every(tensor))[:, 0].tolist() == [levels.value(int(x)) for x in every(tensor)]
    assert tensor.is_plain == (scale == 1 and offset == 0)


def test_values_of_each_channel_lie_along_its_axis() -> None:
    rng = np.random.default_rng(0)
    parts = {"scale": np.array([0.5, 1.0, 4.0]), "zero": np.array([0.0, 2.0, -3.0])}
    for axis, shape in ((0, (3, 2)), (1, (2, 3, 4)), (2, (2, 5, 3))):
        tensor = Integers("t", Grid(0, 9), **parts, divisor=2, bias=np.array([0.0, 1.5, -8.0]), axis=axis)
        numbers = rng.integers(0, 10, shape)
        found = tensor.real(numbers)
        assert found.dtype == np.float32 and found.shape == shape
        for place in np.ndindex(*shape):
            assert float(found[place]) == exact(tensor, int(numbers[place]), place[axis])
        assert tensor.values(np.array([7]))[0].tolist() == [float(exact(tensor, 7, c)) for c in range(3)]
        assert tensor.level(0.0) is None  # the channels' integers differ


def test_a_bias_has_no_levels_and_is_not_plain() -> None:
    plain = Integers("t", Grid(0, 3), np.asarray(1.0), np.asarray(0.0))
    assert plain.is_plain and plain.level(1.0) == 1
    others = {
        "bias": (replace(plain, bias=1.0), None),
        "zero": (replace(plain, zero=np.asarray(1.0)), 0),
        "scale": (replace(plain, scale=np.asarray(0.5)), 2),
        "divisor": (replace(plain, divisor=2), 2),
    }
    for name, (other, level) in others.items():
        assert not other.is_plain and other.level(1.0) == level, name


@settings(max_examples=30)
@given(st.data(), st.integers(2, 3), st.booleans())
def test_a_sum_of_integers_stands_for_the_sum_of_values(data: st.DataObject, count: int, alike: bool) -> None:
    """Of equal steps, whether the divisors are equal or not."""
    terms = []
    for _ in range(count):
        divisor = 2 if alike else data.draw(DIVISORS)
        terms.append(data.draw(tensors(0.5 * divisor, divisor)))
    total = added("sum", terms)
    assert total is not None and total.tensor == "sum"
    assert total.grid == Grid(0, sum(term.grid.high for term in terms))
    drawn = [data.draw(st.sampled_from(every(term).tolist())) for term in terms]
    wanted = sum(exact(term, integer) for term, integer in zip(terms, drawn, strict=True))
    assert exact(total, sum(drawn)) == wanted


def test_terms_of_other_steps_have_no_sum() -> None:
    one = Integers("a", Grid(0, 3), np.asarray(0.3), np.asarray(0.0))
    for factor, is_sum in ((1 + 1e-7, True), (1 - 1e-7, True), (1.01, False), (0.99, False), (2.0, False)):
        other = Integers("b", Grid(0, 3), np.asarray(0.3 * factor), np.asarray(0.0))
        assert (added("sum", [one, other]) is not None) == is_sum


@settings(max_examples=30)
@given(st.data(), st.booleans())
def test_joined_channels_keep_their_values(data: st.DataObject, alike: bool) -> None:
    terms = [data.draw(tensors(divisor=4 if alike else None)) for _ in range(3)]
    counts = [2, 1, 3]
    whole = joined("all", terms, counts)
    assert whole.tensor == "all"
    assert whole.grid.high == max(term.grid.high for term in terms)
    owners = [term for term, count in zip(terms, counts, strict=True) for _ in range(count)]
    for channel, term in enumerate(owners):
        for integer in every(term):
            assert exact(whole, int(integer), channel) == exact(term, int(integer))


def test_moved_channels_take_their_numbers_along() -> None:
    tensor = Integers("t", Grid(0, 3), np.array([1.0, 2.0, 4.0]), np.asarray(1.0))
    assert along(tensor, None) is tensor
    moved = along(tensor, np.array([2, 0]))
    assert moved.scale.tolist() == [4.0, 1.0] and moved.zero.tolist() == 1.0
    assert along(replace(tensor, scale=np.asarray(3.0)), np.array([1, 1])).scale.tolist() == 3.0


@pytest.mark.parametrize(
    ("scales", "found"),
    [([2.0, 2.0], 2.0), ([2.0, 2.0 * (1 + 1e-7)], 2.0), ([2.0, 2.001], None), ([2.0, 1.999], None)],
)
def test_channels_of_one_scale(scales: list[float], found: float | None) -> None:
    for zero in (np.array([1.0, 1.0]), np.array([1.0, 3.0])):
        tensor = with_one_scale(Integers("t", Grid(0, 3), np.array(scales), zero))
        assert (tensor is None) == (found is None)
        if tensor is not None:
            assert tensor.scale.shape == () and float(tensor.scale) == found
            assert np.array_equal(np.broadcast_to(tensor.zero, 2), zero)


@settings(max_examples=30)
@given(st.data(), tensors(), st.sampled_from([1, 2, 4]), st.booleans())
def test_a_pool_sums_or_averages_values(
    data: st.DataObject, tensor: Integers, area: int, is_mean: bool
) -> None:
    numbers = [data.draw(st.sampled_from(every(tensor).tolist())) for _ in range(area)]
    total = sum((exact(tensor, number) for number in numbers), Fraction(0))
    found = pooled("pool", tensor, area, is_mean)
    assert found.grid == Grid(0, area * tensor.grid.high)
    assert exact(found, sum(numbers)) == (total / area if is_mean else total)
