"""Levels found in values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerocross.finn_flows.lowering.graph.levels import Levels, equidistant, multiple, snapped

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


@pytest.mark.parametrize("bits", range(1, 9))
def test_integers_of_a_bit_are_signs_and_of_more_count_from_0(bits: int) -> None:
    levels = Levels(bits, 0.25, 1.5)
    integers = [-1, 1] if bits == 1 else list(range(2**bits))
    assert list(range(levels.low, levels.high + 1, levels.step)) == integers
    values = np.array([levels.value(each) for each in integers])
    assert values.tolist() == [0.25 * each + 1.5 for each in integers]
    assert levels.index(values).tolist() == list(range(2**bits))
    assert (Levels(bits).scale, Levels(bits).offset) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("values", "plain", "from_zero", "counted"),
    [
        ([-1, 1], Levels(1), Levels(1), Levels(2, 2.0, -1.0)),
        ([0, 3], Levels(1, 1.5, 1.5), Levels(2, 3.0), Levels(2, 3.0)),
        ([-3, 0], Levels(1, 1.5, -1.5), Levels(1, 1.5, -1.5), Levels(2, 3.0, -3.0)),
        ([1, 2], Levels(1, 0.5, 1.5), Levels(1, 0.5, 1.5), Levels(2, 1.0, 1.0)),
        ([0, 1, 2], Levels(2), Levels(2), Levels(2)),
        ([5, 9, 13, 17, 21], Levels(3, 4.0, 5.0), Levels(3, 4.0, 5.0), Levels(3, 4.0, 5.0)),
    ],
)
def test_two_values_are_signs_unless_they_count(
    values: list[float], plain: Levels, from_zero: Levels, counted: Levels
) -> None:
    given = np.array(values)
    assert equidistant(given) == plain
    assert equidistant(given, from_zero=True) == from_zero
    assert equidistant(given, counted=True) == counted


@pytest.mark.parametrize(
    ("most", "bits"), [(2, 2), (3, 2), (4, 3), (7, 3), (8, 4), (254, 8), (255, 8), (256, None)]
)
def test_8_bits_are_the_most(most: int, bits: int | None) -> None:
    found = equidistant(np.array([0.0, 1.0, most]) * 0.5)
    assert found == (None if bits is None else Levels(bits, 0.5))


@given(scales, st.integers(-300, 300), st.integers(2, 200), st.booleans())
def test_offsets_are_those_of_the_values_up_to_rounding(
    scale: float, low: int, count: int, off: bool
) -> None:
    """Levels that lie between the multiples of their step keep their own offset."""
    start = low + (0.375 if off else 0.0)
    values = np.float32(scale) * (start + np.arange(count + 1, dtype=np.float32))
    found = equidistant(values, counted=True)
    assert found is not None
    wrong = 8 * np.finfo(np.float32).eps * np.abs(values).max()
    assert abs(found.offset - start * scale) <= wrong


def test_an_offset_within_rounding_becomes_a_multiple() -> None:
    noise = 4 * float(np.finfo(np.float32).eps)
    values = np.array([8.0, 10.0])
    for share, is_whole in ((0.9, True), (1.1, False), (-0.9, True), (-1.1, False)):
        offset = 8.0 + 10.0 * share * noise
        assert multiple(offset, 2.0, values) == (8.0 if is_whole else offset)


@pytest.mark.parametrize("scale", [0.1, 0.3, 1 / 3, 0.7, 1.1, 3e-5])
@pytest.mark.parametrize("ways", [-1, 0, 1])
def test_a_step_is_the_number_whose_multiples_are_the_values(scale: float, ways: int) -> None:
    right = np.float32(scale)
    values = (right * np.arange(1, 60, dtype=np.float32)).astype(np.float64)
    rough = float(np.nextafter(right, np.float32(ways * np.inf))) if ways else float(right)
    assert snapped(values, rough) == float(right)
