// Passes on BITS bits of each level as channels of their own. PLANES: hex file of one word, the numbers of the bits, 8 bits
// each, the first one lowest.
//
// The node has no registers: a word leaves in the cycle in which it arrives.
module zc_bit_planes #(
    parameter int PE = 1,
    parameter int IN_BITS = 8,
    parameter int BITS = 2,
    parameter PLANES = "planes.mem"
) (
    input  logic                  clk,
    input  logic                  rst_n,
    input  logic [PE*IN_BITS-1:0] s_tdata,
    input  logic                  s_tvalid,
    output logic                  s_tready,
    output logic [   PE*BITS-1:0] m_tdata,
    output logic                  m_tvalid,
    input  logic                  m_tready
);
  assign m_tvalid = s_tvalid;
  assign s_tready = m_tready;

  logic [BITS*8-1:0] rom[1];
  initial $readmemh(PLANES, rom);
  wire [BITS*8-1:0] planes = rom[0];
  for (genvar lane = 0; lane < PE; lane++) begin : g_lane
    wire [IN_BITS-1:0] level = s_tdata[lane*IN_BITS+:IN_BITS];
    for (genvar i = 0; i < BITS; i++) begin : g_bit
      if (IN_BITS == 1) assign m_tdata[lane*BITS+i] = level[0];
      else assign m_tdata[lane*BITS+i] = level[planes[i*8+:$clog2(IN_BITS)]];
    end
  end
endmodule
