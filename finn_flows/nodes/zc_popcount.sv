// Counts the ones among N bits. Latency 1 + $clog2(ceil(N / 6)) enabled cycles.
//
// Three 6-input LUTs count six bits; carry chains only add the resulting numbers. The registers in between keep tools from
// turning everything into small adders. All sixes are counted by the same operations on vectors, which simulate fast: the
// first bits of all sixes are the lowest SIXES bits, their second bits follow, and so on. Only the last six may be short.
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
  localparam int LAST = N - 6 * (SIXES - 1);  // bits of the last six
  logic [SIXES-1:0] b[6];
  for (genvar i = 0; i < 6; i++) begin : g_slice
    localparam int HAVE = i < LAST ? SIXES : SIXES - 1;
    if (HAVE > 0) assign b[i] = SIXES'(bits[(i<LAST?i*SIXES:i*(SIXES-1)+LAST)+:HAVE]);
    else assign b[i] = '0;
  end

  function automatic logic [SIXES-1:0] two(input logic [SIXES-1:0] a, b, c);
    return (a & b) | (a & c) | (b & c);
  endfunction

  // Gates, not "+": an adder would get a carry chain.
  wire [SIXES-1:0] low = b[0] ^ b[1] ^ b[2];
  wire [SIXES-1:0] high = b[3] ^ b[4] ^ b[5];
  wire [SIXES-1:0] low_two = two(b[0], b[1], b[2]);
  wire [SIXES-1:0] high_two = two(b[3], b[4], b[5]);
  wire [SIXES-1:0] both = low & high;
  logic [SIXES-1:0] ones, twos, fours;
  always_ff @(posedge clk) begin
    if (en) begin
      ones  <= low ^ high;
      twos  <= low_two ^ high_two ^ both;
      fours <= two(low_two, high_two, both);
    end
  end

  logic [3*SIXES-1:0] numbers;
  for (genvar i = 0; i < SIXES; i++) begin : g_number
    assign numbers[3*i+:3] = {fours[i], twos[i], ones[i]};
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
