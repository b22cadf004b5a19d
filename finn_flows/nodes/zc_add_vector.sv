// Adds one vector to every pixel of an image, lane by lane: s carries PIXELS of FOLDS words, v one vector of FOLDS words.
//
// It stores two vectors: the next image's arrives while this one's is in use. A pixel takes FOLDS cycles, without gaps.
module zc_add_vector #(
    parameter int PE = 1,
    parameter int FOLDS = 1,
    parameter int PIXELS = 4,
    parameter int S_BITS = 8,
    parameter int V_BITS = 8,
    parameter int OUT_BITS = 9
) (
    input  logic                   clk,
    input  logic                   rst_n,
    input  logic [  PE*S_BITS-1:0] s_tdata,
    input  logic                   s_tvalid,
    output logic                   s_tready,
    input  logic [  PE*V_BITS-1:0] v_tdata,
    input  logic                   v_tvalid,
    output logic                   v_tready,
    output logic [PE*OUT_BITS-1:0] m_tdata,
    output logic                   m_tvalid,
    input  logic                   m_tready
);
  localparam int FOLD_BITS = FOLDS > 1 ? $clog2(FOLDS) : 1;

  logic [FOLD_BITS-1:0] fold, write_fold;
  logic bank, write_bank;
  logic [1:0] full;  // number of complete vectors stored
  wire en = m_tready || !m_tvalid;
  wire take = s_tvalid && s_tready;
  wire write = v_tvalid && v_tready;
  assign s_tready = en && full != 0;
  assign v_tready = !full[1];

  wire fold_last = fold == FOLD_BITS'(FOLDS - 1);
  wire filled = write && write_fold == FOLD_BITS'(FOLDS - 1);
  wire pixel_last;
  wire freed = take && fold_last && pixel_last;
  zc_counter #(.COUNT(PIXELS)) pixel (.clk, .rst_n, .step(take && fold_last), .last(pixel_last));
  always_ff @(posedge clk) begin
    if (!rst_n) begin
      fold <= '0;
      write_fold <= '0;
      bank <= 1'b0;
      write_bank <= 1'b0;
      full <= '0;
      m_tvalid <= 1'b0;
    end else begin
      if (take) fold <= fold_last ? '0 : fold + 1'b1;
      if (write) write_fold <= filled ? '0 : write_fold + 1'b1;
      bank <= bank ^ freed;
      write_bank <= write_bank ^ filled;
      full <= full + 2'(filled) - 2'(freed);
      if (en) m_tvalid <= take;
    end
  end

  (* ram_style = "distributed" *)
  logic [PE*V_BITS-1:0] vectors[2 << FOLD_BITS];
  wire [PE*V_BITS-1:0] vector = vectors[{bank, fold}];
  always_ff @(posedge clk) if (write) vectors[{write_bank, write_fold}] <= v_tdata;
  for (genvar lane = 0; lane < PE; lane++) begin : g_lane
    wire [OUT_BITS-1:0] sum = OUT_BITS'(s_tdata[lane*S_BITS+:S_BITS]) + OUT_BITS'(vector[lane*V_BITS+:V_BITS]);
    always_ff @(posedge clk) if (en) m_tdata[lane*OUT_BITS+:OUT_BITS] <= sum;
  end
endmodule
