// Counts the ones among N bits. Latency 1 for up to 7 bits, else 2 + $clog2(ceil(N / 13)) enabled cycles.
//
// A table of a 7-series carry chain adds a bit of a number to any function of five wires, such as a bit of the count of five
// wires. So three tables count seven bits: five, one as the other number, and one as the carry. Three more tables add six
// bits to that count. The counts of each thirteen bits are summed by a tree of adders.
module zc_chain_popcount #(
    parameter  int N      = 16,
    localparam int GROUPS = (N + 12) / 13,
    localparam int OUT    = N <= 7 ? 3 : 4 + $clog2(GROUPS)
) (
    input  logic           clk,
    input  logic           en,
    input  logic [  N-1:0] bits,
    output logic [OUT-1:0] count
);
  // The first bits of all groups are the lowest GROUPS bits, their second bits follow, and so on.
  wire [13*GROUPS-1:0] all = (13 * GROUPS)'(bits);
  logic [3*GROUPS-1:0] sevens;
  zc_chain_six #(
      .GROUPS(GROUPS),
      .W(1),
      .OUT(3)
  ) first (
      .clk,
      .en,
      .numbers(all[0+:GROUPS]),
      .bits(all[GROUPS+:6*GROUPS]),
      .sums(sevens)
  );

  if (N <= 7) begin : g_seven
    assign count = sevens;
  end else begin : g_more
    // The bits that are left go to as few groups as possible.
    wire [6*GROUPS-1:0] left;
    for (genvar i = 0; i < 6 * GROUPS; i++) begin : g_left
      assign left[i%6*GROUPS+i/6] = all[7*GROUPS+i];
    end
    logic [6*GROUPS-1:0] later;
    logic [4*GROUPS-1:0] numbers;
    always_ff @(posedge clk) if (en) later <= left;
    zc_chain_six #(
        .GROUPS(GROUPS),
        .W(3),
        .OUT(4)
    ) second (
        .clk,
        .en,
        .numbers(sevens),
        .bits(later),
        .sums(numbers)
    );
    zc_sum #(
        .N(GROUPS),
        .W(4)
    ) add (
        .clk,
        .en,
        .terms(numbers),
        .sum(count)
    );
  end
endmodule

// Adds the ones among six bits to each of GROUPS numbers of up to W bits. Three tables each, for W of 1 and of 3. Latency 1.
module zc_chain_six #(
    parameter int GROUPS = 1,
    parameter int W      = 3,
    parameter int OUT    = 4
) (
    input  logic                  clk,
    input  logic                  en,
    input  logic [  GROUPS*W-1:0] numbers,
    input  logic [  6*GROUPS-1:0] bits,
    output logic [GROUPS*OUT-1:0] sums
);
  function automatic logic [GROUPS-1:0] two(input logic [GROUPS-1:0] a, b, c);
    return (a & b) | (a & c) | (b & c);
  endfunction

  logic [GROUPS-1:0] b[6];
  for (genvar i = 0; i < 6; i++) begin : g_slice
    assign b[i] = bits[i*GROUPS+:GROUPS];
  end
  // The count of five bits. Both twos make a four, so "never" is 0, which only tables can tell.
  wire [GROUPS-1:0] low = b[0] ^ b[1] ^ b[2];
  wire [GROUPS-1:0] low_two = two(b[0], b[1], b[2]);
  wire [GROUPS-1:0] high_two = two(low, b[3], b[4]);
  wire [GROUPS-1:0] ones = low ^ b[3] ^ b[4];
  wire [GROUPS-1:0] twos = low_two ^ high_two;
  wire [GROUPS-1:0] fours = low_two & high_two;
  wire [GROUPS-1:0] never = twos & fours;

  for (genvar i = 0; i < GROUPS; i++) begin : g_group
    // The lowest digits only make the carry. Yosys puts the wider number, here the count, into the tables.
    wire [W+1:0] number = {1'b0, numbers[i*W+:W], b[5][i]};
    wire [W+2:0] five = (W + 3)'({never[i], fours[i], twos[i], ones[i], b[5][i]});
    wire [W+2:0] sum = (W + 3)'(number) + five;
    always_ff @(posedge clk) if (en) sums[i*OUT+:OUT] <= OUT'(sum[W+2:1]);
  end
endmodule
