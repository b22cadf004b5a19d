// Product with weights of WEIGHT_BITS = 2 or more bits, integers of -2**(WEIGHT_BITS-1) to 2**(WEIGHT_BITS-1).
//
// Twice a weight is a sum of WEIGHT_BITS + 1 times -1 or +1, weighing 1, 1, 2, 4, ..., 2**(WEIGHT_BITS-1): each is a row of
// a binary product, and their numbers are added up by weight. Of bits as -1 and +1 that is the product plus
// MW * 2**(WEIGHT_BITS-1). Of integers it is twice the product and a constant of the row; half of it, rounded down, is
// the product and half the constant. OFFSETS, if given, takes these constants off again.
//
// WEIGHTS: as of zc_xnor_mvau, a channel's rows one behind the other. OFFSETS: as of zc_plane_sum.
module zc_plane_mvau #(
    parameter int MW = 64,
    parameter int MH = 64,
    parameter int PE = 8,
    parameter int SIMD = 16,
    parameter int IN_BITS = 1,
    parameter int WEIGHT_BITS = 2,
    parameter int OUT_BITS = 12,
    parameter WEIGHTS = "weights.mem",
    parameter OFFSETS = "",
    parameter RAM_STYLE = "block",
    parameter BUFFER_STYLE = "distributed"
) (
    input  logic                    clk,
    input  logic                    rst_n,
    input  logic [SIMD*IN_BITS-1:0] s_tdata,
    input  logic                    s_tvalid,
    output logic                    s_tready,
    output logic [ PE*OUT_BITS-1:0] m_tdata,
    output logic                    m_tvalid,
    input  logic                    m_tready
);
  localparam int PLANES = WEIGHT_BITS + 1;
  localparam int LANE_BITS = $clog2(MW * ((1 << IN_BITS) - 1) + 1);

  logic [PE*PLANES*LANE_BITS-1:0] planes_tdata;
  logic planes_tvalid, planes_tready;
  zc_xnor_mvau #(
      .MW(MW),
      .MH(MH * PLANES),
      .PE(PE * PLANES),
      .SIMD(SIMD),
      .IN_BITS(IN_BITS),
      .OUT_BITS(LANE_BITS),
      .WEIGHTS(WEIGHTS),
      .RAM_STYLE(RAM_STYLE),
      .BUFFER_STYLE(BUFFER_STYLE)
  ) rows (
      .clk,
      .rst_n,
      .s_tdata,
      .s_tvalid,
      .s_tready,
      .m_tdata (planes_tdata),
      .m_tvalid(planes_tvalid),
      .m_tready(planes_tready)
  );
  zc_plane_sum #(
      .PE(PE),
      .PLANES(PLANES),
      .BITS(LANE_BITS),
      .HALVED(IN_BITS > 1),
      .OUT_BITS(OUT_BITS),
      .FOLDS(MH / PE),
      .OFFSETS(OFFSETS)
  ) sum (
      .clk,
      .rst_n,
      .s_tdata (planes_tdata),
      .s_tvalid(planes_tvalid),
      .s_tready(planes_tready),
      .m_tdata,
      .m_tvalid,
      .m_tready
  );
endmodule
