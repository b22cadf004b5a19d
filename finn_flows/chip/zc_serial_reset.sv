// Reset for a while after power-on, and whenever the clock is not sure.
module zc_serial_reset #(
    parameter int CYCLES_LOG2 = 12
) (
    input  logic clk,
    input  logic locked,  // knows nothing of clk
    output logic rst_n
);
  // Both start at 0 as the part is configured.
  logic [1:0] sure = '0;
  logic [CYCLES_LOG2:0] count = '0;
  assign rst_n = count[CYCLES_LOG2];
  always_ff @(posedge clk) begin
    sure <= {sure[0], locked};
    if (!sure[1]) count <= '0;
    else if (!rst_n) count <= count + 1'b1;
  end
endmodule
