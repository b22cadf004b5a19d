"""Crossing tables against rows of bits, point by point."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import zerocross.finn_flows.crossings as module
from zerocross.finn_flows.crossings import CrossingError, CrossingTable, from_bits, from_response
from zerocross.finn_flows.network import Grid
from zerocross.models.activation import ActivationFunction
from zerocross.models.expressions import Expression, X
from zerocross.models.layers import ActivationSlot
from zerocross.models.operations import BUILT_IN

FAN_INS = st.one_of(st.integers(1, 40), st.integers(41, 5000))


def popcounts(fan_in: int) -> Grid:
    return Grid(-fan_in, fan_in, 2)


@st.composite
def grids(draw: st.DrawFn, fan_ins: st.SearchStrategy[int] = FAN_INS) -> Grid:
    if draw(st.booleans()):
        return popcounts(draw(fan_ins))
    low = draw(st.integers(-3000, 3000))
    return Grid(low, low + draw(fan_ins), 1)


@st.composite
def rows(draw: st.DrawFn, fan_ins: st.SearchStrategy[int] = FAN_INS) -> tuple[Grid, np.ndarray]:
    """A grid and bits for it: of any density of flips, from a constant to a flip at every point."""
    grid = draw(grids(fan_ins))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    flips = rng.random((draw(st.integers(1, 6)), len(grid))) < draw(st.sampled_from([0, 0.001, 0.1, 0.5, 1]))
    flips[:, 0] = rng.random(len(flips)) < 0.5
    return grid, np.bitwise_xor.accumulate(flips.astype(np.uint8), axis=1)


def points(grid: Grid) -> np.ndarray:
    return np.arange(grid.low, grid.high + 1, grid.step)


def same(one: CrossingTable, other: CrossingTable) -> bool:
    return one.grid == other.grid and all(
        np.array_equal(getattr(one, part), getattr(other, part)) for part in ("first", "offsets", "places")
    )


@settings(max_examples=150, deadline=None)
@given(rows())
def test_a_table_rebuilds_its_rows(drawn: tuple[Grid, np.ndarray]) -> None:
    grid, bits = drawn
    table = from_bits(grid, bits)
    for channel, row in enumerate(bits):
        assert np.array_equal(table.row(channel), row)
        assert table.counts()[channel] == (row[1:] != row[:-1]).sum()
        for place, value in zip(table.crossings(channel), table.accumulators(channel), strict=True):
            assert row[place] != row[place - 1]
            assert points(grid)[place] == value
    assert table.constants() == {c: row[0] for c, row in enumerate(bits) if (row == row[0]).all()}


@pytest.mark.parametrize("dense", [0, 1 << 22])
@settings(max_examples=60, deadline=None)
@given(drawn=rows())
def test_looked_up_bits_are_the_rows(dense: int, drawn: tuple[Grid, np.ndarray]) -> None:
    grid, bits = drawn
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_DENSE", dense)
        every = np.repeat(points(grid)[:, None], len(bits), axis=1)
        looked_up = from_bits(grid, bits).bits(every)
        assert looked_up.dtype == np.uint8
        assert np.array_equal(looked_up, bits.T)
        image = every[:4].reshape(-1, 1, 1, len(bits))
        assert np.array_equal(from_bits(grid, bits).bits(image)[:, 0, 0], bits.T[:4])


@pytest.mark.parametrize("dense", [0, 1 << 22])
@pytest.mark.parametrize("value", [-9, -8, 0, 8, 9])
def test_accumulators_off_the_grid_are_refused(
    value: int, dense: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_DENSE", dense)
    table = from_bits(popcounts(7), np.zeros((1, 8)))
    with pytest.raises(CrossingError, match="off the grid"):
        table.bits(np.array([[value]]))


def test_a_long_grid_is_looked_up_without_its_rows() -> None:
    grid, flips = Grid(-(1 << 40), 1 << 40, 1), np.array([5, 1 << 30, 1 << 35])
    table = CrossingTable(grid, np.array([0, 1], np.uint8), np.array([0, 3, 3]), flips)
    places = np.array([0, 4, 5, (1 << 35) - 1, 1 << 35, 1 << 41])
    looked_up = table.bits(np.stack([grid.low + places] * 2, axis=1))
    assert looked_up[:, 0].tolist() == [(place >= flips).sum() % 2 for place in places]
    assert looked_up[:, 1].tolist() == [1] * len(places)


def test_rows_of_a_wrong_length_are_refused() -> None:
    with pytest.raises(CrossingError, match="8 points"):
        from_bits(popcounts(7), np.zeros((2, 7)))


@settings(max_examples=60, deadline=None)
@given(rows(), st.integers(1, 700))
def test_evaluating_chunk_by_chunk_changes_nothing(drawn: tuple[Grid, np.ndarray], chunk: int) -> None:
    grid, bits = drawn
    values = np.where(bits == 1, 0.0, -1.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "AT_ONCE", max(chunk, len(grid) // 50))
        table = from_response(grid, len(bits), lambda a: values[:, (a - grid.low) // grid.step])
    assert same(table, from_bits(grid, bits))


def test_zero_of_either_sign_and_infinity_have_bits() -> None:
    values = np.array([[-0.0, 0.0, -1e-30, np.inf, -np.inf]])
    table = from_response(Grid(0, 4, 1), 1, lambda a: values[:, a])
    assert table.row(0).tolist() == [1, 1, 0, 1, 0]


@pytest.mark.parametrize("chunk", [1, 1 << 22])
def test_not_a_number_is_named(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", chunk)

    def response(accumulators: np.ndarray) -> np.ndarray:
        values = np.ones((3, len(accumulators)))
        values[2, accumulators == 5] = np.nan
        return values

    with pytest.raises(CrossingError, match=r"channel 2 .*not a number at accumulator 5$"):
        from_response(popcounts(9), 3, response)


@settings(max_examples=60, deadline=None)
@given(rows(), st.data())
def test_some_channels_and_inverted_ones(drawn: tuple[Grid, np.ndarray], data: st.DataObject) -> None:
    grid, bits = drawn
    table = from_bits(grid, bits)
    chosen = np.array(data.draw(st.lists(st.integers(0, len(bits) - 1), min_size=1)))
    assert same(table.select(chosen), from_bits(grid, bits[chosen]))
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(bits), max_size=len(bits))))
    assert same(table.inverted(mask), from_bits(grid, bits ^ mask[:, None]))


def test_no_channels_are_a_table_without_crossings() -> None:
    none = from_bits(popcounts(7), np.eye(3, 8)).select(np.array([], int))
    assert none.channels == 0 and len(none.counts()) == 0


@settings(max_examples=100, deadline=None)
@given(rows(), st.data())
def test_a_table_within_a_reach_has_its_bits_there_and_no_crossing_elsewhere(
    drawn: tuple[Grid, np.ndarray], data: st.DataObject
) -> None:
    grid, bits = drawn
    rng, length = np.random.default_rng(data.draw(st.integers(0, 2**32))), len(grid)
    lows, highs = np.sort(rng.integers(0, length, (2, len(bits))), axis=0)
    table = from_bits(grid, bits).within(grid.low + grid.step * lows, grid.low + grid.step * highs)
    for channel, (row, low, high) in enumerate(zip(bits, lows, highs, strict=True)):
        assert np.array_equal(table.row(channel)[low : high + 1], row[low : high + 1])
        assert (np.diff(row[low : high + 1].astype(int)) != 0).sum() == table.counts()[channel]


@settings(max_examples=100, deadline=None)
@given(rows(), st.data())
def test_a_moved_table_reads_the_old_one_at_an_offset(
    drawn: tuple[Grid, np.ndarray], data: st.DataObject
) -> None:
    grid, bits = drawn
    last = len(grid) - 1
    size = data.draw(st.integers(0, last))
    low = data.draw(st.integers(-500, 500))
    smaller = Grid(low, low + grid.step * size, grid.step)
    starts = np.array([data.draw(st.integers(0, last - size)) for _ in bits])
    offsets = grid.low + grid.step * starts - low
    moved = from_bits(grid, bits).moved(smaller, offsets)
    expected = np.stack([row[start : start + size + 1] for row, start in zip(bits, starts, strict=True)])
    assert same(moved, from_bits(smaller, expected))


def slot_of(expression: Expression, channels: int, seed: int, reach: float) -> ActivationSlot:
    """A slot as training may leave it: any statistics, any affine part, any learnt parameters."""
    generator = torch.Generator().manual_seed(seed)
    slot = ActivationSlot(channels)
    slot.install(expression)
    with torch.no_grad():
        slot.norm.running_mean.normal_(0, reach / 3, generator=generator)
        slot.norm.running_var.uniform_(0.05 * reach, 2 * reach, generator=generator)
        slot.norm.weight.normal_(0, 1.5, generator=generator)
        slot.norm.bias.normal_(0, 1, generator=generator)
        for learned in slot.function.learned:
            learned.normal_(0, 2, generator=generator)
    return slot.eval()


@pytest.mark.parametrize("name", [operation.name for operation in BUILT_IN])
@settings(max_examples=8, deadline=None)
@given(fan_in=FAN_INS, seed=st.integers(0, 2**32), byte=st.booleans())
def test_tables_of_every_operation(name: str, fan_in: int, seed: int, byte: bool) -> None:
    """The table of the trained module holds the sign of its float32 values at every integer."""
    arity = {operation.name: operation.arity for operation in BUILT_IN}[name]
    grid = Grid(-3 * fan_in, 2 * fan_in, 1) if byte else popcounts(fan_in)
    operands = (X, Expression("shift", (X,)))[:arity]
    slot = slot_of(Expression(name, operands), 5, seed, float(fan_in))
    table = from_response(grid, 5, lambda a: slot.response(torch.from_numpy(a)).detach().numpy())
    with torch.no_grad():
        plain = torch.from_numpy(points(grid)).float()[:, None].expand(-1, 5).contiguous()
        bits = (slot.function(slot.norm(plain)).numpy().T >= 0).astype(np.uint8)
    assert isinstance(slot.function, ActivationFunction)
    assert same(table, from_bits(grid, bits))
    assert all(np.array_equal(table.row(channel), bits[channel]) for channel in range(5))
