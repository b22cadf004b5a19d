// The windows of an image, a whole window a word: lines of the image in memory, the window in registers. Channel
// folds, if any, follow each other. Takes a word a cycle, one image behind the other without a break.
module zc_windows_parallel #(
    parameter int HEIGHT = 8,
    parameter int WIDTH = 8,
    parameter int FOLDS = 1,  // words of a pixel
    parameter int KERNEL_H = 3,
    parameter int KERNEL_W = 3,
    parameter int STRIDE_H = 1,
    parameter int STRIDE_W = 1,
    parameter int BITS = 8,  // of a word
    parameter RAM_STYLE = "auto"
) (
    input  logic                                clk,
    input  logic                                rst_n,
    input  logic [BITS-1:0]                     s_tdata,
    input  logic                                s_tvalid,
    output logic                                s_tready,
    output logic [KERNEL_H*KERNEL_W*BITS-1:0]   m_tdata,
    output logic                                m_tvalid,
    input  logic                                m_tready
);
  assign s_tready = m_tready || !m_tvalid;
  wire take = s_tvalid && s_tready;

  // Where in the image the next word is; the pixels and rows to come before the next window ends.
  wire fold_last, column_last, row_last;
  wire pixel_ends = take && fold_last;
  wire line_ends = pixel_ends && column_last;
  zc_counter #(.COUNT(FOLDS)) fold (.clk, .rst_n, .step(take), .last(fold_last));
  zc_counter #(.COUNT(WIDTH)) column (.clk, .rst_n, .step(pixel_ends), .last(column_last));
  zc_counter #(.COUNT(HEIGHT)) row (.clk, .rst_n, .step(line_ends), .last(row_last));

  localparam int X_BITS = $clog2((KERNEL_W > STRIDE_W ? KERNEL_W : STRIDE_W) + 1);
  localparam int Y_BITS = $clog2((KERNEL_H > STRIDE_H ? KERNEL_H : STRIDE_H) + 1);
  logic [X_BITS-1:0] x;
  logic [Y_BITS-1:0] y;
  always_ff @(posedge clk) begin
    if (!rst_n) begin
      x <= X_BITS'(KERNEL_W - 1);
      y <= Y_BITS'(KERNEL_H - 1);
      m_tvalid <= 1'b0;
    end else begin
      if (pixel_ends) x <= column_last ? X_BITS'(KERNEL_W - 1) : x == 0 ? X_BITS'(STRIDE_W - 1) : x - 1'b1;
      if (line_ends) y <= row_last ? Y_BITS'(KERNEL_H - 1) : y == 0 ? Y_BITS'(STRIDE_H - 1) : y - 1'b1;
      if (s_tready) m_tvalid <= s_tvalid && x == 0 && y == 0;
    end
  end

  // The word and those above it, the newest line last.
  logic [KERNEL_H-1:0][BITS-1:0] above;
  assign above[KERNEL_H-1] = s_tdata;
  if (KERNEL_H > 1) begin : g_lines
    localparam int PLACES = WIDTH * FOLDS;
    logic [KERNEL_H-2:0][BITS-1:0] kept;  // of this place in the lines before
    assign above[KERNEL_H-2:0] = kept;
    if (PLACES == 1) begin : g_one
      always_ff @(posedge clk) if (take) kept <= above[KERNEL_H-1:1];
    end else begin : g_memory
      localparam int ADDRESS_BITS = $clog2(PLACES);
      logic [ADDRESS_BITS-1:0] place, next_place;
      wire next_last = next_place == ADDRESS_BITS'(PLACES - 1);
      (* ram_style = RAM_STYLE, no_rw_check *)
      logic [(KERNEL_H-1)*BITS-1:0] lines[PLACES];
      always_ff @(posedge clk) begin
        if (take) lines[place] <= above[KERNEL_H-1:1];
        if (take) kept <= lines[next_place];
        if (!rst_n) begin
          place <= '0;
          next_place <= ADDRESS_BITS'(1);
        end else if (take) begin
          place <= next_place;
          next_place <= next_last ? '0 : next_place + 1'b1;
        end
      end
    end
  end

  // Each line of the window moves by a word; its pixels are FOLDS words apart.
  localparam int LENGTH = (KERNEL_W - 1) * FOLDS + 1;
  for (genvar line = 0; line < KERNEL_H; line++) begin : g_line
    logic [LENGTH-1:0][BITS-1:0] words;  // the newest last
    always_ff @(posedge clk) if (take) words <= (LENGTH * BITS)'({above[line], words} >> BITS);
    for (genvar pixel = 0; pixel < KERNEL_W; pixel++) begin : g_pixel
      assign m_tdata[(line*KERNEL_W+pixel)*BITS+:BITS] = words[pixel*FOLDS];
    end
  end
endmodule
