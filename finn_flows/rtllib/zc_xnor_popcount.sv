// How many of N bits of x equal their weight. Latency 3 + $clog2(ceil((T + U) / 6)) enabled cycles, T triples.
//
// Bits and weights come in triples (the last one may be short), the first of each replaced by the parity of all three,
// missing weights counting as 1. Then s = x ^~ w of that element is the parity of the triple's count, and the count's
// upper bit is a majority that needs no more than the same six wires:
//     of the other two, if they agree, their value; else the parity, inverted.
// So a triple is two LUTs of six inputs, and the first of them vanishes into the next level: three parities are again a
// triple of XNORs, six wires. What is left are T + U twos and U = T/3 ones, counted six by six, three LUTs each; only
// those numbers are added by carry chains. The registers between keep tools from making small adders of it.
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
  localparam int T = (N + 2) / 3;
  localparam int U = (T + 2) / 3;
  localparam int SIXES = (T + U + 5) / 6;
  localparam int SUM = 3 + $clog2(SIXES);

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

  logic [3*U-1:0] parity;
  logic [T+U-1:0] twos;
  logic [U-1:0] ones;
  for (genvar i = 0; i < 3 * U; i++) begin : g_triple
    if (i < T) begin : g_bits
      wire second = 3 * i + 1 < N && x[(3*i+1)%N] == w[(3*i+1)%N];
      wire third = 3 * i + 2 < N && x[(3*i+2)%N] == w[(3*i+2)%N];
      assign parity[i] = x[3*i] == w[3*i];
      always_ff @(posedge clk) if (en) twos[i] <= second == third ? second : !parity[i];
    end else begin : g_none
      assign parity[i] = 1'b0;
    end
  end
  for (genvar i = 0; i < U; i++) begin : g_parities
    always_ff @(posedge clk) begin
      if (en) {twos[T+i], ones[i]} <= three(parity[3*i], parity[3*i+1], parity[3*i+2]);
    end
  end

  wire [6*SIXES-1:0] all_ones = (6 * SIXES)'(ones);
  wire [6*SIXES-1:0] all_twos = (6 * SIXES)'(twos);
  logic [3*SIXES-1:0] of_ones, of_twos;
  for (genvar i = 0; i < SIXES; i++) begin : g_six
    always_ff @(posedge clk) begin
      if (en) begin
        of_ones[3*i+:3] <= six(all_ones[6*i+:6]);
        of_twos[3*i+:3] <= six(all_twos[6*i+:6]);
      end
    end
  end

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
