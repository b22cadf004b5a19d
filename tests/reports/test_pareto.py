import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerocross.reports.pareto import (
    Front,
    hypervolume,
    hypervolume_history,
    knee,
    nondominated,
    reference_point,
)

SIDE = 6


@st.composite
def tables(draw: st.DrawFn, holes: bool = False) -> np.ndarray:
    """Points on a small integer lattice, so that equal and dominated ones are common."""
    width = draw(st.integers(1, 3))
    value = st.integers(0, SIDE - 1).map(float)
    if holes:
        value = value | st.sampled_from([np.nan, np.inf, -np.inf])
    rows = draw(st.lists(st.lists(value, min_size=width, max_size=width), min_size=1, max_size=14))
    return np.array(rows)


def dominates(a: np.ndarray, b: np.ndarray) -> bool:
    return bool((a <= b).all() and (a < b).any())


@given(tables(holes=True))
def test_nondominated_is_what_the_definition_says(points):
    finite = np.isfinite(points).all(axis=1)
    expected = [
        finite[i]
        and not any(finite[j] and dominates(points[j], points[i]) for j in range(len(points)))
        and not any((points[j] == points[i]).all() for j in range(i))
        for i in range(len(points))
    ]
    assert nondominated(points).tolist() == expected


@given(tables(holes=True))
def test_a_front_that_grows_is_the_front_of_all_at_every_step(points):
    front = Front[int]()
    for index, point in enumerate(points):
        changed = front.add(index, point)
        expected = np.flatnonzero(nondominated(points[: index + 1])).tolist()
        assert front.items == expected
        assert changed == (index in expected)
        assert front.points.tolist() == points[expected].tolist() or not expected


def test_of_equal_points_the_first_is_kept():
    assert nondominated([[2, 1], [1, 2], [1, 2], [2, 1]]).tolist() == [True, True, False, False]


def test_no_points_have_an_empty_front():
    assert nondominated(np.empty((0, 2))).tolist() == []
    assert Front[int]().points.shape == (0, 0)
    assert hypervolume_history(np.empty((0, 2)), [1, 1]).tolist() == []


def test_a_flat_list_is_refused():
    with pytest.raises(ValueError, match="shape"):
        nondominated([1, 2, 3])


@given(tables(holes=True))
def test_hypervolume_counts_the_dominated_cells(points):
    # On a lattice the volume is the number of unit cells with a point at or below their lower corner.
    points = points[~np.isinf(points).any(axis=1)]
    if not len(points):
        return
    cells = itertools.product(range(SIDE), repeat=points.shape[1])
    dominated = sum(any((point <= cell).all() for point in points) for cell in cells)
    assert hypervolume(points, [SIDE] * points.shape[1]) == pytest.approx(dominated)


@given(tables(holes=True))
def test_history_is_the_hypervolume_of_every_beginning(points):
    corner = [SIDE - 1.5] * points.shape[1]
    expected = [hypervolume(points[: i + 1], corner) for i in range(len(points))]
    assert hypervolume_history(points, corner) == pytest.approx(expected)


def test_a_volume_is_computed_only_where_the_front_grows(monkeypatch):
    calls = []
    monkeypatch.setattr(
        "zerocross.reports.pareto.hypervolume", lambda *_: calls.append(1) or float(len(calls))
    )
    rng = np.random.default_rng(0)
    points = rng.random((10_000, 2))
    hypervolume_history(points, [1, 1])
    entered = sum(nondominated(points[: i + 1])[i] for i in range(300))
    assert 0 < len(calls) < 200
    assert entered <= len(calls)


@given(tables())
def test_reference_point_lies_beyond_the_whole_front(points):
    front = points[nondominated(points)]
    corner = reference_point(points)
    assert (corner > front.max(axis=0)).all()
    assert hypervolume(points, corner) > 0


def test_reference_point_ignores_hopeless_points_and_adds_a_tenth():
    assert reference_point([[0, 10], [10, 0], [999, 999]]) == pytest.approx([11, 11])
    assert reference_point([[5, 0]]) == pytest.approx([5.5, 1])
    assert reference_point([[-5, 3]]) == pytest.approx([-4.5, 3.3])


def test_a_front_of_nothing_has_neither_reference_nor_knee():
    for function in (reference_point, knee):
        with pytest.raises(ValueError, match="finite"):
            function([[np.nan, 1.0]])


def test_knee_is_the_corner_of_an_angled_front():
    assert knee([[0, 10], [9, 9], [1, 2], [10, 0], [4, 1.5]]) == 2


def test_knee_does_not_depend_on_units():
    points = np.array([[0, 10], [1, 2], [10, 0], [4, 1.5]])
    assert knee(points * [1000, 0.01]) == knee(points)


def test_knee_of_three_objectives_and_of_one_point():
    assert knee([[0, 9, 9], [9, 0, 9], [9, 9, 0], [3, 3, 3], [7, 7, 1]]) == 3
    assert knee([[4, 4]]) == 0


@given(tables())
def test_knee_is_on_the_front(points):
    assert nondominated(points)[knee(points)]


@given(tables())
def test_knee_of_two_objectives_is_farthest_from_the_line_of_extremes(points):
    front = points[nondominated(points)]
    span = front.max(axis=0) - front.min(axis=0)
    if points.shape[1] != 2 or not span.all():
        return
    scaled = (front - front.min(axis=0)) / span
    chosen = (points[knee(points)] - front.min(axis=0)) / span
    assert 1 - chosen.sum() == pytest.approx((1 - scaled.sum(axis=1)).max())
