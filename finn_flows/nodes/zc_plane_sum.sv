// Weighted sums of planes. Each of PE channels is the sum of PLANES consecutive unsigned numbers of BITS bits, scaled by
// 1, 1, 2, 4, ..., 2**(PLANES-2). HALVED: half the sum, rounded down. Latency 1 + $clog2(PLANES - 1), plus 1 with OFFSETS.
//
// OFFSETS: hex file of FOLDS words of PE * OUT_BITS bits, two's complement, added to FOLDS words in turn.
// "" for none.
module zc_plane_sum #(
    parameter int PE = 1,
    parameter int PLANES = 3,
    parameter int BITS = 8,
    parameter bit HALVED = 0,
    parameter int OUT_BITS = 10,
    parameter int FOLDS = 1,
    parameter OFFSETS = ""
) (
    input  logic                      clk,
    input  logic                      rst_n,
    input  logic [PE*PLANES*BITS-1:0] s_tdata,
    input  logic                      s_tvalid,
    output logic                      s_tready,
    output logic [   PE*OUT_BITS-1:0] m_tdata,
    output logic                      m_tvalid,
    input  logic                      m_tready
);
  localparam int DIGITS = PLANES - 1;  // the two planes of weight 1 are added first
  localparam int WIDE = BITS + 1;
  localparam int LEVELS = $clog2(DIGITS);
  localparam int SUM = WIDE + LEVELS + (1 << LEVELS) - 1;
  localparam int LATENCY = 1 + LEVELS + (OFFSETS == "" ? 0 : 1);

  wire en = m_tready || !m_tvalid;
  assign s_tready = en;
  logic [LATENCY-1:0] valid;
  assign m_tvalid = valid[LATENCY-1];
  always_ff @(posedge clk) begin
    if (!rst_n) valid <= '0;
    else if (en) valid <= LATENCY'({valid, s_tvalid});
  end

  logic [PE*OUT_BITS-1:0] sums;
  for (genvar pe = 0; pe < PE; pe++) begin : g_lane
    wire [PLANES*BITS-1:0] planes = s_tdata[pe*PLANES*BITS+:PLANES*BITS];
    logic [DIGITS*WIDE-1:0] digits;
    always_ff @(posedge clk) if (en) digits[0+:WIDE] <= WIDE'(planes[0+:BITS]) + WIDE'(planes[BITS+:BITS]);
    for (genvar i = 1; i < DIGITS; i++) begin : g_digit
      always_ff @(posedge clk) if (en) digits[i*WIDE+:WIDE] <= WIDE'(planes[(i+1)*BITS+:BITS]);
    end
    logic [SUM-1:0] sum;
    zc_sum #(
        .N(DIGITS),
        .W(WIDE),
        .SHIFT(1)
    ) add (
        .clk,
        .en,
        .terms(digits),
        .sum
    );
    assign sums[pe*OUT_BITS+:OUT_BITS] = OUT_BITS'(sum >> HALVED);
  end

  if (OFFSETS == "") begin : g_no_offsets
    assign m_tdata = sums;
  end else begin : g_offsets
    (* ram_style = "registers", rom_style = "distributed" *)
    logic [PE*OUT_BITS-1:0] rom[FOLDS];
    initial $readmemh(OFFSETS, rom);
    localparam int FOLD_BITS = FOLDS > 1 ? $clog2(FOLDS) : 1;
    logic [FOLD_BITS-1:0] fold;
    wire [PE*OUT_BITS-1:0] offsets = rom[fold];
    always_ff @(posedge clk) begin
      if (!rst_n) fold <= '0;
      else if (en && valid[LATENCY-2]) fold <= fold == FOLD_BITS'(FOLDS - 1) ? '0 : fold + 1'b1;
    end
    for (genvar pe = 0; pe < PE; pe++) begin : g_take_off
      always_ff @(posedge clk) begin
        if (en) m_tdata[pe*OUT_BITS+:OUT_BITS] <= sums[pe*OUT_BITS+:OUT_BITS] + offsets[pe*OUT_BITS+:OUT_BITS];
      end
    end
  end
endmodule
