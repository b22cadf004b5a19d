// A UART's transmitter: 8 data bits, no parity, 1 stop bit, least significant bit first.
module zc_uart_tx #(
    parameter int DIVIDER = 217  // clock cycles per bit
) (
    input  logic       clk,
    input  logic       rst_n,
    input  logic [7:0] s_tdata,
    input  logic       s_tvalid,
    output logic       s_tready,
    output logic       tx
);
  localparam int TIMER_BITS = $clog2(DIVIDER);

  logic [9:0] bits;  // the bit on the line is the lowest; ones move in
  logic [3:0] left;
  logic [TIMER_BITS-1:0] timer;
  assign tx = bits[0];
  assign s_tready = left == 0;
  always_ff @(posedge clk) begin
    if (!rst_n) begin
      bits <= '1;
      left <= '0;
    end else if (s_tvalid && s_tready) begin
      bits  <= {1'b1, s_tdata, 1'b0};
      left  <= 4'd10;
      timer <= '0;
    end else if (left != 0) begin
      timer <= timer == TIMER_BITS'(DIVIDER - 1) ? '0 : timer + 1'b1;
      if (timer == TIMER_BITS'(DIVIDER - 1)) begin
        bits <= {1'b1, bits[9:1]};
        left <= left - 1'b1;
      end
    end
  end
endmodule
