// How many of N bits of x equal their weight. Latency 3 + $clog2(ceil(N / 18)) enabled cycles.
//
// Shaped for 6-input LUTs, with registers between so that no tool rebuilds it as a tree of small adders: three pairs
// are six inputs, so each bit of their count is one LUT; six such bits are six inputs again. That leaves
// 3-bit numbers, one for each 18 pairs and column, and only these are added by carry chains.
module zc_xnor_popcount #(
    parameter  int N   = 16,
    localparam int OUT = $clog2(N + 1)
) (
    input  logic           clk,
    input  logic           en,
    input  logic [  N-1:0] x,
    input  logic [  N-1:0] w,
    output logic [OUT-1:0] count
);
  localparam int TRIPLES = (N + 2) / 3;
  localparam int SIXES = (TRIPLES + 5) / 6;

  function automatic logic [1:0] three(input logic a, input logic b, input logic c);
    return {(a & b) | (a & c) | (b & c), a ^ b ^ c};
  endfunction

  // Gates, not "+": an adder would be given a carry chain.
  function automatic logic [2:0] six(input logic [5:0] bits);
    logic [1:0] low, high, upper;
    low   = three(bits[0], bits[1], bits[2]);
    high  = three(bits[3], bits[4], bits[5]);
    upper = three(low[1], high[1], low[0] & high[0]);
    return {upper, low[0] ^ high[0]};
  endfunction

  wire [3*TRIPLES-1:0] same = (3 * TRIPLES)'(~(x ^ w) & {N{1'b1}});
  logic [TRIPLES-1:0] ones_q, twos_q;
  for (genvar i = 0; i < TRIPLES; i++) begin : g_three
    always_ff @(posedge clk) begin
      if (en) {twos_q[i], ones_q[i]} <= three(same[3*i], same[3*i+1], same[3*i+2]);
    end
  end

  wire [6*SIXES-1:0] ones = (6 * SIXES)'(ones_q);
  wire [6*SIXES-1:0] twos = (6 * SIXES)'(twos_q);
  logic [3*SIXES-1:0] of_ones, of_twos;
  for (genvar i = 0; i < SIXES; i++) begin : g_six
    always_ff @(posedge clk) begin
      if (en) begin
        of_ones[3*i+:3] <= six(ones[6*i+:6]);
        of_twos[3*i+:3] <= six(twos[6*i+:6]);
      end
    end
  end

  localparam int SUM = 3 + $clog2(SIXES);
  logic [SUM-1:0] sum_ones, sum_twos;
  zc_sum #(
      .N(SIXES),
      .W(3)
  ) add_ones (
      .clk,
      .en,
      .terms(of_ones),
      .sum  (sum_ones)
  );
  zc_sum #(
      .N(SIXES),
      .W(3)
  ) add_twos (
      .clk,
      .en,
      .terms(of_twos),
      .sum  (sum_twos)
  );
  always_ff @(posedge clk) begin
    if (en) count <= OUT'({1'b0, sum_ones} + {sum_twos, 1'b0});
  end
endmodule
