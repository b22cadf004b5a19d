// Sum of N unsigned terms: an adder tree with a register after each level, latency $clog2(N) enabled cycles.
//
// With SHIFT = 1 the terms are digits, such as the bit planes of a product: term i has weight 2**i.
module zc_sum #(
    parameter int N = 2,
    parameter int W = 3,
    parameter int SHIFT = 0,
    localparam int LEVELS = $clog2(N),
    localparam int OUT = W + LEVELS + SHIFT * ((1 << LEVELS) - 1)
) (
    input  logic           clk,
    input  logic           en,
    input  logic [N*W-1:0] terms,
    output logic [OUT-1:0] sum
);
  if (N == 1) begin : g_one
    assign sum = terms;
  end else begin : g_tree
    localparam int HALF = (N + 1) / 2;
    localparam int WIDE = W + SHIFT + 1;
    wire [2*HALF*W-1:0] even = (2 * HALF * W)'(terms);  // an odd term is paired with 0
    logic [HALF*WIDE-1:0] pairs, next;
    for (genvar i = 0; i < HALF; i++) begin : g_pair
      assign next[i*WIDE+:WIDE] = WIDE'(even[2*i*W+:W]) + (WIDE'(even[(2*i+1)*W+:W]) << SHIFT);
    end
    always_ff @(posedge clk) if (en) pairs <= next;
    zc_sum #(
        .N(HALF),
        .W(WIDE),
        .SHIFT(2 * SHIFT)
    ) rest (
        .clk,
        .en,
        .terms(pairs),
        .sum
    );
  end
endmodule
