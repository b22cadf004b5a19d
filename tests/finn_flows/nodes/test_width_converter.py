"""Width converters: RTL against numpy, and FINN's core inside."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.finn_flows.nodes.bench import STALLS, cells_of, check_random
from zerocross.finn_flows import finn_patches
from zerocross.finn_flows.finn_patches import LibraryError
from zerocross.finn_flows.nodes import WidthConverter
from zerocross.finn_flows.nodes.node import NodeError
from zerocross.finn_flows.nodes.stream import Stream
from zerocross.finn_flows.nodes.width_converter import converter_price

NODES = {
    "widen": WidthConverter(Stream((24,), 2, 3), 8),
    "narrow": WidthConverter(Stream((24,), 8, 3, signed=True), 2),
    "neither": WidthConverter(Stream((24,), 8, 1), 3),
    "neither_wider": WidthConverter(Stream((30,), 5, 2), 6),
    "same": WidthConverter(Stream((24,), 8, 1), 8),
    "image": WidthConverter(Stream((2, 3, 4), 2, 3), 6),
}


@pytest.mark.parametrize("stalls", STALLS)
def test_the_rtl_agrees_with_numpy_whatever_the_stalls(bench, stalls):
    bench.check(stalls)


def test_what_does_not_fit_is_refused():
    with pytest.raises(NodeError, match="5 does not divide 24 elements"):
        WidthConverter(Stream((24,), 8, 1), 5)


def test_another_finn_is_noticed(tmp_path, monkeypatch):
    (tmp_path / "dwc" / "hdl").mkdir(parents=True)
    monkeypatch.setattr(finn_patches, "_root", lambda: tmp_path)
    finn_patches._patched.cache_clear()
    node = NODES["widen"]
    with pytest.raises(LibraryError, match=r"no dwc/hdl/vpc\.sv"):
        node.generate(tmp_path)
    (tmp_path / "dwc" / "hdl" / "vpc.sv").write_text("module vpc; endmodule")
    with pytest.raises(LibraryError, match="is of another version"):
        node.generate(tmp_path)
    finn_patches._patched.cache_clear()


@given(st.integers(1, 64), st.integers(1, 64))
def test_it_costs_nothing_between_equal_words(a, b):
    assert (converter_price(a, b).lut == 0) == (a == b)


# ---- everything below is slow


def random_node(rng: np.random.Generator) -> WidthConverter:
    lanes, other = int(rng.integers(1, 13)), int(rng.integers(1, 13))
    elements = int(np.lcm(lanes, other)) * int(rng.integers(1, 4))
    return WidthConverter(Stream((elements,), lanes, int(rng.integers(1, 9))), other)


@pytest.mark.slow
def test_random_ones_agree_with_numpy_and_keep_their_intervals(tmp_path, runtime):
    check_random(random_node, 35, 0, tmp_path, runtime)


@pytest.mark.slow
@pytest.mark.parametrize(("lanes", "other"), [(8, 24), (24, 8), (8, 12)])
@pytest.mark.parametrize(("family", "most"), [("7-series", 1.0), ("ecp5", 3.0)])
def test_synthesis_makes_it_small(family, most, lanes, other, tmp_path):
    node = WidthConverter(Stream((24,), lanes, 1), other)
    cells = cells_of(node, tmp_path, family)
    print(f"{family} {lanes} to {other}: {cells}, estimate {node.price().lut:.0f} LUT6")
    assert cells.lut <= most * (node.price().lut + 20)
    assert not cells.bram
