// Outputs the index of the largest of LABELS values, PE values per word; among equal values the lowest index.
module zc_labelselect #(
    parameter  int LABELS     = 10,
    parameter  int PE         = 1,
    parameter  int BITS       = 8,
    parameter  bit SIGNED     = 0,
    localparam int INDEX_BITS = LABELS > 1 ? $clog2(LABELS) : 1
) (
    input  logic                  clk,
    input  logic                  rst_n,
    input  logic [   PE*BITS-1:0] s_tdata,
    input  logic                  s_tvalid,
    output logic                  s_tready,
    output logic [INDEX_BITS-1:0] m_tdata,
    output logic                  m_tvalid,
    input  logic                  m_tready
);
  wire en = m_tready || !m_tvalid;
  assign s_tready = en;

  // With the sign bit inverted, signed values compare as unsigned ones.
  wire [PE*BITS-1:0] values = s_tdata ^ {PE{BITS'(SIGNED) << (BITS - 1)}};

  // The largest value of a word.
  logic [INDEX_BITS-1:0] base, word_index, word_index_q;
  logic [BITS-1:0] word_best, word_best_q;
  logic word_valid, word_first, word_last;
  wire base_last = base == INDEX_BITS'(LABELS - PE);
  always_comb begin
    word_best  = values[BITS-1:0];
    word_index = base;
    for (int i = 1; i < PE; i++) begin
      if (values[i*BITS+:BITS] > word_best) begin
        word_best  = values[i*BITS+:BITS];
        word_index = base + INDEX_BITS'(i);
      end
    end
  end
  always_ff @(posedge clk) begin
    if (!rst_n) begin
      base <= '0;
      word_valid <= 1'b0;
    end else if (en) begin
      word_valid <= s_tvalid;
      if (s_tvalid) base <= base_last ? '0 : base + INDEX_BITS'(PE);
    end
    if (en) begin
      word_best_q <= word_best;
      word_index_q <= word_index;
      word_first <= base == 0;
      word_last <= base_last;
    end
  end

  // The largest value so far.
  logic [BITS-1:0] best;
  wire better = word_first || word_best_q > best;
  always_ff @(posedge clk) begin
    if (en && word_valid && better) begin
      best <= word_best_q;
      m_tdata <= word_index_q;
    end
    if (!rst_n) m_tvalid <= 1'b0;
    else if (en) m_tvalid <= word_valid && word_last;
  end
endmodule
