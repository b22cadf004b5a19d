"""FIFOs: RTL against numpy, one schedule whatever the style, and what a probe finds."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.finn_flows.nodes.bench import STALLS, cells_of, chain, check_random, product
from zerocross.finn_flows.nodes import Fifo, InputGenerator
from zerocross.finn_flows.nodes.fifo import expected_price, fifo_price
from zerocross.finn_flows.nodes.node import NodeError
from zerocross.finn_flows.nodes.stream import Stream
from zerocross.finn_flows.rtl.library import library_of
from zerocross.finn_flows.rtl.simulation import Port, Trace, compile_design
from zerocross.finn_flows.rtl.streaming import compile_streaming

STREAM = Stream((24,), 3, 2)
NODES = {
    "deep_0": Fifo(STREAM, 0),
    "deep_2": Fifo(STREAM, 2),
    "deep_3": Fifo(STREAM, 3),
    "deep_16": Fifo(STREAM, 16),
    "block_2": Fifo(STREAM, 2, "block"),
    "block_7": Fifo(STREAM, 7, "block"),
    "probe": Fifo(STREAM, 64, probe=True),
}


@pytest.mark.parametrize("stalls", STALLS)
def test_the_rtl_agrees_with_numpy_whatever_the_stalls(bench, stalls):
    bench.check(stalls)


def high_water(trace: Trace) -> int:
    (mark,) = [re.fullmatch(r"FIFO \S+ (\d+)", line) for line in trace.printed if line.startswith("FIFO ")]
    return int(mark[1])


@pytest.mark.parametrize("seed", range(6))
def test_a_probe_counts_the_words_in_the_fifo(bench, seed):
    trace, _ = bench.run((0.3, 0.3 + 0.1 * seed), seed)
    taken, given = trace.taken["probe_s"], trace.given["probe_m"]
    before = np.arange(len(taken)) - np.searchsorted(given, taken)  # a word leaves at the end of its cycle
    assert high_water(trace) == (before + 1).max()


@pytest.mark.slow
def test_a_fifo_of_the_depth_that_a_probe_found_keeps_the_schedule(tmp_path, runtime):
    # Windows come in bursts: none in the first lines of an image, and then six a line.
    windows = InputGenerator(Stream((8, 8, 2), 2, 1), (3, 3), parallel=True)

    def run(name: str, depth: int, probe: bool = False) -> Trace:
        fifo = Fifo(windows.outputs["m"], depth, probe=probe)
        design = chain(windows, fifo, product(18, 6, 18, 3, vectors=(6, 6)))
        compiled, _ = compile_streaming(design, tmp_path / name, cache=runtime)
        return compiled.simulator.run(words, {"m": 10 * 72}, pace=1.2)

    words = {"s": np.random.default_rng(0).integers(0, 2, (10 * 64, 2)).astype(np.uint8)}
    deep = run("deep", 1000, probe=True)
    mark = high_water(deep)
    assert mark > 4
    exact, less = (run(f"{depth}", depth) for depth in (mark, mark - 1))
    assert np.array_equal(exact.taken["s"], deep.taken["s"])
    assert np.array_equal(exact.given["m"], deep.given["m"])
    assert not np.array_equal(less.taken["s"], deep.taken["s"])


LOCKSTEP = """
module lockstep (
    input logic clk, input logic rst_n,
    input logic [5:0] s_tdata, input logic s_tvalid, output logic s_tready,
    output logic [7:0] m_tdata, output logic m_tvalid, input logic m_tready
);
  wire [3:0][1:0] ready, valid;
  wire [3:0][1:0][5:0] data;
  logic [1:0] differs;
  for (genvar depth = 0; depth < 2; depth++) begin : g_depth
    for (genvar style = 0; style < 4; style++) begin : g_style
      zc_fifo #(
          .WIDTH(6), .DEPTH(depth == 0 ? 2 : 6),
          .STYLE(style % 2 == 1 ? "block" : style == 2 && depth == 0 ? "registers" : "distributed")
      ) fifo (
          .clk, .rst_n, .s_tdata, .s_tvalid(s_tvalid && s_tready), .s_tready(ready[style][depth]),
          .m_tdata(data[style][depth]), .m_tvalid(valid[style][depth]), .m_tready(m_tready && m_tvalid)
      );
    end
    wire same_offer = valid[1][depth] == valid[0][depth] && valid[2][depth] == valid[0][depth];
    wire same_room = ready[1][depth] == ready[0][depth] && ready[2][depth] == ready[0][depth];
    wire same_word = data[1][depth] == data[0][depth] && data[2][depth] == data[0][depth];
    always_ff @(posedge clk)
      if (!rst_n) differs[depth] <= 0;
      else if (!same_offer || !same_room || (valid[0][depth] && !same_word)) differs[depth] <= 1;
  end
  assign s_tready = ready[0][0] && ready[0][1];  // the smaller one decides
  assign m_tvalid = valid[0][0] && valid[0][1];
  assign m_tdata = {differs, data[0][0]};
endmodule
"""


def test_all_styles_keep_one_schedule(tmp_path, runtime):
    (tmp_path / "lockstep.sv").write_text(LOCKSTEP)
    sources = [*library_of("zc_fifo"), tmp_path / "lockstep.sv"]
    simulator = compile_design("lockstep", sources, [Port("s", 6)], [Port("m", 8)], tmp_path, runtime)
    words = np.random.default_rng(0).integers(0, 2, (2000, 6)).astype(np.uint8)
    for stalls in ((0.3, 0.4), (0.6, 0.1), (0.1, 0.6)):
        trace = simulator.run({"s": words}, {"m": 2000}, stalls)
        assert (trace.words["m"][:, :6] == words).all()
        assert not trace.words["m"][:, 6:].any()


@pytest.mark.parametrize(
    ("style", "message"),
    [("magic", "unknown style 'magic' of a FIFO"), ("registers", "holds 2 words, not 5")],
)
def test_what_does_not_fit_is_refused(style, message):
    with pytest.raises(NodeError, match=message):
        Fifo(STREAM, 5, style)


def test_deep_and_wide_ones_go_to_block_ram_unless_they_are_probed():
    fifo = Fifo(Stream((640,), 64, 1), 128)
    assert fifo.built_style == "block"
    assert replace(fifo, probe=True).built_style == "distributed"
    assert replace(fifo, depth=20).built_style == "distributed"
    assert replace(fifo, depth=1).built_style == "registers"
    assert Fifo(Stream((640,), 8, 1), 128).built_style == "distributed"


@given(st.integers(1, 200), st.integers(1, 100))
def test_wider_ones_cost_more(width, more):
    assert fifo_price(2, width + more).lut > fifo_price(2, width).lut
    assert fifo_price(16, width + more).lut >= fifo_price(16, width).lut
    for between in ("windows", "image", "vector"):
        assert expected_price(width + more, between).lut >= expected_price(width, between).lut > 0


# ---- everything below is slow


def random_node(rng: np.random.Generator) -> Fifo:
    channels, depth = int(rng.integers(1, 9)), int(rng.integers(0, 40))
    style = str(rng.choice(["auto", "distributed", "block"]))
    return Fifo(Stream((channels * 5,), channels, int(rng.integers(1, 9))), depth, style)


@pytest.mark.slow
def test_random_ones_agree_with_numpy_and_keep_their_intervals(tmp_path, runtime):
    check_random(random_node, 35, 0, tmp_path, runtime)


@pytest.mark.slow
@pytest.mark.parametrize("depth", [2, 16, 128])
@pytest.mark.parametrize("width", [8, 64])
@pytest.mark.parametrize(("family", "most"), [("7-series", 1.0), ("ecp5", 3.0)])
def test_synthesis_makes_it_small(family, most, width, depth, tmp_path):
    node = Fifo(Stream((width,), width, 1), depth)
    cells = cells_of(node, tmp_path, family)
    print(f"{family} {depth}x{width}: {cells}, estimate {node.price().lut:.0f} LUT6")
    assert cells.lut <= most * (node.price().lut + 20)
    assert bool(cells.bram) == (node.built_style == "block")


@pytest.mark.parametrize("depth", [0, 2, 3, 31, 32, 33, 34, 63, 64, 65, 300])
@pytest.mark.parametrize("width", [1, 8, 31, 32, 62, 63, 64, 65, 200])
def test_the_price_is_that_of_the_memory_that_is_built(depth, width):
    node = Fifo(Stream((width,), width, 1), depth)
    built = {"registers": "registers", "distributed": "LUT memory", "block": "block RAM"}[node.built_style]
    assert node.price().implementation == built
    assert bool(node.price().bram18) == (depth > 32 and depth * width > 2048)
