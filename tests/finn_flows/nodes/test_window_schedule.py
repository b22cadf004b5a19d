"""Closed forms of intervals against stepping through the hardware's decisions."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from zerocross.finn_flows.nodes.input_generator import WindowSchedule, followed_interval
from zerocross.finn_flows.nodes.width_converter import converter_interval


@st.composite
def windows(draw: st.DrawFn) -> WindowSchedule:
    shape = draw(st.tuples(st.integers(1, 14), st.integers(1, 14)))
    kernel = tuple(draw(st.integers(1, min(size, 5))) for size in shape)
    stride = tuple(draw(st.integers(1, wide)) for wide in kernel)
    dilation = tuple(
        draw(st.integers(1, max(1, (size - 1) // max(1, wide - 1))))
        for size, wide in zip(shape, kernel, strict=True)
    )
    return WindowSchedule(shape, kernel, stride, draw(st.integers(1, 5)), draw(st.booleans()), dilation)


@given(windows())
@settings(max_examples=150, deadline=None)
def test_windows_wait_as_long_as_their_steps_say(drawn: WindowSchedule) -> None:
    if math.prod(drawn.kernel) > 1:
        assert drawn.interval == followed_interval(drawn)


def steps_of_a_converter(words_in: int, words_out: int) -> int:
    """Cycles between samples in FINN's `vpc`: `room` parts are free beyond a word of the output."""
    common = math.gcd(words_in, words_out)
    give, take = words_in // common, words_out // common  # parts in a word, out and in
    room, given_words, cycle, ends = give, 0, 0, []
    while len(ends) < 4:
        takes, gives = room >= 0, room <= 0
        room += give * gives - take * takes
        given_words += gives
        if gives and given_words % words_out == 0:
            ends.append(cycle)
        cycle += 1
    return ends[-1] - ends[-2]


@given(st.integers(1, 60), st.integers(1, 60))
def test_converters_wait_as_long_as_their_steps_say(words_in: int, words_out: int) -> None:
    assert converter_interval(words_in, words_out) == steps_of_a_converter(words_in, words_out)
