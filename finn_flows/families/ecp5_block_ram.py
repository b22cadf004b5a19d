"""Simulation model of DP16KD, the block RAM of ECP5."""

from zerocross.finn_flows.families.block_ram_model import core, joined, module, row


def models() -> dict[str, str]:
    """Return the models of the block RAM cell and of its core, by name."""
    return {"DP16KD": _model()} | core()


def _model() -> str:
    """DP16KD: true dual port up to 18 bits, or 36 bits written at A's address and read at B's."""
    parameters = [
        *("parameter DATA_WIDTH_A = 18", "parameter DATA_WIDTH_B = 18", 'parameter REGMODE_A = "NOREG"'),
        *('parameter REGMODE_B = "NOREG"', 'parameter RESETMODE = "SYNC"', 'parameter GSR = "AUTO"'),
        *('parameter ASYNC_RESET_RELEASE = "SYNC"', 'parameter CSDECODE_A = "0b000"'),
        *('parameter CSDECODE_B = "0b000"', 'parameter CLKAMUX = "CLKA"', 'parameter CLKBMUX = "CLKB"'),
        *('parameter WRITEMODE_A = "NORMAL"', 'parameter WRITEMODE_B = "NORMAL"'),
        *row("INITVAL_", 64, 320),
    ]
    pins = [(f"DI{p}", f"AD{p}", f"DO{p}") for p in "AB"]
    ports = [f"input CLK{p}, CE{p}, OCE{p}, WE{p}, RST{p}, CS{p}0, CS{p}1, CS{p}2" for p in "AB"]
    ports += [f"input {', '.join(f'{data}{i}' for i in range(18))}" for data, _, _ in pins]
    ports += [f"input {', '.join(f'{address}{i}' for i in range(14))}" for _, address, _ in pins]
    ports += [f"output {', '.join(f'{out}{i}' for i in range(18))}" for _, _, out in pins]

    def pins_of(pin: str, count: int) -> str:
        return "{" + ", ".join(f"{pin}{i}" for i in reversed(range(count))) + "}"

    body = f"""
  localparam bit [{320 * 64 - 1}:0] DATA = {joined("INITVAL_", 64)};
  function automatic bit [18431:0] laid();
    for (int i = 0; i < 1024; i++) laid[18*i+:18] = DATA[20*i+:18];
  endfunction
  function automatic int mode(input bit normal, input bit through);
    return normal ? 0 : through ? 1 : 2;
  endfunction
  localparam bit WIDE = DATA_WIDTH_A == 36 || DATA_WIDTH_B == 36;
  wire [17:0] DIA = {pins_of("DIA", 18)}, DIB = {pins_of("DIB", 18)};
  wire [13:0] ADA = {pins_of("ADA", 14)}, ADB = {pins_of("ADB", 14)};
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
  assign {pins_of("DOA", 18)} = DATA_WIDTH_B == 36 ? b_out[17:0] : a_out[17:0];
  assign {pins_of("DOB", 18)} = DATA_WIDTH_B == 36 ? b_out[35:18] : b_out[17:0];"""
    return module("DP16KD", parameters, ports, body)
