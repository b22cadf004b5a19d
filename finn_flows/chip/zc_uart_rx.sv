// A UART's receiver: 8 data bits, no parity, 1 stop bit, least significant bit first.
//
// Every bit is the majority of three samples around its middle, an eighth of a bit apart. This tolerates noise and a
// sender up to 3% fast or slow. A byte whose stop bit is missing is dropped.
module zc_uart_rx #(
    parameter int DIVIDER = 217  // clock cycles per bit; at least 8
) (
    input  logic       clk,
    input  logic       rst_n,
    input  logic       rx,
    output logic [7:0] data,
    output logic       valid  // for one cycle
);
  localparam int EARLY = DIVIDER / 2 - DIVIDER / 8;
  localparam int MIDDLE = DIVIDER / 2;
  localparam int LATE = DIVIDER / 2 + DIVIDER / 8;
  localparam int TIMER_BITS = $clog2(DIVIDER);

  logic [1:0] line;  // two registers, because the wire is asynchronous to clk
  always_ff @(posedge clk) line <= {line[0], rx};
  wire level = line[1];

  logic busy, armed;  // armed: the line has been idle
  logic [TIMER_BITS-1:0] timer;
  logic [3:0] index;  // 0: start bit, 1 to 8: data, 9: stop bit
  logic early, middle;
  wire value = (early && middle) || (early && level) || (middle && level);
  wire decide = timer == TIMER_BITS'(LATE);
  always_ff @(posedge clk) begin
    valid <= 1'b0;
    if (!rst_n) begin
      busy  <= 1'b0;
      armed <= 1'b0;
    end else if (!busy) begin
      armed <= level;
      busy  <= armed && !level;
      timer <= '0;
      index <= '0;
    end else begin
      timer <= timer == TIMER_BITS'(DIVIDER - 1) ? '0 : timer + 1'b1;
      if (timer == TIMER_BITS'(EARLY)) early <= level;
      if (timer == TIMER_BITS'(MIDDLE)) middle <= level;
      if (decide) begin
        index <= index + 1'b1;
        if (index == 0) busy <= !value;  // a start bit that did not last was noise
        else if (index < 9) data <= {value, data[7:1]};
        else begin
          busy  <= 1'b0;
          armed <= value;
          valid <= value;
        end
      end
    end
  end
endmodule
