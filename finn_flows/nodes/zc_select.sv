// Passes on some channels of each pixel. A pixel has FOLDS words of PE channels. KEEP has a bit for each of these words; words
// whose bit is 0 are dropped. An output word has the lanes of the input word that ORDER lists.
//
// The node has no registers: a word leaves in the cycle in which it arrives.
module zc_select #(
    parameter int FOLDS = 2,
    parameter int PE = 4,
    parameter int OUT_PE = 4,
    parameter int BITS = 1,
    parameter KEEP = "keep.mem",
    parameter ORDER = "order.mem"
) (
    input  logic                   clk,
    input  logic                   rst_n,
    input  logic [    PE*BITS-1:0] s_tdata,
    input  logic                   s_tvalid,
    output logic                   s_tready,
    output logic [OUT_PE*BITS-1:0] m_tdata,
    output logic                   m_tvalid,
    input  logic                   m_tready
);
  wire keep;
  assign m_tvalid = s_tvalid && keep;
  assign s_tready = m_tready || !keep;

  if (FOLDS == 1) begin : g_all
    assign keep = 1'b1;
  end else begin : g_some
    localparam int FOLD_BITS = $clog2(FOLDS);
    logic [FOLDS-1:0] rom[1];
    initial $readmemh(KEEP, rom);
    logic [FOLD_BITS-1:0] fold;
    wire [FOLDS-1:0] kept = rom[0];
    assign keep = kept[fold];
    always_ff @(posedge clk) begin
      if (!rst_n) fold <= '0;
      else if (s_tvalid && s_tready) fold <= fold == FOLD_BITS'(FOLDS - 1) ? '0 : fold + 1'b1;
    end
  end

  if (PE == 1) begin : g_one
    assign m_tdata = {OUT_PE{s_tdata}};
  end else begin : g_lanes
    localparam int LANE_BITS = $clog2(PE);
    logic [OUT_PE*LANE_BITS-1:0] rom[1];
    initial $readmemh(ORDER, rom);
    wire [OUT_PE*LANE_BITS-1:0] order = rom[0];
    for (genvar lane = 0; lane < OUT_PE; lane++) begin : g_lane
      wire [LANE_BITS-1:0] from = order[lane*LANE_BITS+:LANE_BITS];
      assign m_tdata[lane*BITS+:BITS] = s_tdata[from*BITS+:BITS];
    end
  end
endmodule
