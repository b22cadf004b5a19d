// Maximum over non-overlapping windows of KERNEL_H x KERNEL_W; for bits, an OR.
//
// It stores only one row of partial results. Rows and columns past the last whole window are dropped.
// Words arrive by row, column, channel fold, one per cycle.
module zc_maxpool #(
    parameter int HEIGHT = 8,
    parameter int WIDTH = 8,
    parameter int CHANNELS = 64,
    parameter int PE = 8,
    parameter int BITS = 1,
    parameter bit SIGNED = 0,
    parameter int KERNEL_H = 2,
    parameter int KERNEL_W = 2,
    parameter BUFFER_STYLE = "distributed"
) (
    input  logic               clk,
    input  logic               rst_n,
    input  logic [PE*BITS-1:0] s_tdata,
    input  logic               s_tvalid,
    output logic               s_tready,
    output logic [PE*BITS-1:0] m_tdata,
    output logic               m_tvalid,
    input  logic               m_tready
);
  localparam int FOLDS = CHANNELS / PE;
  localparam int COLUMNS = WIDTH / KERNEL_W;  // whole windows
  localparam int ROWS = HEIGHT / KERNEL_H;
  localparam int FOLD_BITS = $clog2(FOLDS + 1);
  localparam int COLUMN_BITS = $clog2(WIDTH + 1);
  localparam int ROW_BITS = $clog2(HEIGHT + 1);
  localparam int INNER_W_BITS = $clog2(KERNEL_W + 1);
  localparam int INNER_H_BITS = $clog2(KERNEL_H + 1);
  localparam int SLOTS = COLUMNS * FOLDS;
  localparam int SLOT_BITS = $clog2(SLOTS + 1);

  assign s_tready = m_tready || !m_tvalid;
  wire take = s_tvalid && s_tready;

  // Position of the word in the image and in its window. slot: place of its window's result in the buffer.
  logic [FOLD_BITS-1:0] fold;
  logic [COLUMN_BITS-1:0] column;
  logic [ROW_BITS-1:0] row;
  logic [INNER_W_BITS-1:0] x;
  logic [INNER_H_BITS-1:0] y;
  logic [SLOT_BITS-1:0] slot, window_slot;
  wire fold_last = fold == FOLD_BITS'(FOLDS - 1);
  wire column_last = column == COLUMN_BITS'(WIDTH - 1);
  wire row_last = row == ROW_BITS'(HEIGHT - 1);
  wire x_last = x == INNER_W_BITS'(KERNEL_W - 1);
  wire y_last = y == INNER_H_BITS'(KERNEL_H - 1);
  wire outside = column >= COLUMN_BITS'(COLUMNS * KERNEL_W) || row >= ROW_BITS'(ROWS * KERNEL_H);
  assign slot = window_slot + SLOT_BITS'(fold);
  always_ff @(posedge clk) begin
    if (!rst_n) begin
      {fold, column, row, x, y, window_slot} <= '0;
    end else if (take) begin
      fold <= fold_last ? '0 : fold + 1'b1;
      if (fold_last) begin
        column <= column_last ? '0 : column + 1'b1;
        x <= x_last || column_last ? '0 : x + 1'b1;
        if (column_last) window_slot <= '0;
        else if (x_last) window_slot <= window_slot + SLOT_BITS'(FOLDS);
        if (column_last) begin
          row <= row_last ? '0 : row + 1'b1;
          y   <= y_last || row_last ? '0 : y + 1'b1;
        end
      end
    end
  end

  (* ram_style = BUFFER_STYLE *)
  logic [PE*BITS-1:0] buffer[SLOTS];
  wire [PE*BITS-1:0] so_far = buffer[slot];
  wire begins = x == 0 && y == 0;
  logic [PE*BITS-1:0] result;
  for (genvar lane = 0; lane < PE; lane++) begin : g_lane
    wire [BITS-1:0] value = s_tdata[lane*BITS+:BITS];
    wire [BITS-1:0] best = so_far[lane*BITS+:BITS];
    wire larger = SIGNED ? $signed(value) > $signed(best) : value > best;
    assign result[lane*BITS+:BITS] = begins || larger ? value : best;
  end
  always_ff @(posedge clk) begin
    if (take && !outside) buffer[slot] <= result;
    if (s_tready) m_tdata <= result;
    if (!rst_n) m_tvalid <= 1'b0;
    else if (s_tready) m_tvalid <= s_tvalid && x_last && y_last && !outside;
  end
endmodule
