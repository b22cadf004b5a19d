"""Behaviour of the block RAM cells that Yosys' libraries leave empty, for gate-level simulation.

A block RAM is units of nine bits, a byte and its parity bit. Ports of 9, 18, 36 or 72 bits take whole units; ports of
8, 16, 32 bits their bytes; ports of 1, 2, 4 bits a part of one byte. What Yosys uses is modelled (`techlibs`' own
maps say how pins and initial values are laid out), not what it never does: output registers, cascades, resets.
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


def block_ram_models(family: str) -> dict[str, str]:
    """Return the behaviour of a family's block RAMs by their names, and that of what they share."""
    ports = "".join(_PORT.replace("%UP", name.upper()).replace("%_", f"{name}_") for name in ("a", "b"))
    models = {
        "7-series": lambda: {"RAMB18E1": _xilinx(18), "RAMB36E1": _xilinx(36)},
        "ecp5": lambda: {"DP16KD": _ecp5()},
        "gowin": lambda: {
            "SP": _gowin_single("SP", 8),
            "SPX9": _gowin_single("SPX9", 9),
            "SDPB": _gowin_simple_dual("SDPB", 8),
            "SDPX9B": _gowin_simple_dual("SDPX9B", 9),
            "DPB": _gowin_dual("DPB", 8),
            "DPX9B": _gowin_dual("DPX9B", 9),
        },
    }.get(family, dict)()
    return models | {"zc_block_ram": _CORE.replace("@PORTS@", ports)} if models else {}


def _xilinx(kbit: int) -> str:
    """RAMB18E1, RAMB36E1: true dual port, or simple dual port with A reading, B writing and both ports' data pins."""
    half, byte = 16 * kbit // 18, kbit // 9  # data pins and byte enables of a port
    rows, last = 64 * kbit // 18, 13 + kbit // 36 * 2
    name, units = f"RAMB{kbit}E1", 2048 * kbit // 18
    parameters = [
        *('parameter RAM_MODE = "TDP"', 'parameter WRITE_MODE_A = "WRITE_FIRST"', "parameter DOA_REG = 0"),
        *('parameter WRITE_MODE_B = "WRITE_FIRST"', "parameter DOB_REG = 0"),
        *("parameter READ_WIDTH_A = 0", "parameter READ_WIDTH_B = 0", "parameter WRITE_WIDTH_A = 0"),
        *("parameter WRITE_WIDTH_B = 0", "parameter SRVAL_A = 0", "parameter SRVAL_B = 0"),
        *("parameter INIT_A = 0", "parameter INIT_B = 0"),
        *('parameter RAM_EXTENSION_A = "NONE"', 'parameter RAM_EXTENSION_B = "NONE"'),
        *_row("INIT_", rows, 256),
        *_row("INITP_", rows // 8, 256),
    ]
    ports = [
        "input CLKARDCLK, CLKBWRCLK, ENARDEN, ENBWREN, REGCEAREGCE, REGCEB",
        "input RSTRAMARSTRAM, RSTRAMB, RSTREGARSTREG, RSTREGB",
        f"input [{last}:0] ADDRARDADDR, ADDRBWRADDR",
        f"input [{half - 1}:0] DIADI, DIBDI, output [{half - 1}:0] DOADO, DOBDO",
        f"input [{byte - 1}:0] DIPADIP, DIPBDIP, output [{byte - 1}:0] DOPADOP, DOPBDOP",
        f"input [{byte - 1}:0] WEA, input [{2 * byte - 1}:0] WEBWE",
    ]
    body = f"""
  localparam bit [{256 * rows - 1}:0] DATA = {_joined("INIT_", rows)};
  localparam bit [{32 * rows - 1}:0] PARITY = {_joined("INITP_", rows // 8)};
  function automatic bit [{9 * units - 1}:0] laid();
    for (int i = 0; i < {units}; i++) laid[9*i+:9] = {{PARITY[i], DATA[8*i+:8]}};
  endfunction
  function automatic int mode(input bit no_change, input bit read_first);
    return no_change ? 0 : read_first ? 2 : 1;
  endfunction
  localparam bit SIMPLE = RAM_MODE == "SDP";
  wire [{half - 1}:0] low = SIMPLE && WRITE_WIDTH_B == {2 * kbit} ? DIADI : DIBDI;
  wire [{byte - 1}:0] low_parity = SIMPLE && WRITE_WIDTH_B == {2 * kbit} ? DIPADIP : DIPBDIP;
  logic [71:0] a_in, b_in, a_out, b_out;
  always_comb begin
    {{a_in, b_in}} = '0;
    for (int u = 0; u < {byte}; u++) begin
      a_in[9*u+:9] = {{DIPADIP[u], DIADI[8*u+:8]}};
      b_in[9*u+:9] = {{low_parity[u], low[8*u+:8]}};
      b_in[9*(u+{byte})+:9] = {{DIPBDIP[u], DIBDI[8*u+:8]}};
    end
    if (WRITE_WIDTH_A < 9) a_in = 72'(DIADI);
    if (WRITE_WIDTH_B < 9) b_in = 72'(low);
  end
  zc_block_ram #(
      .UNITS({units}), .A_READ(READ_WIDTH_A), .A_WRITE(SIMPLE ? 0 : WRITE_WIDTH_A), .B_READ(READ_WIDTH_B),
      .B_WRITE(WRITE_WIDTH_B), .A_MODE(mode(WRITE_MODE_A == "NO_CHANGE", WRITE_MODE_A == "READ_FIRST")),
      .B_MODE(mode(WRITE_MODE_B == "NO_CHANGE", WRITE_MODE_B == "READ_FIRST")), .INIT(laid())
  ) ram (
      .a_clk(CLKARDCLK), .a_en(ENARDEN), .a_we(8'(WEA)), .a_at(16'(ADDRARDADDR[{last - kbit // 36}:0])), .a_in, .a_out,
      .b_clk(CLKBWRCLK), .b_en(ENBWREN), .b_we(8'(WEBWE)), .b_at(16'(ADDRBWRADDR[{last - kbit // 36}:0])), .b_in, .b_out
  );
  for (genvar u = 0; u < {byte}; u++) begin : g_out
    wire [8:0] high = SIMPLE && READ_WIDTH_A == {2 * kbit} ? a_out[9*(u+{byte})+:9] : b_out[9*u+:9];
    assign {{DOPADOP[u], DOADO[8*u+:8]}} = READ_WIDTH_A < 9 ? 9'(a_out[7:0]) : a_out[9*u+:9];
    assign {{DOPBDOP[u], DOBDO[8*u+:8]}} = READ_WIDTH_B < 9 && !SIMPLE ? 9'(b_out[7:0]) : high;
  end"""
    return _module(name, parameters, ports, body)


def _ecp5() -> str:
    """DP16KD: true dual port up to 18 bits, or 36 bits written by A's address and read by B's."""
    parameters = [
        *("parameter DATA_WIDTH_A = 18", "parameter DATA_WIDTH_B = 18", 'parameter REGMODE_A = "NOREG"'),
        *('parameter REGMODE_B = "NOREG"', 'parameter RESETMODE = "SYNC"', 'parameter GSR = "AUTO"'),
        *('parameter ASYNC_RESET_RELEASE = "SYNC"', 'parameter CSDECODE_A = "0b000"'),
        *('parameter CSDECODE_B = "0b000"', 'parameter CLKAMUX = "CLKA"', 'parameter CLKBMUX = "CLKB"'),
        *('parameter WRITEMODE_A = "NORMAL"', 'parameter WRITEMODE_B = "NORMAL"'),
        *_row("INITVAL_", 64, 320),
    ]
    pins = [(f"DI{p}", f"AD{p}", f"DO{p}") for p in "AB"]
    ports = [f"input CLK{p}, CE{p}, OCE{p}, WE{p}, RST{p}, CS{p}0, CS{p}1, CS{p}2" for p in "AB"]
    ports += [f"input {', '.join(f'{data}{i}' for i in range(18))}" for data, _, _ in pins]
    ports += [f"input {', '.join(f'{address}{i}' for i in range(14))}" for _, address, _ in pins]
    ports += [f"output {', '.join(f'{out}{i}' for i in range(18))}" for _, _, out in pins]

    def row(pin: str, count: int) -> str:
        return "{" + ", ".join(f"{pin}{i}" for i in reversed(range(count))) + "}"

    body = f"""
  localparam bit [{320 * 64 - 1}:0] DATA = {_joined("INITVAL_", 64)};
  function automatic bit [18431:0] laid();
    for (int i = 0; i < 1024; i++) laid[18*i+:18] = DATA[20*i+:18];
  endfunction
  function automatic int mode(input bit normal, input bit through);
    return normal ? 0 : through ? 1 : 2;
  endfunction
  localparam bit WIDE = DATA_WIDTH_A == 36 || DATA_WIDTH_B == 36;
  wire [17:0] DIA = {row("DIA", 18)}, DIB = {row("DIB", 18)};
  wire [13:0] ADA = {row("ADA", 14)}, ADB = {row("ADB", 14)};
  logic [71:0] a_out, b_out;
  zc_block_ram #(
      .A_READ(WIDE ? 0 : DATA_WIDTH_A), .A_WRITE(DATA_WIDTH_A), .B_READ(DATA_WIDTH_B), .B_WRITE(WIDE ? 0 : DATA_WIDTH_B),
      .A_MODE(mode(WRITEMODE_A == "NORMAL", WRITEMODE_A == "WRITETHROUGH")),
      .B_MODE(mode(WRITEMODE_B == "NORMAL", WRITEMODE_B == "WRITETHROUGH")), .INIT(laid())
  ) ram (
      .a_clk(CLKA), .a_en(CEA), .a_in({{36'd0, DIB, DIA}}), .a_out,
      .a_we(!WEA ? 8'd0 : DATA_WIDTH_A == 36 ? 8'(ADA[3:0]) : DATA_WIDTH_A == 18 ? 8'(ADA[1:0]) : 8'd1), .a_at(16'(ADA)),
      .b_clk(CLKB), .b_en(CEB), .b_in(72'(DIB)), .b_out,
      .b_we(!WEB ? 8'd0 : DATA_WIDTH_B == 18 ? 8'(ADB[1:0]) : 8'd1), .b_at(16'(ADB))
  );
  // A word of 36 bits leaves by both ports, a narrower one of such a RAM by B.
  assign {row("DOA", 18)} = DATA_WIDTH_B == 36 ? b_out[17:0] : a_out[17:0];
  assign {row("DOB", 18)} = DATA_WIDTH_B == 36 ? b_out[35:18] : b_out[17:0];"""
    return _module("DP16KD", parameters, ports, body)


def _gowin_laid(bits: int) -> str:
    kbits = 32 * bits
    return f"""
  localparam bit [{64 * kbits - 1}:0] DATA = {_joined("INIT_RAM_", 64)};
  function automatic bit [18431:0] laid();
    laid = '0;
    for (int i = 0; i < 2048; i++) laid[9*i+:{bits}] = DATA[{bits}*i+:{bits}];
  endfunction
  function automatic logic [7:0] enables(input logic [13:0] at, input int width);
    return width >= 32 ? 8'(at[3:0]) : width >= 16 ? 8'(at[1:0]) : 8'd1;
  endfunction"""


def _gowin_single(name: str, bits: int) -> str:
    """SP, SPX9: one port; words of two and four bytes have their enables in the lowest address bits."""
    parameters = [
        *("parameter READ_MODE = 0", "parameter WRITE_MODE = 0", f"parameter BIT_WIDTH = {4 * bits}"),
        *("parameter BLK_SEL = 0", 'parameter RESET_MODE = "SYNC"', *_row("INIT_RAM_", 64, 32 * bits)),
    ]
    ports = [
        f"output [{4 * bits - 1}:0] DO, input [{4 * bits - 1}:0] DI, input [2:0] BLKSEL, input [13:0] AD",
        "input WRE, CLK, CE, OCE, RESET",
    ]
    body = f"""{_gowin_laid(bits)}
  logic [71:0] a_out, unused;
  zc_block_ram #(.A_READ(BIT_WIDTH), .A_WRITE(BIT_WIDTH), .A_MODE(int'(WRITE_MODE)), .INIT(laid())) ram (
      .a_clk(CLK), .a_en(CE), .a_we(WRE ? enables(AD, BIT_WIDTH) : 8'd0), .a_at(16'(AD)), .a_in(72'(DI)), .a_out,
      .b_clk(1'b0), .b_en(1'b0), .b_we(8'd0), .b_at(16'd0), .b_in(72'd0), .b_out(unused)
  );
  assign DO = a_out[{4 * bits - 1}:0];"""
    return _module(name, parameters, ports, body)


def _gowin_simple_dual(name: str, bits: int) -> str:
    """SDPB, SDPX9B: A writes, B reads."""
    parameters = [
        *(
            "parameter READ_MODE = 0",
            f"parameter BIT_WIDTH_0 = {4 * bits}",
            f"parameter BIT_WIDTH_1 = {4 * bits}",
        ),
        *("parameter BLK_SEL_0 = 0", "parameter BLK_SEL_1 = 0", 'parameter RESET_MODE = "SYNC"'),
        *_row("INIT_RAM_", 64, 32 * bits),
    ]
    ports = [
        f"output [{4 * bits - 1}:0] DO, input [{4 * bits - 1}:0] DI, input [2:0] BLKSELA, BLKSELB",
        "input [13:0] ADA, ADB, input CLKA, CEA, CLKB, CEB, OCE, RESETA, RESETB",
    ]
    body = f"""{_gowin_laid(bits)}
  logic [71:0] unused, b_out;
  zc_block_ram #(.A_WRITE(BIT_WIDTH_0), .B_READ(BIT_WIDTH_1), .INIT(laid())) ram (
      .a_clk(CLKA), .a_en(CEA), .a_we(enables(ADA, BIT_WIDTH_0)), .a_at(16'(ADA)), .a_in(72'(DI)), .a_out(unused),
      .b_clk(CLKB), .b_en(CEB), .b_we(8'd0), .b_at(16'(ADB)), .b_in(72'd0), .b_out
  );
  assign DO = b_out[{4 * bits - 1}:0];"""
    return _module(name, parameters, ports, body)


def _gowin_dual(name: str, bits: int) -> str:
    """DPB, DPX9B: both ports read and write, words of up to two bytes."""
    parameters = [
        *(f"parameter {kind}_MODE{port} = 0" for kind in ("READ", "WRITE") for port in (0, 1)),
        *(f"parameter BIT_WIDTH_{port} = {2 * bits}" for port in (0, 1)),
        *("parameter BLK_SEL_0 = 0", "parameter BLK_SEL_1 = 0", 'parameter RESET_MODE = "SYNC"'),
        *_row("INIT_RAM_", 64, 32 * bits),
    ]
    top = 2 * bits - 1
    ports = [
        f"output [{top}:0] DOA, DOB, input [{top}:0] DIA, DIB, input [2:0] BLKSELA, BLKSELB, input [13:0] ADA, ADB",
        "input WREA, WREB, CLKA, CEA, CLKB, CEB, OCEA, OCEB, RESETA, RESETB",
    ]
    body = f"""{_gowin_laid(bits)}
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
    return _module(name, parameters, ports, body)


def _module(name: str, parameters: Iterable[str], ports: Iterable[str], body: str) -> str:
    before, between = ",\n  ".join(parameters), ",\n  ".join(ports)
    return f"module {name} #(\n  {before}\n) (\n  {between}\n);\n{body}\nendmodule\n"


def _row(name: str, count: int, bits: int) -> list[str]:
    """Parameters <name>00, <name>01 ... of initial values."""
    return [f"parameter bit [{bits - 1}:0] {name}{index:02X} = '0" for index in range(count)]


def _joined(name: str, count: int) -> str:
    return "{" + ", ".join(f"{name}{index:02X}" for index in reversed(range(count))) + "}"
