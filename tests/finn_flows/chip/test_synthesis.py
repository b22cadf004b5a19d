"""Designs mapped to cells: what is counted, for whom, and what is said when it fails."""

import pytest

from zerocross.finn_flows.chip import yosys
from zerocross.finn_flows.chip.cells import count_cells
from zerocross.finn_flows.chip.synthesis import SynthesisError, synthesise
from zerocross.finn_flows.families import FAMILIES, UnknownFamily
from zerocross.finn_flows.rtl.simulation import ToolMissing

# Two equal counters, another one, and a gate around them.
DESIGN = """
module counter #(parameter int BITS = 4) (input logic clk, input logic up, output logic [BITS-1:0] count);
  initial count = '0;
  always_ff @(posedge clk) if (up) count <= count + 1'b1;
endmodule
module inner (input logic clk, input logic up, output logic [5:0] count);
  counter #(.BITS(6)) deep (.clk, .up, .count);
endmodule
module three #(parameter bit UP = 1) (
    input logic clk, input logic up, input logic off, output logic [3:0] a, b, output logic [5:0] c
);
  wire go = up & ~off & UP;
  counter first (.clk, .up(go), .count(a));
  counter second (.clk, .up(go), .count(b));
  inner third (.clk, .up(go), .count(c));
endmodule
"""
NODES = ("first", "second", "third.deep")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "three.sv").write_text(DESIGN)
    return tmp_path


@pytest.mark.parametrize(
    "family",
    [pytest.param(name, marks=pytest.mark.slow if name == "ultrascale+" else ()) for name in FAMILIES],
)
def test_every_node_is_counted_and_the_rest_too(folder, family):
    done = []
    result = synthesise(
        "three", [folder / "three.sv"], folder, family, NODES, progress=lambda k, n: done.append((k, n))
    )
    assert [result.by_node[name].ff for name in (*NODES, "")] == [4, 4, 6, 0]
    assert result.by_node["first"] == result.by_node["second"]
    assert result.by_node[""].lut == 1
    assert result.total.ff == 14
    assert result.total.lut == sum(cells.lut for cells in result.by_node.values())
    assert done == [(1, 3), (2, 3), (3, 3)]  # equal nodes are mapped once
    assert result.netlist.exists() and result.verilog.exists()


def test_what_was_mapped_is_not_mapped_again(folder):
    def run(nodes, parameters):
        done = []
        sources = [folder / "three.sv"]
        synthesise(
            "three",
            sources,
            folder,
            "ice40",
            nodes,
            parameters=parameters,
            progress=lambda k, n: done.append(n),
        )
        return len(done)

    assert run(NODES, {}) == 3
    assert run(NODES, {}) == 0
    assert run(NODES, {"UP": 0}) == 1  # the top alone
    assert run(("third.deep",), {}) == 2  # other neighbours: Yosys' results depend on them
    assert run(("third.deep",), {}) == 0


def test_folders_may_have_spaces(tmp_path):
    folder = tmp_path / "my designs"
    folder.mkdir()
    (folder / "a design.sv").write_text(DESIGN)
    assert synthesise("three", [folder / "a design.sv"], folder, "ice40", NODES).total.ff == 14


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("module broken (output logic b);\n  assign b = a;\nendmodule", r"broken.*broken.sv:2: ERROR.*'a'"),
        (
            "module broken (input logic a, output logic b);\n  nothing n (a, b);\nendmodule",
            r"unknown module 'nothing'",
        ),
        (
            "module broken (input logic clk, input logic [3:0] a, output logic b);\n"
            '  (* ram_style = "block" *) logic m[16];\n'
            "  initial m[0] = 0;\n  always @(posedge clk) m[a] <= b;\n  assign b = m[a];\nendmodule",
            "no valid mapping",
        ),
    ],
)
def test_a_design_that_does_not_synthesise_says_why(tmp_path, text, message):
    (tmp_path / "broken.sv").write_text(text)
    with pytest.raises(SynthesisError, match=message) as caught:
        synthesise("broken", [tmp_path / "broken.sv"], tmp_path, "ecp5")
    assert ".log" in str(caught.value)


def test_an_instance_that_is_not_there_is_named(folder):
    with pytest.raises(SynthesisError, match="no instance 'fourth'"):
        synthesise("three", [folder / "three.sv"], folder, "ecp5", ("first", "fourth"))


def test_an_unknown_family_is_refused(folder):
    with pytest.raises(UnknownFamily, match="'spartan'.*ecp5"):
        synthesise("three", [folder / "three.sv"], folder, "spartan")


def test_without_yosys_the_remedy_is_named(folder, monkeypatch):
    monkeypatch.setattr(yosys.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ToolMissing, match="pip install pyosys"):
        synthesise("three", [folder / "three.sv"], folder, "ecp5")


def test_cells_are_counted_as_the_part_has_them():
    seven = count_cells(
        {"LUT6": 3, "RAM32M": 2, "SRL16E": 1, "RAMB36E1": 1, "RAMB18E1": 1, "MUXF7": 9}, "7-series"
    )
    assert (seven.lut, seven.lut_memory, seven.bram, seven.bram18) == (3 + 8 + 1, 9, 3, 3)
    lattice = count_cells({"LUT4": 3, "CCU2C": 2, "TRELLIS_DPR16X4": 1, "PFUMX": 5}, "ecp5")
    assert (lattice.lut, lattice.lut_memory, lattice.carry) == (3 + 4 + 6, 6, 2)
    ice = count_cells({"SB_LUT4": 3, "SB_CARRY": 2, "SB_RAM40_4K": 5}, "ice40")
    assert (ice.lut, ice.carry, ice.bram, ice.bram18) == (3, 2, 5, 2)
