// Compares each value with BITS thresholds of its channel: bit i is 1 where the value is at least threshold i.
//
// A pixel has FOLDS words of PE channels, or any number of words with the same thresholds if FOLDS is 1. THRESHOLDS: hex file of FOLDS words of PE * BITS thresholds of T_BITS bits, those of
// a channel side by side. The lowest SHIFT bits of all thresholds are 0 and left out: they decide no comparison.
//
// Thresholds in LUTs are constants that the fold selects, so that a word needs one cycle. RAM_STYLE "block" reads them from
// block RAM, which takes another cycle.
module zc_thermometer #(
    parameter int FOLDS = 1,
    parameter int PE = 1,
    parameter int IN_BITS = 8,
    parameter int BITS = 3,
    parameter int T_BITS = 8,
    parameter int SHIFT = 0,
    parameter THRESHOLDS = "thresholds.mem",
    parameter RAM_STYLE = "distributed"
) (
    input  logic                  clk,
    input  logic                  rst_n,
    input  logic [PE*IN_BITS-1:0] s_tdata,
    input  logic                  s_tvalid,
    output logic                  s_tready,
    output logic [   PE*BITS-1:0] m_tdata,
    output logic                  m_tvalid,
    input  logic                  m_tready
);
  localparam int FOLD_BITS = FOLDS > 1 ? $clog2(FOLDS) : 1;
  localparam int WIDTH = PE * BITS * T_BITS;

  wire en = m_tready || !m_tvalid;
  assign s_tready = en;

  logic [FOLD_BITS-1:0] fold;
  always_ff @(posedge clk) begin
    if (!rst_n) fold <= '0;
    else if (s_tvalid && en) fold <= fold == FOLD_BITS'(FOLDS - 1) ? '0 : fold + 1'b1;
  end

  logic [PE*IN_BITS-1:0] values;
  logic [WIDTH-1:0] here;
  logic valid;
  if (RAM_STYLE == "block") begin : g_block
    (* ram_style = "block", rom_style = "block" *)
    logic [WIDTH-1:0] rom[FOLDS];
    initial $readmemh(THRESHOLDS, rom);
    always_ff @(posedge clk) begin
      if (!rst_n) valid <= 1'b0;
      else if (en) valid <= s_tvalid;
      if (en) values <= s_tdata;
      if (en) here <= rom[fold];
    end
  end else begin : g_constants
    assign values = s_tdata;
    assign valid  = s_tvalid;
    // Synthesis reads the thresholds as constants, which it merges with the comparisons; see zc_crossings.
    logic [WIDTH-1:0] rom[FOLDS];
    initial $readmemh(THRESHOLDS, rom);
`ifdef SYNTHESIS
    logic [FOLDS-1:0][WIDTH-1:0] constants;
    for (genvar i = 0; i < FOLDS; i++) assign constants[i] = rom[i];
    assign here = constants[fold];
`else
    assign here = rom[fold];
`endif
  end

  always_ff @(posedge clk) begin
    if (!rst_n) m_tvalid <= 1'b0;
    else if (en) m_tvalid <= valid;
  end
  localparam int COMPARED = IN_BITS - SHIFT > T_BITS ? IN_BITS - SHIFT : T_BITS;
`ifdef SYNTHESIS
  // Written bit by bit, a comparison with a constant needs fewer LUTs than a carry chain; another one needs more.
  function automatic logic reaches(logic [COMPARED-1:0] value, logic [COMPARED-1:0] threshold);
    reaches = 1'b1;
    for (int i = 0; i < COMPARED; i++) begin
      reaches = value[i] && !threshold[i] || reaches && value[i] == threshold[i];
    end
  endfunction
  for (genvar lane = 0; lane < PE * BITS; lane++) begin : g_compare
    wire [COMPARED-1:0] value = COMPARED'(values[lane/BITS*IN_BITS+SHIFT+:IN_BITS-SHIFT]);
    wire [COMPARED-1:0] threshold = COMPARED'(here[lane*T_BITS+:T_BITS]);
    wire reached = FOLDS == 1 ? reaches(value, threshold) : value >= threshold;
    always_ff @(posedge clk) if (en) m_tdata[lane] <= reached;
  end
`else
  // A loop compiles faster than a block for each of thousands of bits.
  function automatic logic [PE*BITS-1:0] all_reached(logic [PE*IN_BITS-1:0] value, logic [WIDTH-1:0] threshold);
    for (int lane = 0; lane < PE * BITS; lane++) begin
      all_reached[lane] = COMPARED'(value[lane/BITS*IN_BITS+SHIFT+:IN_BITS-SHIFT]) >= COMPARED'(threshold[lane*T_BITS+:T_BITS]);
    end
  endfunction
  always_ff @(posedge clk) if (en) m_tdata <= all_reached(values, here);
`endif
endmodule
