// Outputs the index of the largest of LABELS values in one word; among equal values the lowest. Latency $clog2(LABELS).
module zc_label_at_once #(
    parameter  int LABELS     = 10,
    parameter  int BITS       = 8,
    parameter  bit SIGNED     = 0,
    localparam int INDEX_BITS = $clog2(LABELS)
) (
    input  logic                   clk,
    input  logic                   rst_n,
    input  logic [LABELS*BITS-1:0] s_tdata,
    input  logic                   s_tvalid,
    output logic                   s_tready,
    output logic [ INDEX_BITS-1:0] m_tdata,
    output logic                   m_tvalid,
    input  logic                   m_tready
);
  wire en = m_tready || !m_tvalid;
  assign s_tready = en;

  logic [INDEX_BITS-1:0] valid;
  always_ff @(posedge clk) begin
    if (!rst_n) valid <= '0;
    else if (en) valid <= INDEX_BITS'({valid, s_tvalid});
  end
  assign m_tvalid = valid[INDEX_BITS-1];

  // With the sign bit inverted, signed values compare as unsigned ones.
  zc_label_tree #(
      .N(LABELS),
      .BITS(BITS),
      .INDEX_BITS(INDEX_BITS)
  ) tree (
      .clk,
      .en,
      .values (s_tdata ^ {LABELS{BITS'(SIGNED) << (BITS - 1)}}),
      .indices('0),
      .index  (m_tdata)
  );
endmodule
