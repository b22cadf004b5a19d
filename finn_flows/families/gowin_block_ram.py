"""Simulation models of Gowin's block RAMs: single, simple dual and true dual port, with and without parity bits."""

from zerocross.finn_flows.families.block_ram_model import core, joined, module, row


def models() -> dict[str, str]:
    """Return the models of the block RAM cells and of their common core, by name."""
    return {
        "SP": _single("SP", 8),
        "SPX9": _single("SPX9", 9),
        "SDPB": _simple_dual("SDPB", 8),
        "SDPX9B": _simple_dual("SDPX9B", 9),
        "DPB": _dual("DPB", 8),
        "DPX9B": _dual("DPX9B", 9),
    } | core()


def _laid(bits: int) -> str:
    kbits = 32 * bits
    return f"""
  localparam bit [{64 * kbits - 1}:0] DATA = {joined("INIT_RAM_", 64)};
  function automatic bit [18431:0] laid();
    laid = '0;
    for (int i = 0; i < 2048; i++) laid[9*i+:{bits}] = DATA[{bits}*i+:{bits}];
  endfunction
  function automatic logic [7:0] enables(input logic [13:0] at, input int width);
    return width >= 32 ? 8'(at[3:0]) : width >= 16 ? 8'(at[1:0]) : 8'd1;
  endfunction"""


def _single(name: str, bits: int) -> str:
    """SP, SPX9: one port. In words of two and four bytes, the lowest address bits are the byte enables."""
    parameters = [
        *("parameter READ_MODE = 0", "parameter WRITE_MODE = 0", f"parameter BIT_WIDTH = {4 * bits}"),
        *("parameter BLK_SEL = 0", 'parameter RESET_MODE = "SYNC"', *row("INIT_RAM_", 64, 32 * bits)),
    ]
    ports = [
        f"output [{4 * bits - 1}:0] DO, input [{4 * bits - 1}:0] DI, input [2:0] BLKSEL, input [13:0] AD",
        "input WRE, CLK, CE, OCE, RESET",
    ]
    body = f"""{_laid(bits)}
  logic [71:0] a_out, unused;
  zc_block_ram #(.A_READ(BIT_WIDTH), .A_WRITE(BIT_WIDTH), .A_MODE(int'(WRITE_MODE)), .INIT(laid())) ram (
      .a_clk(CLK), .a_en(CE), .a_we(WRE ? enables(AD, BIT_WIDTH) : 8'd0), .a_at(16'(AD)), .a_in(72'(DI)), .a_out,
      .b_clk(1'b0), .b_en(1'b0), .b_we(8'd0), .b_at(16'd0), .b_in(72'd0), .b_out(unused)
  );
  assign DO = a_out[{4 * bits - 1}:0];"""
    return module(name, parameters, ports, body)


def _simple_dual(name: str, bits: int) -> str:
    """SDPB, SDPX9B: A writes, B reads."""
    parameters = [
        *(
            "parameter READ_MODE = 0",
            f"parameter BIT_WIDTH_0 = {4 * bits}",
            f"parameter BIT_WIDTH_1 = {4 * bits}",
        ),
        *("parameter BLK_SEL_0 = 0", "parameter BLK_SEL_1 = 0", 'parameter RESET_MODE = "SYNC"'),
        *row("INIT_RAM_", 64, 32 * bits),
    ]
    ports = [
        f"output [{4 * bits - 1}:0] DO, input [{4 * bits - 1}:0] DI, input [2:0] BLKSELA, BLKSELB",
        "input [13:0] ADA, ADB, input CLKA, CEA, CLKB, CEB, OCE, RESETA, RESETB",
    ]
    body = f"""{_laid(bits)}
  logic [71:0] unused, b_out;
  zc_block_ram #(.A_WRITE(BIT_WIDTH_0), .B_READ(BIT_WIDTH_1), .INIT(laid())) ram (
      .a_clk(CLKA), .a_en(CEA), .a_we(enables(ADA, BIT_WIDTH_0)), .a_at(16'(ADA)), .a_in(72'(DI)), .a_out(unused),
      .b_clk(CLKB), .b_en(CEB), .b_we(8'd0), .b_at(16'(ADB)), .b_in(72'd0), .b_out
  );
  assign DO = b_out[{4 * bits - 1}:0];"""
    return module(name, parameters, ports, body)


def _dual(name: str, bits: int) -> str:
    """DPB, DPX9B: both ports read and write, words of up to two bytes."""
    parameters = [
        *(f"parameter {kind}_MODE{port} = 0" for kind in ("READ", "WRITE") for port in (0, 1)),
        *(f"parameter BIT_WIDTH_{port} = {2 * bits}" for port in (0, 1)),
        *("parameter BLK_SEL_0 = 0", "parameter BLK_SEL_1 = 0", 'parameter RESET_MODE = "SYNC"'),
        *row("INIT_RAM_", 64, 32 * bits),
    ]
    top = 2 * bits - 1
    ports = [
        f"output [{top}:0] DOA, DOB, input [{top}:0] DIA, DIB, input [2:0] BLKSELA, BLKSELB, input [13:0] ADA, ADB",
        "input WREA, WREB, CLKA, CEA, CLKB, CEB, OCEA, OCEB, RESETA, RESETB",
    ]
    body = f"""{_laid(bits)}
  logic [71:0] a_out, b_out;
  zc_block_ram #(
      .A_READ(BIT_WIDTH_0), .A_WRITE(BIT_WIDTH_0), .B_READ(BIT_WIDTH_1), .B_WRITE(BIT_WIDTH_1),
      .A_MODE(int'(WRITE_MODE0)), .B_MODE(int'(WRITE_MODE1)), .INIT(laid())
  ) ram (
      .a_clk(CLKA), .a_en(CEA), .a_we(WREA ? enables(ADA, BIT_WIDTH_0) : 8'd0), .a_at(16'(ADA)), .a_in(72'(DIA)), .a_out,
      .b_clk(CLKB), .b_en(CEB), .b_we(WREB ? enables(ADB, BIT_WIDTH_1) : 8'd0), .b_at(16'(ADB)), .b_in(72'(DIB)), .b_out
  );
  assign DOA = a_out[{top}:0];
  assign DOB = b_out[{top}:0];"""
    return module(name, parameters, ports, body)
