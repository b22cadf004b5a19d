// Maximum over each AREA consecutive words, lane by lane: the windows of an input generator that outputs channel fold by
// channel fold. For bits, an OR. Takes one word per cycle.
module zc_windowpool #(
    parameter int AREA = 4,
    parameter int PE = 8,
    parameter int BITS = 1,
    parameter bit SIGNED = 0
) (
    input  logic               clk,
    input  logic               rst_n,
    input  logic [PE*BITS-1:0] s_tdata,
    input  logic               s_tvalid,
    output logic               s_tready,
    output logic [PE*BITS-1:0] m_tdata,
    output logic               m_tvalid,
    input  logic               m_tready
);
  localparam int COUNT_BITS = $clog2(AREA + 1);

  logic [COUNT_BITS-1:0] count;
  wire first = count == 0;
  wire last = count == COUNT_BITS'(AREA - 1);
  assign s_tready = m_tready || !m_tvalid;

  // The output register holds the running maximum. It is offered once its window is complete.
  for (genvar lane = 0; lane < PE; lane++) begin : g_lane
    wire [BITS-1:0] value = s_tdata[lane*BITS+:BITS];
    wire [BITS-1:0] best = m_tdata[lane*BITS+:BITS];
    wire larger = SIGNED ? $signed(value) > $signed(best) : value > best;
    always_ff @(posedge clk) begin
      if (s_tvalid && s_tready && (first || larger)) m_tdata[lane*BITS+:BITS] <= value;
    end
  end
  always_ff @(posedge clk) begin
    if (!rst_n) begin
      count <= '0;
      m_tvalid <= 1'b0;
    end else if (s_tready) begin
      if (s_tvalid) count <= last ? '0 : count + 1'b1;
      m_tvalid <= s_tvalid && last;
    end
  end
endmodule
