"""Common simulation model of block RAM cells that Yosys' libraries leave empty, for gate-level simulation.

A block RAM consists of units of nine bits: a byte and its parity bit. Ports of 9, 18, 36 or 72 bits access whole units,
ports of 8, 16 or 32 bits the bytes, and ports of 1, 2 or 4 bits a part of a byte. The maps in Yosys' `techlibs` define the
order of pins and initial values. The model omits output registers, cascades and resets, which Yosys never uses.
"""

from collections.abc import Iterable

_CORE = """
module zc_block_ram #(
    parameter int UNITS = 2048,
    parameter int A_READ = 0, A_WRITE = 0, B_READ = 0, B_WRITE = 0,  // widths
    parameter int A_MODE = 2, B_MODE = 2,  // a port that writes: 0 keeps its output, 1 shows the new, 2 the old word
    parameter bit [9*UNITS-1:0] INIT = '0
) (
    input  logic a_clk, a_en, input logic [7:0] a_we, input logic [15:0] a_at, input logic [71:0] a_in,
    output logic [71:0] a_out,
    input  logic b_clk, b_en, input logic [7:0] b_we, input logic [15:0] b_at, input logic [71:0] b_in,
    output logic [71:0] b_out
);
  logic [8:0] memory[UNITS];
  initial for (int i = 0; i < UNITS; i++) memory[i] = INIT[9*i+:9];

  function automatic logic [71:0] read(input logic [15:0] at, input int width);
    int bits, units;
    read  = '0;
    bits  = width % 9 == 0 ? 9 : 8;
    units = width / bits;
    if (width < 8) begin
      for (int i = 0; i < width; i++) read[i] = memory[at>>3][int'(at[2:0])/width*width+i];
    end else begin
      for (int u = 0; u < units; u++) read |= (72'(memory[(at>>3)/units*units+u]) & (72'd1 << bits) - 1) << u * bits;
    end
  endfunction
@PORTS@
endmodule
"""
_PORT = """
  always @(posedge %_clk) begin
    int bits, units;
    bits  = %UP_WRITE % 9 == 0 ? 9 : 8;
    units = %UP_WRITE / bits;
    if (%_en) begin
      if (%_we == 0 || %UP_WRITE == 0 || %UP_MODE == 2) %_out <= read(%_at, %UP_READ);
      else if (%UP_MODE == 1) %_out <= %_in;
      if (%UP_WRITE >= 8) begin
        for (int u = 0; u < units; u++)
          if (%_we[u]) memory[(%_at>>3)/units*units+u] <= 9'((%_in >> u * bits) & (72'd1 << bits) - 1);
      end else if (%UP_WRITE > 0 && %_we[0]) begin
        for (int i = 0; i < %UP_WRITE; i++) memory[%_at>>3][int'(%_at[2:0])/%UP_WRITE*%UP_WRITE+i] <= %_in[i];
      end
    end
  end"""


def core() -> dict[str, str]:
    """Return the common model of all families' cells, by name."""
    ports = "".join(_PORT.replace("%UP", name.upper()).replace("%_", f"{name}_") for name in ("a", "b"))
    return {"zc_block_ram": _CORE.replace("@PORTS@", ports)}


def module(name: str, parameters: Iterable[str], ports: Iterable[str], body: str) -> str:
    """Return the SystemVerilog of a module."""
    before, between = ",\n  ".join(parameters), ",\n  ".join(ports)
    return f"module {name} #(\n  {before}\n) (\n  {between}\n);\n{body}\nendmodule\n"


def row(name: str, count: int, bits: int) -> list[str]:
    """Return the declarations of the parameters <name>00, <name>01 ... with initial values."""
    return [f"parameter bit [{bits - 1}:0] {name}{index:02X} = '0" for index in range(count)]


def joined(name: str, count: int) -> str:
    """Return the initial values <name>00, <name>01 ... as one vector."""
    return "{" + ", ".join(f"{name}{index:02X}" for index in reversed(range(count))) + "}"
