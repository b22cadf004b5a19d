// Joins the channels of two streams pixel by pixel: A_WORDS words of a, then B_WORDS words of b. Elements are unsigned.
module zc_concat #(
    parameter int PE       = 1,
    parameter int A_BITS   = 4,
    parameter int B_BITS   = 4,
    parameter int OUT_BITS = 4,
    parameter int A_WORDS  = 2,
    parameter int B_WORDS  = 2
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
  logic second;  // whether the next word is one of b
  wire en = m_tready || !m_tvalid;
  wire a_last, b_last;
  wire take_a = a_tvalid && a_tready;
  wire take_b = b_tvalid && b_tready;
  assign a_tready = en && !second;
  assign b_tready = en && second;
  zc_counter #(.COUNT(A_WORDS)) a_word (.clk, .rst_n, .step(take_a), .last(a_last));
  zc_counter #(.COUNT(B_WORDS)) b_word (.clk, .rst_n, .step(take_b), .last(b_last));
  always_ff @(posedge clk) begin
    if (!rst_n) begin
      second   <= 1'b0;
      m_tvalid <= 1'b0;
    end else begin
      if (take_a && a_last) second <= 1'b1;
      if (take_b && b_last) second <= 1'b0;
      if (en) m_tvalid <= take_a || take_b;
    end
  end
  for (genvar lane = 0; lane < PE; lane++) begin : g_lane
    wire [A_BITS-1:0] a = a_tdata[lane*A_BITS+:A_BITS];
    wire [B_BITS-1:0] b = b_tdata[lane*B_BITS+:B_BITS];
    always_ff @(posedge clk) begin
      if (en) m_tdata[lane*OUT_BITS+:OUT_BITS] <= second ? OUT_BITS'(b) : OUT_BITS'(a);
    end
  end
endmodule
