// The index of the largest of N unsigned values; among equal values the lowest. Latency $clog2(N) enabled cycles.
//
// Each level compares pairs. A value's index has the bits of the levels so far; LEVEL is the bit of this one.
module zc_label_tree #(
    parameter int N = 10,
    parameter int BITS = 7,
    parameter int INDEX_BITS = 4,
    parameter int LEVEL = 0
) (
    input  logic                    clk,
    input  logic                    en,
    input  logic [      N*BITS-1:0] values,
    input  logic [N*INDEX_BITS-1:0] indices,
    output logic [  INDEX_BITS-1:0] index
);
  if (N == 1) begin : g_one
    assign index = indices;
  end else begin : g_level
    localparam int HALF = (N + 1) / 2;
    logic [HALF*BITS-1:0] best;
    logic [HALF*INDEX_BITS-1:0] places;
    for (genvar i = 0; i < HALF; i++) begin : g_pair
      wire [BITS-1:0] low = values[2*i*BITS+:BITS];
      wire [INDEX_BITS-1:0] low_place = indices[2*i*INDEX_BITS+:INDEX_BITS];
      if (2 * i + 1 < N) begin : g_two
        wire [BITS-1:0] high = values[(2*i+1)*BITS+:BITS];
        wire [INDEX_BITS-1:0] high_place = indices[(2*i+1)*INDEX_BITS+:INDEX_BITS] | INDEX_BITS'(1) << LEVEL;
        wire larger = high > low;
        always_ff @(posedge clk) begin
          if (en) begin
            best[i*BITS+:BITS] <= larger ? high : low;
            places[i*INDEX_BITS+:INDEX_BITS] <= larger ? high_place : low_place;
          end
        end
      end else begin : g_rest
        always_ff @(posedge clk) begin
          if (en) begin
            best[i*BITS+:BITS] <= low;
            places[i*INDEX_BITS+:INDEX_BITS] <= low_place;
          end
        end
      end
    end
    zc_label_tree #(
        .N(HALF),
        .BITS(BITS),
        .INDEX_BITS(INDEX_BITS),
        .LEVEL(LEVEL + 1)
    ) rest (
        .clk,
        .en,
        .values(best),
        .indices(places),
        .index
    );
  end
endmodule
