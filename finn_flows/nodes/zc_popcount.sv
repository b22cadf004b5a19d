// Counts the ones among N bits. Latency 1 + $clog2(ceil(N / 6)) enabled cycles.
//
// Three 6-input LUTs count six bits; carry chains only add the resulting numbers. The registers in between keep tools from
// turning everything into small adders.
module zc_popcount #(
    parameter  int N     = 16,
    localparam int SIXES = (N + 5) / 6,
    localparam int OUT   = 3 + $clog2(SIXES)
) (
    input  logic           clk,
    input  logic           en,
    input  logic [  N-1:0] bits,
    output logic [OUT-1:0] count
);
  function automatic logic [1:0] three(input logic a, input logic b, input logic c);
    return {(a & b) | (a & c) | (b & c), a ^ b ^ c};
  endfunction

  // Gates, not "+": an adder would get a carry chain.
  function automatic logic [2:0] six(input logic [5:0] bits);
    logic [1:0] low, high, upper;
    low   = three(bits[0], bits[1], bits[2]);
    high  = three(bits[3], bits[4], bits[5]);
    upper = three(low[1], high[1], low[0] & high[0]);
    return {upper, low[0] ^ high[0]};
  endfunction

  wire [6*SIXES-1:0] padded = (6 * SIXES)'(bits);
  logic [3*SIXES-1:0] numbers;
  for (genvar i = 0; i < SIXES; i++) begin : g_six
    always_ff @(posedge clk) if (en) numbers[3*i+:3] <= six(padded[6*i+:6]);
  end
  zc_sum #(
      .N(SIXES),
      .W(3)
  ) add (
      .clk,
      .en,
      .terms(numbers),
      .sum  (count)
  );
endmodule
