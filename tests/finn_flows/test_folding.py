import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.finn_flows.finn_networks import cnv, mlp
from zerocross.finn_flows.cost import estimate
from zerocross.finn_flows.folding import Folding, FoldingError, Product, divisors, fold_product
from zerocross.finn_flows.graph import hardware_nodes


@given(st.integers(1, 5000))
def test_divisors_are_all_of_them(number):
    assert list(divisors(number)) == [d for d in range(1, number + 1) if number % d == 0]


@given(
    st.integers(1, 300),
    st.integers(1, 300),
    st.integers(1, 50),
    st.sampled_from([1, 8]),
    st.integers(1, 100_000),
)
def test_a_target_is_met_within_the_limits_or_refused_for_good(fan_in, channels, vectors, bits, target):
    product = Product(fan_in, channels, vectors, bits)
    folding = Folding(target_cycles=target, max_pe=32, max_simd=48)
    pairs = [(p, s) for p in divisors(channels) for s in divisors(fan_in) if p <= 32 and s <= 48]
    try:
        pe, simd = fold_product("layer", product, folding, 100.0)
    except FoldingError as error:
        best = min(product.cycles(*pair) for pair in pairs)
        assert best > target
        assert f"at least {best} cycles" in str(error)
        return
    assert (pe, simd) in pairs
    assert product.cycles(pe, simd) <= target


def test_the_cheapest_pair_is_chosen():
    product = Product(64, 64, 1, 1)
    pe, simd = fold_product("layer", product, Folding(target_cycles=256), 100.0)
    chosen = product.price(pe, simd).lut
    assert all(
        product.price(p, s).lut + p * 6 >= chosen
        for p in divisors(64)
        for s in divisors(64)
        if product.cycles(p, s) <= 256
    )


def test_frames_a_second_are_cycles_at_the_clock():
    assert Folding(target_fps=1e5).cycles(clock_mhz=100.0) == 1000
    assert Folding(target_fps=1e5).cycles(clock_mhz=50.0) == 500
    cost = estimate(mlp(1), Folding(target_fps=2e5), clock_mhz=125.0)
    assert cost.fps >= 2e5


def test_messages_say_which_layer_and_what_to_do():
    with pytest.raises(FoldingError, match=r"hidden1: .*width 61 has no divisor up to 32 but 1"):
        fold_product("hidden1", Product(64, 61, 1, 1), Folding(target_cycles=10, max_pe=32), 100.0)
    with pytest.raises(FoldingError, match="raise max_pe or max_simd"):
        fold_product("hidden1", Product(64, 64, 1, 1), Folding(target_cycles=1, max_pe=32), 100.0)
    with pytest.raises(
        FoldingError, match="hidden1: pe 7 does not divide its 64 channels; choose one of 1, 2, 4"
    ):
        fold_product("hidden1", Product(64, 64, 1, 1), Folding(pe=7, simd=1), 100.0)
    with pytest.raises(FoldingError, match="hidden1: simd 9 does not divide its 64 inputs"):
        fold_product("hidden1", Product(64, 64, 1, 1), Folding(layers=(("hidden1", 1, 9),)), 100.0)
    with pytest.raises(FoldingError, match=r"conv0: its padding takes 196 cycles"):
        hardware_nodes(cnv(8), Folding(target_cycles=150, max_pe=1024, max_simd=1024))


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
def test_contradictions_are_refused(bad):
    with pytest.raises(FoldingError):
        Folding(**bad)


@given(st.sampled_from([300, 1_000, 4_000, 30_000, 1_000_000]), st.sampled_from([1, 8]))
def test_no_node_exceeds_the_target(target, bits):
    for network in (mlp(bits), cnv(bits)):
        try:
            cost = estimate(network, Folding(target_cycles=target))
        except FoldingError:
            continue
        assert cost.ii <= target
