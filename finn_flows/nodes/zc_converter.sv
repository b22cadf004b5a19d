// FINN's vector pack converter with this project's ports.
module zc_converter #(
    parameter int BITS = 1,
    parameter int LANES_IN = 2,
    parameter int LANES_OUT = 4,
    parameter int COMMON = 4  // the least common multiple of the two: elements after which both begin a word
) (
    input  logic                      clk,
    input  logic                      rst_n,
    input  logic [LANES_IN*BITS-1:0]  s_tdata,
    input  logic                      s_tvalid,
    output logic                      s_tready,
    output logic [LANES_OUT*BITS-1:0] m_tdata,
    output logic                      m_tvalid,
    input  logic                      m_tready
);
  vpc #(
      .W (BITS),
      .N (COMMON),
      .PI(LANES_IN),
      .PO(LANES_OUT)
  ) core (
      .clk (clk),
      .rst (!rst_n),
      .idat(s_tdata),
      .ivld(s_tvalid),
      .irdy(s_tready),
      .odat(m_tdata),
      .ovld(m_tvalid),
      .ordy(m_tready)
  );
endmodule
