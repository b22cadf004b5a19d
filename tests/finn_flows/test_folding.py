import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.finn_flows.finn_networks import chain, cnv, mlp, signs
from zerocross.finn_flows.cost import estimate
from zerocross.finn_flows.folding import Folding, FoldingError, fold_product
from zerocross.finn_flows.network import Conv, Dense, Flatten, Input, MaxPool
from zerocross.finn_flows.nodes import GroupedProduct, Product
from zerocross.finn_flows.nodes.node import divisors
from zerocross.finn_flows.planner import least_target, plan


@given(st.integers(1, 5000))
def test_divisors_are_all_of_them(number: int) -> None:
    assert list(divisors(number)) == [d for d in range(1, number + 1) if number % d == 0]


@given(
    st.integers(1, 300),
    st.integers(1, 300),
    st.integers(1, 50),
    st.sampled_from([1, 8]),
    st.integers(1, 100_000),
)
def test_a_target_is_met_within_the_limits_or_refused_for_good(
    fan_in: int, channels: int, vectors: int, bits: int, target: int
) -> None:
    product = Product(fan_in, channels, vectors=(vectors, 1), input_bits=bits)
    folding = Folding(target_cycles=target, max_pe=32, max_simd=48)
    pairs = [(p, s) for p in divisors(channels) for s in divisors(fan_in) if p <= 32 and s <= 48]
    cycles = {(p, s): vectors * (channels // p) * (fan_in // s) for p, s in pairs}
    try:
        folded = fold_product("layer", product, folding, 100.0)
    except FoldingError as error:
        best = min(cycles.values())
        assert best > target
        assert f"at least {best} cycles" in str(error)
        return
    assert folded == product.folded(*folded.lanes)
    assert folded.interval == cycles[folded.lanes] <= target


def test_the_cheapest_pair_is_chosen() -> None:
    product = Product(64, 64)
    chosen = fold_product("layer", product, Folding(target_cycles=256), 100.0).price().lut
    assert all(
        product.folded(p, s).price().lut + p * 6 >= chosen
        for p in divisors(64)
        for s in divisors(64)
        if product.folded(p, s).interval <= 256
    )


def test_without_a_target_a_product_takes_one_at_a_time() -> None:
    assert fold_product("layer", Product(12, 8, 4, 6), Folding(), 100.0).lanes == (1, 1)
    grouped = GroupedProduct(9, 2, 8, 4, 2)  # a group's channels are computed together
    assert fold_product("layer", grouped, Folding(), 100.0).lanes == (2, 1)


@pytest.mark.parametrize("target", [40, 60, 140, 300])
def test_groups_are_folded_as_their_hardware_can(target: int) -> None:
    """All channels of one group, or of several groups whose inputs are taken whole."""
    product = GroupedProduct(9, 2, 8, 4, 2, vectors=(2, 2))
    pairs = [(2, 1), (2, 2), (4, 2), (8, 2)]
    assert list(product.foldings) == pairs
    folded = fold_product("layer", product, Folding(target_cycles=target), 100.0)
    assert folded.lanes in pairs and folded.interval <= target
    within = [pair for pair in pairs if product.folded(*pair).interval <= target]
    assert folded.lanes[0] == min(pe for pe, _ in within)


def test_words_that_come_in_other_sizes_meet_the_target_too() -> None:
    """Of a product's inputs, those words are taken to which a width converter gets in time."""
    product = Product(36, 8)
    folded = fold_product("layer", product, Folding(target_cycles=36, max_simd=10), 100.0, arriving=20)
    words = 36 // folded.lanes[1]
    assert folded.interval <= 36 and 20 + words - math.gcd(20, words) <= 36
    with pytest.raises(FoldingError, match="layer: its inputs arrive in 35 words"):
        fold_product("layer", product, Folding(target_cycles=36, max_simd=10), 100.0, arriving=35)


def test_frames_a_second_are_cycles_at_the_clock() -> None:
    assert Folding(target_fps=1e5).cycles(clock_mhz=100.0) == 1000
    assert Folding(target_fps=1e5).cycles(clock_mhz=50.0) == 500
    cost = estimate(mlp(1), Folding(target_fps=2e5), clock_mhz=125.0)
    assert cost.fps >= 2e5


def test_messages_say_which_layer_and_what_to_do() -> None:
    with pytest.raises(FoldingError, match=r"hidden1: .*largest divisor of 61 channels up to 32 is 1"):
        fold_product("hidden1", Product(64, 61), Folding(target_cycles=10, max_pe=32), 100.0)
    with pytest.raises(FoldingError, match="raise max_pe or max_simd"):
        fold_product("hidden1", Product(64, 64), Folding(target_cycles=1, max_pe=32), 100.0)
    with pytest.raises(
        FoldingError, match="hidden1: pe 7 does not divide its 64 channels; choose one of 1, 2, 4"
    ):
        fold_product("hidden1", Product(64, 64), Folding(pe=7, simd=1), 100.0)
    with pytest.raises(FoldingError, match="hidden1: simd 9 does not divide its 64 inputs"):
        fold_product("hidden1", Product(64, 64), Folding(layers=(("hidden1", 1, 9),)), 100.0)
    with pytest.raises(FoldingError, match=r"conv0: its padding needs at least 196 cycles"):
        plan(cnv(8), Folding(target_cycles=150, max_pe=1024, max_simd=1024))
    pooled = chain(Input((8, 8, 4), 1), MaxPool((2, 2)), Conv(8, (1, 1)), signs(8), Flatten(), Dense(3))
    with pytest.raises(FoldingError, match=r"maxpool0: its pool needs at least 64 cycles"):
        plan(pooled, Folding(target_cycles=40, max_pe=1024, max_simd=1024))
    network = chain(Input((4, 4, 4), 1), Conv(8, groups=4), signs(8), Flatten(), Dense(3))
    with pytest.raises(
        FoldingError,
        match="conv0: pe 1 and simd 1 do not fit 4 groups; choose pe and simd 2 and 1, 4 and 1, 8 and 1",
    ):
        plan(network, Folding(layers=(("conv0", 1, 1),)))


@pytest.mark.parametrize(
    "bad",
    [
        {"target_cycles": 10, "target_fps": 10.0},
        {"target_cycles": 10, "pe": 1, "simd": 1},
        {"pe": 2},
        {"target_cycles": 0},
        {"max_pe": 0},
    ],
)
def test_contradictions_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(FoldingError):
        Folding(**bad)


@given(st.sampled_from([300, 1_000, 4_000, 30_000, 1_000_000]), st.sampled_from([1, 8]))
def test_no_node_exceeds_the_target(target: int, bits: int) -> None:
    for network in (mlp(bits), cnv(bits)):
        try:
            cost = estimate(network, Folding(target_cycles=target))
        except FoldingError:
            continue
        assert cost.ii <= target


def test_the_least_target_is_met_and_the_next_lower_one_is_not() -> None:
    sizes = (193, 193, 10)
    layers = [part for size in sizes[:-1] for part in (Dense(size), signs(size))]
    prime = chain(Input((91,), 8), *layers, Dense(sizes[-1]))
    least = least_target(prime, 16 * 91)
    assert least == 193 * 193
    plan(prime, Folding(target_cycles=least))
    with pytest.raises(FoldingError, match=f"need at least {least} cycles") as caught:
        plan(prime, Folding(target_cycles=least - 1))
    assert caught.value.cycles == least and str(caught.value).startswith(caught.value.problem)
    assert least_target(mlp(8), 5_000) == 5_000  # a target that can be met stays


@given(st.lists(st.integers(2, 120), min_size=3, max_size=4), st.integers(1, 400))
def test_a_least_target_exists_for_any_sizes(sizes: list[int], target: int) -> None:
    first, *hidden, classes = sizes
    layers = [part for size in hidden for part in (Dense(size), signs(size))]
    network = chain(Input((first,), 8), *layers, Dense(classes))
    least = least_target(network, target)
    plan(network, Folding(target_cycles=least))
    if least > target:
        with pytest.raises(FoldingError):
            plan(network, Folding(target_cycles=least - 1))
