// Product with weights of WEIGHT_BITS = 2 or more bits, integers from -2**(WEIGHT_BITS-1) to 2**(WEIGHT_BITS-1).
//
// Twice a weight is the sum of WEIGHT_BITS + 1 digits, each -1 or +1, scaled by 1, 1, 2, 4, ..., 2**(WEIGHT_BITS-1). Each
// digit is a row of a binary product; the rows' results are scaled and summed. For one-bit inputs (-1 and +1) the sum is the
// product plus MW * 2**(WEIGHT_BITS-1). For integers it is twice the product plus a constant of the row; half of it, rounded
// down, is the product plus half the constant. OFFSETS, if given, removes these constants.
//
// WEIGHTS: as in zc_xnor_mvau, the rows of a channel one after the other. OFFSETS: as in zc_plane_sum.
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
