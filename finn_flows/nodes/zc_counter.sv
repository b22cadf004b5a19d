// Counts steps in rounds of COUNT; `last` is high while the next step is the last of its round.
module zc_counter #(
    parameter int COUNT = 2
) (
    input  logic clk,
    input  logic rst_n,
    input  logic step,
    output logic last
);
  if (COUNT == 1) begin : g_one
    assign last = 1'b1;
  end else begin : g_count
    localparam int BITS = $clog2(COUNT);
    logic [BITS-1:0] left;
    assign last = left == 0;
    always_ff @(posedge clk) begin
      if (!rst_n) left <= BITS'(COUNT - 1);
      else if (step) left <= last ? BITS'(COUNT - 1) : left - 1'b1;
    end
  end
endmodule
