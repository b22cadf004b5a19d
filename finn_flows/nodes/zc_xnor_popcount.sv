// Counts the bits of x that equal their weights. Latency 3 + $clog2(ceil((T + U) / 6)) enabled cycles for T triples.
//
// Bits and weights come in triples (the last one may be short). The first of each triple is replaced by the parity of all
// three; missing weights count as 1. Then s = x ^~ w of that element is the parity of the triple's count. The count's upper
// bit is a majority, which needs only the same six wires:
//     if the other two agree, their value; else the inverted parity.
// A triple is thus two 6-input LUTs, and the first of them merges into the next level: three parities are again a triple of
// XNORs, six wires. T + U twos and U = T/3 ones are left to count.
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
  localparam int SUM = 3 + $clog2((T + U + 5) / 6);

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
    wire [2:0] p = parity[3*i+:3];
    always_ff @(posedge clk) begin
      if (en) ones[i] <= ^p;
      if (en) twos[T+i] <= (p[0] & p[1]) | (p[0] & p[2]) | (p[1] & p[2]);
    end
  end

  logic [SUM-1:0] sum_ones, sum_twos;
  zc_popcount #(
      .N(T + U)
  ) count_ones (
      .clk,
      .en,
      .bits ((T + U)'(ones)),
      .count(sum_ones)
  );
  zc_popcount #(
      .N(T + U)
  ) count_twos (
      .clk,
      .en,
      .bits (twos),
      .count(sum_twos)
  );
  always_ff @(posedge clk) begin
    if (en) count <= OUT'({1'b0, sum_ones} + {sum_twos, 1'b0});
  end
endmodule
