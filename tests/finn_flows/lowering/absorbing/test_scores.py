"""Classes that rounding allows, against every corner of the numbers' rounding."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.finn_flows.lowering.foreign import Graph, lower, samples
from zerocross.finn_flows.lowering.absorbing.endings import read_ending
from zerocross.finn_flows.lowering.absorbing.scores import Scores, file_scores
from zerocross.finn_flows.lowering.canonical.tidying import tidy
from zerocross.finn_flows.lowering.graph.structure import Structure

CLASSES = 3
ENDING = read_ending(Structure(tidy(Graph((1, 4)).bipolar().dense(4, CLASSES).model())))


@settings(max_examples=40)
@given(
    arrays(np.float32, (4, CLASSES), elements=st.integers(-3, 3).map(float)),
    arrays(np.float32, (4, CLASSES), elements=st.sampled_from([0.0, 0.5, 1.0])),
)
def test_a_class_is_allowed_if_it_is_largest_in_a_corner(values: np.ndarray, rounding: np.ndarray) -> None:
    scores = Scores(ENDING, values, rounding, np.ones(4, bool))
    assert scores.classes.tolist() == values.argmax(axis=1).tolist()
    for chosen in range(CLASSES):
        expected = [
            any(
                (corner := row + np.array(ways) * error)[chosen] == corner.max()
                for ways in product((-1, 1), repeat=CLASSES)
            )
            for row, error in zip(values, rounding, strict=True)
        ]
        assert scores.allow(np.full(4, chosen)).tolist() == expected


def test_classes_of_the_authors_nodes_come_first() -> None:
    own = np.array([2, 0])
    scores = Scores(
        ENDING, np.eye(2, CLASSES, dtype=np.float32), np.zeros((2, CLASSES)), np.ones(2, bool), own
    )
    assert scores.classes is own


def test_one_score_is_allowed_on_either_side_of_its_threshold() -> None:
    model = Graph((1, 8)).bipolar().dense(8, 1).model()
    scores = file_scores(tidy(model), np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32))
    assert scores.values.shape == (40, 1) and set(scores.classes.tolist()) == {0, 1}
    values = np.array([[-2.0], [-0.5], [0.5], [2.0]], np.float32)
    near = Scores(scores.ending, values, np.ones((4, 1)), np.ones(4, bool))
    assert near.classes.tolist() == [0, 0, 1, 1]
    assert near.allow(np.zeros(4, int)).tolist() == [True, True, True, False]
    assert near.allow(np.ones(4, int)).tolist() == [False, True, True, True]


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 99), st.sampled_from([0.1, 0.3, 1.0]))
def test_scores_are_products_within_their_rounding(seed: int, scale: float) -> None:
    """Against float64; more samples than are run at once."""
    g = Graph((1, 12), seed).bipolar(scale).dense(12, CLASSES, scale)
    weights = np.where(g.constants["const1"] >= 0, 1.0, -1.0) * np.float64(np.float32(scale))
    bias = g.rng.normal(size=CLASSES).astype(np.float32)
    factor = g.rng.uniform(0.5, 2, CLASSES).astype(np.float32)
    model = tidy(g.node("Mul", g.constant(factor)).node("Add", g.constant(bias)).model())
    x = np.random.default_rng(seed).normal(size=(150, 12)).astype(np.float32)
    scores = file_scores(model, x)
    bits = np.where(x >= 0, 1.0, -1.0) * np.float64(np.float32(scale))
    exact = (bits @ weights) * factor + bias
    assert scores.values.shape == scores.rounding.shape == exact.shape and scores.explained.all()
    assert (np.abs(scores.values - exact) <= scores.rounding).all()
    # No more than the sum's 12 operations, its inputs and bias, and two nodes behind it need.
    most = 2.0**-24 * (16 * np.abs(bits) @ np.abs(weights) * factor + np.abs(bias))
    assert (scores.rounding <= 1.2 * most).all()
    assert (scores.allow(exact.argmax(axis=1))).all()


@pytest.mark.parametrize("off", [0.0, 0.1, 1.0, -1.0])
def test_levels_that_are_off_by_more_than_rounding_are_not_explained(off: float) -> None:
    """By a tenth of a step they are the same levels; the next level is another one."""
    model = Graph((1, 10), 3).bipolar().dense(10, 12).norm(12, 2.0).quant(3, 0.5).dense(12, CLASSES).model()
    lowered = lower(model)
    x = samples((1, 10), 50)
    sources = Structure(lowered.graph).sources
    ends = {
        end: replace(integers, zero=integers.zero + off) if end in sources else integers
        for end, integers in lowered.ends.items()
    }
    assert any(end in sources for end in ends)
    found = replace(lowered, ends=ends).scores(x, led=True)
    assert found.explained.tolist() == [abs(off) < 1] * 50
