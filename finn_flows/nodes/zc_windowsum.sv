// Sum over each AREA consecutive words, lane by lane: the windows of an input generator that outputs channel fold by
// channel fold. Takes one word per cycle.
module zc_windowsum #(
    parameter int AREA = 4,
    parameter int PE = 8,
    parameter int BITS = 1,
    parameter int OUT_BITS = 3
) (
    input  logic                   clk,
    input  logic                   rst_n,
    input  logic [    PE*BITS-1:0] s_tdata,
    input  logic                   s_tvalid,
    output logic                   s_tready,
    output logic [PE*OUT_BITS-1:0] m_tdata,
    output logic                   m_tvalid,
    input  logic                   m_tready
);
  wire last;
  wire take = s_tvalid && s_tready;
  assign s_tready = m_tready || !m_tvalid;
  zc_counter #(.COUNT(AREA)) word (.clk, .rst_n, .step(take), .last);

  // The output register holds the running sum. It is offered once its window is complete.
  logic first;
  for (genvar lane = 0; lane < PE; lane++) begin : g_lane
    wire [OUT_BITS-1:0] value = OUT_BITS'(s_tdata[lane*BITS+:BITS]);
    wire [OUT_BITS-1:0] so_far = first ? '0 : m_tdata[lane*OUT_BITS+:OUT_BITS];
    always_ff @(posedge clk) if (take) m_tdata[lane*OUT_BITS+:OUT_BITS] <= so_far + value;
  end
  always_ff @(posedge clk) begin
    if (!rst_n) begin
      first <= 1'b1;
      m_tvalid <= 1'b0;
    end else if (s_tready) begin
      if (s_tvalid) first <= last;
      m_tvalid <= s_tvalid && last;
    end
  end
endmodule
