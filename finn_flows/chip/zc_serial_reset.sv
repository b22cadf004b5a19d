// Holds the reset until the clock has been locked for 2**CYCLES_LOG2 cycles, after power-on and after any loss of lock.
module zc_serial_reset #(
    parameter int CYCLES_LOG2 = 12
) (
    input  logic clk,
    input  logic locked,  // asynchronous to clk
    output logic rst_n
);
  // Configuration of the part sets both to 0.
  logic [1:0] sure = '0;
  logic [CYCLES_LOG2:0] count = '0;
  assign rst_n = count[CYCLES_LOG2];
  always_ff @(posedge clk) begin
    sure <= {sure[0], locked};
    if (!sure[1]) count <= '0;
    else if (!rst_n) count <= count + 1'b1;
  end
endmodule
