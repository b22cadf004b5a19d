// Multiplies each of GROUPS groups of a window's channels by its own binary weights. A cycle processes INS channels of each
// of PE groups, for all OUTS rows of a group. Groups with one channel in and one out make a depthwise convolution.
//
// A window arrives group by group, each with all its pixels, in the order of zc_windows with APART: AREA words for each PE
// groups. Results equal those of zc_xnor_mvau without offsets or, with weights of several bits, those of zc_plane_mvau. A
// window takes GROUPS/PE * AREA cycles, without gaps.
//
// WEIGHTS: hex file of words in order of use; bit (pe*ROWS + row)*INS + i of a word is 1 for +1. With several WEIGHT_BITS,
// each row becomes WEIGHT_BITS + 1 rows, as in zc_plane_mvau.
module zc_grouped_mvau #(
    parameter int GROUPS = 8,
    parameter int PE = 1,
    parameter int INS = 1,
    parameter int OUTS = 1,
    parameter int AREA = 9,
    parameter int IN_BITS = 1,
    parameter int WEIGHT_BITS = 1,
    parameter int OUT_BITS = 4,
    parameter WEIGHTS = "weights.mem",
    parameter RAM_STYLE = "distributed"
) (
    input  logic                        clk,
    input  logic                        rst_n,
    input  logic [  PE*INS*IN_BITS-1:0] s_tdata,
    input  logic                        s_tvalid,
    output logic                        s_tready,
    output logic [PE*OUTS*OUT_BITS-1:0] m_tdata,
    output logic                        m_tvalid,
    input  logic                        m_tready
);
  localparam int PLANES = WEIGHT_BITS == 1 ? 1 : WEIGHT_BITS + 1;
  localparam int ROWS = OUTS * PLANES;
  localparam int LANES = PE * ROWS;
  localparam int LANE_BITS = $clog2(AREA * INS * ((1 << IN_BITS) - 1) + 1);
  localparam int DEPTH = GROUPS / PE * AREA;
  localparam int DEPTH_BITS = DEPTH > 1 ? $clog2(DEPTH) : 1;
  localparam bit COUNTED = IN_BITS == 1 && INS > 1;
  localparam int SUMMING = COUNTED ? 1 + $clog2((INS + 5) / 6) : $clog2(INS);
  localparam int SUM = COUNTED ? 2 + SUMMING : IN_BITS + SUMMING;
  localparam int LATENCY = 2 + SUMMING;  // cycles from a word to its sum

  // The whole pipeline advances together; it stops if a result is complete and the previous one has not been taken.
  logic [LANES*LANE_BITS-1:0] lanes_tdata;
  logic lanes_tvalid, lanes_tready;
  logic en, sum_valid, sum_last;
  assign en = AREA > 1 ? !(lanes_tvalid && sum_valid && sum_last) : lanes_tready || !lanes_tvalid;
  assign s_tready = en;
  wire issue = s_tvalid && en;
  wire pixel_last;
  zc_counter #(.COUNT(AREA)) pixel (.clk, .rst_n, .step(issue), .last(pixel_last));

  logic [PE*INS*IN_BITS-1:0] x;
  logic [LANES*INS-1:0] weights;
  always_ff @(posedge clk) if (en) x <= s_tdata;
  if (DEPTH == 1) begin : g_constants
    logic [LANES*INS-1:0] rom[1];
    initial $readmemh(WEIGHTS, rom);
    assign weights = rom[0];
  end else begin : g_weights
    // Yosys builds a ROM in LUTs if ram_style is "registers"; Vivado reads rom_style.
    localparam string ROM_STYLE = RAM_STYLE == "distributed" ? "registers" : RAM_STYLE;
    (* ram_style = ROM_STYLE, rom_style = RAM_STYLE *)
    logic [LANES*INS-1:0] rom[DEPTH];
    initial $readmemh(WEIGHTS, rom);
    logic [DEPTH_BITS-1:0] address;
    always_ff @(posedge clk) begin
      if (!rst_n) address <= '0;
      else if (issue) address <= address == DEPTH_BITS'(DEPTH - 1) ? '0 : address + 1'b1;
    end
    always_ff @(posedge clk) if (en) weights <= rom[address];
  end

  // Flags that travel with the sums: whether a sum is valid, and whether it is the last of its row.
  logic [LATENCY-1:0] valid, last;
  always_ff @(posedge clk) begin
    if (!rst_n) valid <= '0;
    else if (en) valid <= LATENCY'({valid, issue});
    if (en) last <= LATENCY'({last, pixel_last});
  end
  assign sum_valid = valid[LATENCY-1];
  assign sum_last  = last[LATENCY-1];
  logic begins;
  always_ff @(posedge clk) begin
    if (!rst_n) begins <= 1'b1;
    else if (en && sum_valid) begins <= sum_last;
  end

  for (genvar lane = 0; lane < LANES; lane++) begin : g_lane
    // x for +1, its complement for -1; their sum; accumulators, restarted for each row.
    logic [INS*IN_BITS-1:0] terms;
    for (genvar i = 0; i < INS; i++) begin : g_term
      wire [IN_BITS-1:0] value = x[(lane/ROWS*INS+i)*IN_BITS+:IN_BITS];
      always_ff @(posedge clk) if (en) terms[i*IN_BITS+:IN_BITS] <= value ^ {IN_BITS{!weights[lane*INS+i]}};
    end
    logic [SUM-1:0] sum;
    if (COUNTED) begin : g_count
      zc_popcount #(
          .N(INS)
      ) popcount (
          .clk,
          .en,
          .bits (terms),
          .count(sum)
      );
    end else begin : g_sum
      zc_sum #(
          .N(INS),
          .W(IN_BITS)
      ) add (
          .clk,
          .en,
          .terms,
          .sum
      );
    end
    logic [LANE_BITS-1:0] partial;
    wire [LANE_BITS-1:0] so_far = begins || AREA == 1 ? '0 : partial;
    wire [LANE_BITS-1:0] total = so_far + LANE_BITS'(sum);
    always_ff @(posedge clk) begin
      if (en && sum_valid) partial <= total;
      if (en && sum_valid && sum_last) lanes_tdata[lane*LANE_BITS+:LANE_BITS] <= total;
    end
  end
  always_ff @(posedge clk) begin
    if (!rst_n) lanes_tvalid <= 1'b0;
    else if (en && sum_valid && sum_last) lanes_tvalid <= 1'b1;
    else if (lanes_tready) lanes_tvalid <= 1'b0;
  end

  if (WEIGHT_BITS == 1) begin : g_binary
    assign m_tdata = lanes_tdata;
    assign m_tvalid = lanes_tvalid;
    assign lanes_tready = m_tready;
  end else begin : g_planes
    zc_plane_sum #(
        .PE(PE * OUTS),
        .PLANES(PLANES),
        .BITS(LANE_BITS),
        .HALVED(IN_BITS > 1),
        .OUT_BITS(OUT_BITS)
    ) planes (
        .clk,
        .rst_n,
        .s_tdata (lanes_tdata),
        .s_tvalid(lanes_tvalid),
        .s_tready(lanes_tready),
        .m_tdata,
        .m_tvalid,
        .m_tready
    );
  end
endmodule
