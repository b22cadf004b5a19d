"""Flows against a pipeline that is followed word by word."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerocross.finn_flows.nodes.flow import Flow, input_flow, joined
from zerocross.finn_flows.nodes.stream import Stream

SIDES = st.integers(1, 5)


@given(SIDES, SIDES, st.sampled_from([1, 2, 3, 6]))
def test_an_input_brings_a_word_per_cycle(height: int, width: int, lanes: int) -> None:
    flow = input_flow(Stream((height, width, 6), lanes, 1))
    words = 6 // lanes
    ends = np.arange(height * width) * words + words - 1
    assert flow.times.tolist() == ends.tolist()
    assert flow.end == height * width * words
    assert flow.later(3).times.tolist() == (ends + 3).tolist() and flow.later(3).end == flow.end + 3
    flat = flow.flat()
    assert flat.times.tolist() == [height * width * words - 1]
    assert flat.spread == height * width * words - 1


def test_a_vector_is_one_pixel() -> None:
    flow = input_flow(Stream((12,), 3, 1))
    assert flow.times.tolist() == [3] and flow.spread == 3 and flow.end == 4


@given(SIDES, SIDES, st.integers(1, 4), st.integers(1, 9), st.integers(0, 9))
def test_a_node_works_on_a_pixel_after_the_other(
    height: int, width: int, words: int, work: int, left: int
) -> None:
    """It begins a pixel with the pixel's first word, and works `left` cycles after the last one."""
    flow = input_flow(Stream((height, width, words), 1, 1))
    done, expected = -np.inf, []
    for came in flow.times:
        done = max(came + max(left, work - words), done + work)
        expected.append(done)
    found = flow.worked(work, left, 2)
    assert found.times == pytest.approx(expected)
    assert found.spread == 2


@st.composite
def flows(draw: st.DrawFn, height: int, width: int) -> Flow:
    words, start = draw(st.integers(1, 4)), draw(st.integers(0, 20))
    times = start + words * np.arange(1, height * width + 1) - 1
    rows = [(float(row[0]), float(row[-1])) for row in times.reshape(height, width)]
    return Flow(rows, width, words - 1, draw(st.integers(0, 6)))


@given(st.data(), SIDES, SIDES, st.integers(1, 5))
def test_a_sum_waits_for_the_later_term(data: st.DataObject, height: int, width: int, words: int) -> None:
    terms = [data.draw(flows(height, width)) for _ in range(2)]
    done, expected = -np.inf, []
    for came in np.maximum(*(term.times for term in terms)).reshape(height, width):
        begun = max(came[0], done + words)
        done = max(came[-1], begun + (width - 1) * words)
        expected += np.linspace(begun, done, width).tolist()
    found = joined(terms, height * width * words)
    assert found.times == pytest.approx(expected)
    assert found.spread == max(words - 1, *(term.spread for term in terms))


@given(st.data(), SIDES, SIDES)
def test_a_sum_begins_when_its_vector_is_there(data: st.DataObject, height: int, width: int) -> None:
    image, vector = data.draw(flows(height, width)), data.draw(flows(1, 1))
    found = joined([image, vector], height * width)
    first = max(image.times[0], vector.times[0])
    assert found.times[0] == first
    assert found.times[-1] == pytest.approx(max(image.times[-1], first + height * width - 1))
