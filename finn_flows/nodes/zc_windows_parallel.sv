// Outputs the windows of an image, one whole window per word. A memory holds lines of the image; registers hold the window.
// Channel folds, if any, follow each other. The pixels under the kernel are DILATION_H rows and DILATION_W columns apart.
// It takes one word per cycle; images follow each other without a break.
module zc_windows_parallel #(
    parameter int HEIGHT = 8,
    parameter int WIDTH = 8,
    parameter int FOLDS = 1,  // words of a pixel
    parameter int KERNEL_H = 3,
    parameter int KERNEL_W = 3,
    parameter int STRIDE_H = 1,
    parameter int STRIDE_W = 1,
    parameter int DILATION_H = 1,
    parameter int DILATION_W = 1,
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
  localparam int REACH_H = (KERNEL_H - 1) * DILATION_H + 1;  // of the kernel
  localparam int REACH_W = (KERNEL_W - 1) * DILATION_W + 1;

  assign s_tready = m_tready || !m_tvalid;
  wire take = s_tvalid && s_tready;

  // Position of the next word in the image. x, y: pixels and rows left before the next window ends.
  wire fold_last, column_last, row_last;
  wire pixel_ends = take && fold_last;
  wire line_ends = pixel_ends && column_last;
  zc_counter #(.COUNT(FOLDS)) fold (.clk, .rst_n, .step(take), .last(fold_last));
  zc_counter #(.COUNT(WIDTH)) column (.clk, .rst_n, .step(pixel_ends), .last(column_last));
  zc_counter #(.COUNT(HEIGHT)) row (.clk, .rst_n, .step(line_ends), .last(row_last));

  localparam int X_BITS = $clog2((REACH_W > STRIDE_W ? REACH_W : STRIDE_W) + 1);
  localparam int Y_BITS = $clog2((REACH_H > STRIDE_H ? REACH_H : STRIDE_H) + 1);
  logic [X_BITS-1:0] x;
  logic [Y_BITS-1:0] y;
  always_ff @(posedge clk) begin
    if (!rst_n) begin
      x <= X_BITS'(REACH_W - 1);
      y <= Y_BITS'(REACH_H - 1);
      m_tvalid <= 1'b0;
    end else begin
      if (pixel_ends) x <= column_last ? X_BITS'(REACH_W - 1) : x == 0 ? X_BITS'(STRIDE_W - 1) : x - 1'b1;
      if (line_ends) y <= row_last ? Y_BITS'(REACH_H - 1) : y == 0 ? Y_BITS'(STRIDE_H - 1) : y - 1'b1;
      if (s_tready) m_tvalid <= s_tvalid && x == 0 && y == 0;
    end
  end

  // The current word and the words above it, the newest line last.
  logic [REACH_H-1:0][BITS-1:0] above;
  assign above[REACH_H-1] = s_tdata;
  if (REACH_H > 1) begin : g_lines
    localparam int PLACES = WIDTH * FOLDS;
    logic [REACH_H-2:0][BITS-1:0] kept;  // words at this place in the previous lines
    assign above[REACH_H-2:0] = kept;
    if (PLACES == 1) begin : g_one
      always_ff @(posedge clk) if (take) kept <= above[REACH_H-1:1];
    end else begin : g_memory
      localparam int ADDRESS_BITS = $clog2(PLACES);
      logic [ADDRESS_BITS-1:0] place, next_place;
      wire next_last = next_place == ADDRESS_BITS'(PLACES - 1);
      (* ram_style = RAM_STYLE, no_rw_check *)
      logic [(REACH_H-1)*BITS-1:0] lines[PLACES];
      always_ff @(posedge clk) begin
        if (take) lines[place] <= above[REACH_H-1:1];
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

  // Each line of the window shifts by one word; its pixels are DILATION_W * FOLDS words apart.
  localparam int LENGTH = (REACH_W - 1) * FOLDS + 1;
  for (genvar line = 0; line < KERNEL_H; line++) begin : g_line
    logic [LENGTH-1:0][BITS-1:0] words;  // the newest last
    always_ff @(posedge clk) if (take) words <= (LENGTH * BITS)'({above[line*DILATION_H], words} >> BITS);
    for (genvar pixel = 0; pixel < KERNEL_W; pixel++) begin : g_pixel
      assign m_tdata[(line*KERNEL_W+pixel)*BITS+:BITS] = words[pixel*DILATION_W*FOLDS];
    end
  end
endmodule
