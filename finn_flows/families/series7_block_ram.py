"""Simulation models of RAMB18E1 and RAMB36E1, the block RAMs of 7 series."""

from zerocross.finn_flows.families.block_ram_model import core, joined, module, row


def models() -> dict[str, str]:
    """Return the models of the block RAM cells and of their common core, by name."""
    return {"RAMB18E1": _model(18), "RAMB36E1": _model(36)} | core()


def _model(kbit: int) -> str:
    """RAMB18E1, RAMB36E1: true dual port, or simple dual port (A reads, B writes) with the data pins of both ports."""
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
        *row("INIT_", rows, 256),
        *row("INITP_", rows // 8, 256),
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
  localparam bit [{256 * rows - 1}:0] DATA = {joined("INIT_", rows)};
  localparam bit [{32 * rows - 1}:0] PARITY = {joined("INITP_", rows // 8)};
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
    return module(name, parameters, ports, body)
