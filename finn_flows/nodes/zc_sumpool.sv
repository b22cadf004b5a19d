// Sum over non-overlapping windows of KERNEL_H x KERNEL_W; a window may be the whole image.
//
// It stores only one row of partial sums. Rows and columns past the last whole window are dropped.
// Words arrive by row, column, channel fold, one per cycle.
module zc_sumpool #(
    parameter int HEIGHT = 8,
    parameter int WIDTH = 8,
    parameter int FOLDS = 8,  // words of a pixel
    parameter int PE = 8,
    parameter int BITS = 1,
    parameter int OUT_BITS = 3,
    parameter int KERNEL_H = 2,
    parameter int KERNEL_W = 2
) (
    input  logic                   clk,
    input  logic                   rst_n,
    input  logic [    PE*BITS-1:0] s_tdata,
    input  logic                   s_tvalid,
    output logic                   s_tready,
    output logic [PE*OUT_BITS-1:0] m_tdata,
    output logic                   m_tvalid,
    input  logic                   m_tready
);
  localparam int COLUMNS = WIDTH / KERNEL_W;  // whole windows
  localparam int ROWS = HEIGHT / KERNEL_H;
  localparam int SLOTS = COLUMNS * FOLDS;
  localparam int SLOT_BITS = SLOTS > 1 ? $clog2(SLOTS) : 1;

  assign s_tready = m_tready || !m_tvalid;
  wire whole;  // whether the word is part of a whole window
  if (COLUMNS * KERNEL_W == WIDTH && ROWS * KERNEL_H == HEIGHT) begin : g_all
    assign whole = 1'b1;
  end else begin : g_left_over
    localparam int COLUMN_BITS = $clog2(WIDTH + 1);
    localparam int ROW_BITS = $clog2(HEIGHT + 1);
    logic [COLUMN_BITS-1:0] column;
    logic [ROW_BITS-1:0] row;
    wire ends, column_last = column == COLUMN_BITS'(WIDTH - 1);
    wire pixel_taken = s_tvalid && s_tready && ends;
    zc_counter #(.COUNT(FOLDS)) word (.clk, .rst_n, .step(s_tvalid && s_tready), .last(ends));
    assign whole = column < COLUMN_BITS'(COLUMNS * KERNEL_W) && row < ROW_BITS'(ROWS * KERNEL_H);
    always_ff @(posedge clk) begin
      if (!rst_n) {column, row} <= '0;
      else if (pixel_taken) begin
        column <= column_last ? '0 : column + 1'b1;
        if (column_last) row <= row == ROW_BITS'(HEIGHT - 1) ? '0 : row + 1'b1;
      end
    end
  end

  // Position of the word in its window, and of the window in its row. slot: place of the window's partial sum.
  wire take = s_tvalid && s_tready && whole;
  wire fold_last, x_last, window_last, y_last;
  wire pixel_ends = take && fold_last;
  wire piece_ends = pixel_ends && x_last;
  wire line_ends = piece_ends && window_last;
  zc_counter #(.COUNT(FOLDS)) fold (.clk, .rst_n, .step(take), .last(fold_last));
  zc_counter #(.COUNT(KERNEL_W)) x (.clk, .rst_n, .step(pixel_ends), .last(x_last));
  zc_counter #(.COUNT(COLUMNS)) window (.clk, .rst_n, .step(piece_ends), .last(window_last));
  zc_counter #(.COUNT(KERNEL_H)) y (.clk, .rst_n, .step(line_ends), .last(y_last));
  logic first_x, first_y;
  logic [SLOT_BITS-1:0] slot;
  always_ff @(posedge clk) begin
    if (!rst_n) begin
      first_x <= 1'b1;
      first_y <= 1'b1;
      slot <= '0;
    end else begin
      if (pixel_ends) first_x <= x_last;
      if (line_ends) first_y <= y_last;
      if (line_ends) slot <= '0;
      else if (pixel_ends && !x_last) slot <= slot - SLOT_BITS'(FOLDS - 1);
      else if (take) slot <= slot + 1'b1;
    end
  end

  logic [PE*OUT_BITS-1:0] so_far, sums;
  if (SLOTS == 1) begin : g_one
    always_ff @(posedge clk) if (take) so_far <= sums;
  end else begin : g_memory
    (* ram_style = "distributed" *)
    logic [PE*OUT_BITS-1:0] slots[SLOTS];
    assign so_far = slots[slot];
    always_ff @(posedge clk) if (take) slots[slot] <= sums;
  end
  for (genvar lane = 0; lane < PE; lane++) begin : g_lane
    wire [OUT_BITS-1:0] sum = first_x && first_y ? '0 : so_far[lane*OUT_BITS+:OUT_BITS];
    assign sums[lane*OUT_BITS+:OUT_BITS] = sum + OUT_BITS'(s_tdata[lane*BITS+:BITS]);
  end
  always_ff @(posedge clk) begin
    if (s_tready) m_tdata <= sums;
    if (!rst_n) m_tvalid <= 1'b0;
    else if (s_tready) m_tvalid <= take && x_last && y_last;
  end
endmodule
