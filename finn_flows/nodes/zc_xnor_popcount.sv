// Counts the bits of x that equal their weights. Latency 3 + $clog2(ceil((T + U) / 6)) enabled cycles for T triples.
//
// Bits and weights come in triples: the first ones of all T triples are the lowest T bits, the second ones follow, then the
// third ones. Only the last triple may be short. The first of each triple is replaced by the parity of all three; missing
// weights count as 1. Then s = x ^~ w of that element is the parity of the triple's count. The count's upper bit is a
// majority, which needs only the same six wires:
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
  localparam int MAJORITIES = T - (N % 3 == 1) + U - (T % 3 == 1);  // a triple of one element has none
  localparam int TWOS = MAJORITIES > 0 ? MAJORITIES : 1;
  localparam int SUM = 3 + $clog2((T + U + 5) / 6);

  wire [N-1:0] s = x ^~ w;
  wire [T-1:0] parity = s[T-1:0];
  wire [T-1:0] second, third;
  zc_slices #(.N(N)) triples (.bits(s), .second, .third);
  wire [U-1:0] first_parity = parity[U-1:0];
  wire [U-1:0] second_parity, third_parity;
  zc_slices #(.N(T)) parities (.bits(parity), .second(second_parity), .third(third_parity));
  wire [T-1:0] agree = second ^~ third;
  wire [T-1:0] triple_two = (agree & second) | (~agree & ~parity);
  wire [U-1:0] parity_two = (first_parity & second_parity) | (first_parity & third_parity) | (second_parity & third_parity);

  logic [TWOS-1:0] twos;
  logic [U-1:0] ones;
  always_ff @(posedge clk) begin
    if (en) begin
      ones <= first_parity ^ second_parity ^ third_parity;
      twos <= TWOS'(((T + U)'(parity_two) << (T - (N % 3 == 1))) | (T + U)'(triple_two));
    end
  end

  // The smaller number of bits may be counted earlier, and waits.
  logic [SUM-1:0] sum_ones, sum_twos;
  zc_late_popcount #(.N(U), .OUT(SUM)) count_ones (.clk, .en, .bits(ones), .count(sum_ones));
  zc_late_popcount #(.N(TWOS), .OUT(SUM)) count_twos (.clk, .en, .bits(twos), .count(sum_twos));
  always_ff @(posedge clk) begin
    if (en) count <= OUT'({1'b0, sum_ones} + {sum_twos, 1'b0});
  end
endmodule

// zc_popcount with a latency of OUT - 2 enabled cycles.
module zc_late_popcount #(
    parameter int N   = 6,
    parameter int OUT = 3
) (
    input  logic           clk,
    input  logic           en,
    input  logic [  N-1:0] bits,
    output logic [OUT-1:0] count
);
  localparam int HAVE = 3 + $clog2((N + 5) / 6);
  logic [HAVE-1:0] late[OUT-HAVE+1];
  zc_popcount #(.N(N)) early (.clk, .en, .bits, .count(late[0]));
  for (genvar i = 0; i < OUT - HAVE; i++) begin : g_wait
    always_ff @(posedge clk) if (en) late[i+1] <= late[i];
  end
  assign count = OUT'(late[OUT-HAVE]);
endmodule
