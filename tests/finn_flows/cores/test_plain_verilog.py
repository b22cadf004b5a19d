"""Plain Verilog that tools take: its names, and its wishes for memories."""

import re
from pathlib import Path

import pytest

from zerocross.finn_flows.chip.yosys import Script, SynthesisError, quoted, run_scripts
from zerocross.finn_flows.cores.plain_verilog import _simple_names, plain_verilog
from zerocross.finn_flows.rtl.library import library_of

FIFO = library_of("zc_fifo")


@pytest.mark.parametrize(
    ("family", "lut_memory", "taken"),
    [("ice40", False, True), ("ice40", True, False), ("ecp5", True, True)],
)
def test_yosys_maps_the_memories_of_a_part(
    family: str, lut_memory: bool, taken: bool, tmp_path: Path
) -> None:
    """An iCE40 has no memory in LUTs, and Yosys stops at a wish for it."""
    top = tmp_path / "top.sv"
    top.write_text(
        "module top (input clk, rst_n, input [7:0] d, input v, r, output [7:0] q, output w, s);\n"
        '  zc_fifo #(.WIDTH(8), .DEPTH(40), .STYLE("distributed")) fifo (.clk, .rst_n, .s_tdata(d), .s_tvalid(v),\n'
        "    .s_tready(s), .m_tdata(q), .m_tvalid(w), .m_tready(r));\nendmodule\n"
    )
    plain = tmp_path / "plain.v"
    plain_verilog("top", [*FIFO, top], tmp_path, plain, lut_memory)
    script = Script(
        "top",
        (f"read_verilog {quoted(plain)}", f"synth_{family} -top top -run begin:map_gates"),
        tmp_path / "synth.ys",
    )
    if taken:
        run_scripts([script], tmp_path)
    else:
        with pytest.raises(SynthesisError):
            run_scripts([script], tmp_path)


def test_names_are_plain_distinct_and_short() -> None:
    long = "a" * 200
    names = [r"\a.b[0] ", r"\a.b(0) ", r"\reg ", rf"\{long}.x ", rf"\{long}.y ", r"\core.t "]
    text = "".join(f"wire {name};\nassign {name}= q;\n" for name in names) + "wire core_t;\n"
    simple = _simple_names(text)
    found = re.findall(r"wire (\S+) ;", simple)
    assert len(set(found)) == len(names)
    assert found == re.findall(r"assign (\S+) = q", simple)
    assert found[2] == r"\reg"  # a keyword keeps its escape
    assert "core_t" not in found  # another signal has this name
    assert all(re.fullmatch(r"[a-z]\w{0,99}", name) for name in found if name != r"\reg")
