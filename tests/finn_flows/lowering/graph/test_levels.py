"""Levels found in values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerocross.finn_flows.lowering.graph.levels import Levels, equidistant

scales = st.floats(2.0**-10, 2.0**10, width=32)


@given(scales, st.integers(-128, 128), st.lists(st.integers(0, 255), min_size=3, max_size=40, unique=True))
def test_values_of_a_quantizer_are_found(scale: float, lowest: int, numbers: list[int]) -> None:
    values = (np.float32(scale) * np.array([lowest + number for number in numbers])).astype(np.float32)
    levels = equidistant(values)
    assert levels is not None
    index = levels.index(values)
    divisor = np.gcd.reduce(np.array(numbers) - min(numbers))
    assert np.array_equal(index, (np.array(numbers) - min(numbers)) // divisor)
    back = np.array([levels.value(levels.low + levels.step * int(each)) for each in index])
    np.testing.assert_allclose(back, values, rtol=1e-6, atol=1e-6 * np.abs(values).max())
    assert index.max() < 2**levels.bits


@given(scales, st.integers(1, 8))
def test_a_scale_is_found_to_the_last_bit(scale: float, bits: int) -> None:
    values = np.float32(scale) * np.arange(2**bits, dtype=np.float32)
    levels = equidistant(values, from_zero=True)
    assert levels == Levels(max(bits, 2), float(np.float32(scale)), 0.0)


@pytest.mark.parametrize(
    "values, expected",
    [
        ([-1, 1], Levels(1)),
        ([0.5, 1], Levels(1, 0.25, 0.75)),
        ([3], Levels(1, 3.0)),
        ([-0.5], Levels(1, 0.5)),
        ([0], Levels(1, 0.5, 0.5)),
        ([-1, 0, 1], Levels(2, 1.0, -1.0)),
        ([0, 2, 4, 10], Levels(3, 2.0, 0.0)),
        ([0, 1, 1.5, np.pi], None),
        (np.arange(257), None),
        ([0, np.inf], None),
        ([0, np.nan], None),
        ([0, 3e38], Levels(1, float(np.float32(1.5e38)), float(np.float32(1.5e38)))),
        ([-3e38, 3e38], None),
        ([-1e300, 1e300], None),
        ([1.7e308], None),
        ([0, 1e-320], None),
        ([0, 1e-38, 2e-38], None),
        (np.random.default_rng(0).normal(size=20), None),
    ],
)
def test_some_values(values: list[float], expected: Levels | None) -> None:
    assert equidistant(np.array(values)) == expected
