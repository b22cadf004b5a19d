// Outputs the windows of an image word by word: by kernel row, kernel column and channel fold; with APART (depthwise) by
// fold, kernel row and kernel column. The pixels under the kernel are DILATION_H rows and DILATION_W columns apart.
//
// A ring buffer of PLACES words stores the image; PLACES is a power of two and at least a window's reach. Images follow each
// other without a break. Two counters control everything by their signs: `ahead` counts the words that can be fetched,
// `spare` the places still in use.
module zc_windows #(
    parameter int HEIGHT = 8,
    parameter int WIDTH = 8,
    parameter int FOLDS = 1,  // words of a pixel
    parameter int KERNEL_H = 3,
    parameter int KERNEL_W = 3,
    parameter int STRIDE_H = 1,
    parameter int STRIDE_W = 1,
    parameter int DILATION_H = 1,
    parameter int DILATION_W = 1,
    parameter bit APART = 0,
    parameter int PLACES = 32,
    parameter int BITS = 8,  // of a word
    parameter RAM_STYLE = "auto"
) (
    input  logic            clk,
    input  logic            rst_n,
    input  logic [BITS-1:0] s_tdata,
    input  logic            s_tvalid,
    output logic            s_tready,
    output logic [BITS-1:0] m_tdata,
    output logic            m_tvalid,
    input  logic            m_tready
);
  localparam int ROWS = (HEIGHT - (KERNEL_H - 1) * DILATION_H - 1) / STRIDE_H + 1;  // of windows
  localparam int COLUMNS = (WIDTH - (KERNEL_W - 1) * DILATION_W - 1) / STRIDE_W + 1;
  localparam int PASSES = APART ? FOLDS : 1;  // per window
  // A pass reads a kernel row in RUNS runs of WORDS consecutive words in the ring. The whole row is one run, unless its
  // pixels are not adjacent there.
  localparam bit JOINED = !APART && DILATION_W == 1;
  localparam int RUNS = JOINED ? 1 : KERNEL_W;
  localparam int WORDS = APART ? 1 : JOINED ? KERNEL_W * FOLDS : FOLDS;

  // Words from a window's first word to that of the next window: in the same row, in the next row, in the next image.
  localparam int TO_NEXT = STRIDE_W * FOLDS;
  localparam int TO_ROW = STRIDE_H * WIDTH * FOLDS - (COLUMNS - 1) * TO_NEXT;
  localparam int TO_IMAGE = (HEIGHT - (ROWS - 1) * STRIDE_H) * WIDTH * FOLDS - (COLUMNS - 1) * TO_NEXT;
  // Words from one fetched word to the next: at the end of a run, of a kernel row, of a pass, of a window.
  localparam int ACROSS = (RUNS - 1) * DILATION_W * FOLDS + WORDS - 1;  // a kernel row
  localparam int REACH = (KERNEL_H - 1) * DILATION_H * WIDTH * FOLDS + ACROSS;  // of a pass
  localparam int END_RUN = DILATION_W * FOLDS - (WORDS - 1);
  localparam int END_ROW = DILATION_H * WIDTH * FOLDS - ACROSS;
  localparam int END_PASS = 1 - REACH;
  localparam int END_WINDOW = -(REACH + PASSES - 1);

  localparam int FURTHEST = PLACES + TO_IMAGE + TO_ROW + TO_NEXT;
  localparam int SIGNED_BITS = $clog2(FURTHEST + 1) + 1;
  localparam int ADDRESS_BITS = PLACES > 1 ? $clog2(PLACES) : 1;
  typedef logic signed [SIGNED_BITS-1:0] distance_t;

  distance_t ahead;  // number of words stored from the next one to fetch on, minus 1
  distance_t spare;  // number of words stored from the oldest one needed on, minus PLACES
  logic [ADDRESS_BITS-1:0] write_address, read_address;  // both count down: one distance serves counters and addresses

  wire fetch = !ahead[SIGNED_BITS-1] && (m_tready || !m_tvalid);
  wire store = s_tvalid && s_tready;
  assign s_tready = spare[SIGNED_BITS-1];

  wire word_last, run_last, line_last, pass_last, column_last, row_last;
  wire run_ends = fetch && word_last;
  wire line_ends = run_ends && run_last;
  wire pass_ends = line_ends && line_last;
  wire window_ends = pass_ends && pass_last;
  zc_counter #(.COUNT(WORDS)) word (.clk, .rst_n, .step(fetch), .last(word_last));
  zc_counter #(.COUNT(RUNS)) run (.clk, .rst_n, .step(run_ends), .last(run_last));
  zc_counter #(.COUNT(KERNEL_H)) line (.clk, .rst_n, .step(line_ends), .last(line_last));
  zc_counter #(.COUNT(PASSES)) pass (.clk, .rst_n, .step(pass_ends), .last(pass_last));
  zc_counter #(.COUNT(COLUMNS)) column (.clk, .rst_n, .step(window_ends), .last(column_last));
  zc_counter #(.COUNT(ROWS)) row (.clk, .rst_n, .step(window_ends && column_last), .last(row_last));

  distance_t back;  // minus the distance from the next word to fetch to the one after it
  distance_t freed;  // likewise, from this window's first word to that of the next window
  assign freed = !column_last ? distance_t'(-TO_NEXT) : !row_last ? distance_t'(-TO_ROW) : distance_t'(-TO_IMAGE);
  always_comb begin
    if (!word_last) back = -1;
    else if (!run_last) back = distance_t'(-END_RUN);
    else if (!line_last) back = distance_t'(-END_ROW);
    else if (!pass_last) back = distance_t'(-END_PASS);
    else if (!column_last) back = distance_t'(-(TO_NEXT + END_WINDOW));
    else if (!row_last) back = distance_t'(-(TO_ROW + END_WINDOW));
    else back = distance_t'(-(TO_IMAGE + END_WINDOW));
  end

  // The words before the next window are freed after the first kernel row or, if the next window begins in a later row,
  // at the end of this window.
  logic first_line;
  wire late = column_last && (STRIDE_H > 1 || row_last);
  wire free = line_ends && pass_last && (late ? line_last : first_line);

  (* ram_style = RAM_STYLE, no_rw_check *)
  logic [BITS-1:0] ring[PLACES];
  always_ff @(posedge clk) begin
    if (store) ring[write_address] <= s_tdata;
    if (fetch) m_tdata <= ring[read_address];
    if (!rst_n) begin
      m_tvalid <= 1'b0;
      first_line <= 1'b1;
      ahead <= -1;
      spare <= distance_t'(-PLACES);
      write_address <= '0;
      read_address <= '0;
    end else begin
      if (m_tready || !m_tvalid) m_tvalid <= fetch;
      if (line_ends) first_line <= line_last;
      ahead <= ahead + (fetch ? back : '0) + distance_t'({1'b0, store});
      spare <= spare + (free ? freed : '0) + distance_t'({1'b0, store});
      if (store) write_address <= write_address - 1'b1;
      if (fetch) read_address <= read_address + ADDRESS_BITS'(back);
    end
  end
endmodule
