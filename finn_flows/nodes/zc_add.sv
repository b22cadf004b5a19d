// Sum of two integer streams of the same shape, lane by lane.
module zc_add #(
    parameter  int PE       = 1,
    parameter  int A_BITS   = 8,
    parameter  int B_BITS   = 8,
    parameter  bit A_SIGNED = 0,
    parameter  bit B_SIGNED = 0,
    parameter  int OUT_BITS = 9
) (
    input  logic                   clk,
    input  logic                   rst_n,
    input  logic [  PE*A_BITS-1:0] a_tdata,
    input  logic                   a_tvalid,
    output logic                   a_tready,
    input  logic [  PE*B_BITS-1:0] b_tdata,
    input  logic                   b_tvalid,
    output logic                   b_tready,
    output logic [PE*OUT_BITS-1:0] m_tdata,
    output logic                   m_tvalid,
    input  logic                   m_tready
);
  wire en = m_tready || !m_tvalid;
  wire take = a_tvalid && b_tvalid && en;
  assign a_tready = take;
  assign b_tready = take;
  always_ff @(posedge clk) begin
    if (!rst_n) m_tvalid <= 1'b0;
    else if (en) m_tvalid <= take;
  end
  for (genvar lane = 0; lane < PE; lane++) begin : g_lane
    wire [A_BITS-1:0] a = a_tdata[lane*A_BITS+:A_BITS];
    wire [B_BITS-1:0] b = b_tdata[lane*B_BITS+:B_BITS];
    wire [OUT_BITS-1:0] wide_a = A_SIGNED ? OUT_BITS'($signed(a)) : OUT_BITS'(a);
    wire [OUT_BITS-1:0] wide_b = B_SIGNED ? OUT_BITS'($signed(b)) : OUT_BITS'(b);
    always_ff @(posedge clk) if (take) m_tdata[lane*OUT_BITS+:OUT_BITS] <= wide_a + wide_b;
  end
endmodule
