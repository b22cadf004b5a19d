"""Trees of lookup tables: they compute their rows, of any inputs, with no more tables than counting needs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zerocross.finn_flows.nodes.symmetric import Group, counted_tables, expected_tables, tree, whole_count


def value(group: Group, bits: list[int]) -> int:
    """The code of a group by its tables, as hardware computes it."""
    if not group.parts:
        return bits[0]
    place, shift, wires = 0, 0, 0
    for part in group.parts:
        wires |= value(part, bits[place : place + part.inputs]) << shift
        place, shift = place + part.inputs, shift + part.bits
    truths = group.truths((False,) * len(group.parts))
    return sum((truth >> wires & 1) << bit for bit, truth in enumerate(truths))


@given(st.integers(1, 20), st.sampled_from([4, 6]), st.data())
@settings(max_examples=150)
def test_a_tree_computes_its_row(inputs, table, data):
    row = tuple(data.draw(st.lists(st.integers(0, 1), min_size=inputs + 1, max_size=inputs + 1)))
    if len(set(row)) == 1:
        return
    found = tree(row, table)
    if found is None:  # only many inputs, which are counted instead
        assert table == 4 and inputs > 10
        return
    assert found.inputs == inputs
    rng = np.random.default_rng(sum(row))
    for _ in range(20):
        bits = rng.permutation(
            [1] * (ones := int(rng.integers(0, inputs + 1))) + [0] * (inputs - ones)
        ).tolist()
        assert value(found, bits) == row[ones]


@pytest.mark.parametrize("inputs", range(1, 7))
def test_six_inputs_are_one_table(inputs):
    for number in range(1, (1 << inputs + 1) - 1):
        row = tuple(number >> place & 1 for place in range(inputs + 1))
        assert tree(row).tables == 1
    assert expected_tables(inputs, 1) == 1 and expected_tables(inputs, 0) == 0


def test_an_inverted_input_counts_where_it_is_0():
    group = tree((0, 0, 0, 1))
    assert group.truths((False, False, False)) == [0b10000000]
    assert group.truths((True, False, False)) == [0b01000000]


def test_few_crossings_need_few_tables():
    assert tree((0,) * 12 + (1,)).tables == 3  # all of twelve
    assert tree(tuple(place & 1 for place in range(13))).tables == 3  # their parity
    assert tree((0,) * 6 + (1,) * 7).tables == 7
    assert all(expected_tables(12, count) <= 7 for count in range(13))
    assert counted_tables(12) > 7


def test_whole_counts_are_counts():
    assert [whole_count(inputs).codes for inputs in (1, 3)] == [(0, 1), (0, 1, 2, 3)]
