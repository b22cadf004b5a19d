// Converts accumulators to bits: a channel's bit is its first bit, flipped by every crossing that the accumulator passed.
//
// An output of several BITS has one bit plane per bit. Plane j has its own row of crossings; lane l*BITS + j below reads
// value l. Channel c's value is on lane c mod PE. A row with fewer than LIMIT crossings begins with extra crossings at 0,
// which every accumulator has passed; its first bit compensates for them.
//
// WAY: "comparators": LIMIT comparators per lane, in parallel;
//      "search": binary search through LIMIT = 2**stages - 1 sorted crossings, one stage per cycle;
//      "table": all bits in a table, addressed by fold and accumulator; two lanes share a memory, one read port each.
// SIGNED: 2**(IN_BITS - 1) is added to each accumulator; the values in the files already include it.
// PREFIX names the hex files: PREFIX + first.mem, thresholds_<lane>.mem, search_<lane>_<stage>.mem, table_<lane/2>.mem.
module zc_crossings #(
    parameter int CHANNELS = 64,
    parameter int PE = 8,
    parameter int IN_BITS = 7,
    parameter int BITS = 1,
    parameter bit SIGNED = 0,
    parameter int LIMIT = 1,
    parameter WAY = "comparators",
    parameter PREFIX = "",
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
  localparam int FOLDS = CHANNELS / PE;
  localparam int LANES = PE * BITS;
  localparam int FOLD_BITS = FOLDS > 1 ? $clog2(FOLDS) : 1;
  localparam int STAGES = $clog2(LIMIT + 1);
  localparam int LATENCY = WAY == "search" ? STAGES : WAY == "table" ? 1 : 2;

  // Yosys builds a ROM in LUTs if ram_style is "registers"; Vivado reads rom_style.
  localparam string ROM_STYLE = RAM_STYLE == "distributed" ? "registers" : RAM_STYLE;

  wire en = m_tready || !m_tvalid;
  assign s_tready = en;

  logic [FOLD_BITS-1:0] fold;
  always_ff @(posedge clk) begin
    if (!rst_n) fold <= '0;
    else if (s_tvalid && en) fold <= fold == FOLD_BITS'(FOLDS - 1) ? '0 : fold + 1'b1;
  end

  logic [LATENCY-1:0] valid;
  always_ff @(posedge clk) begin
    if (!rst_n) valid <= '0;
    else if (en) valid <= LATENCY'({valid, s_tvalid});
  end
  assign m_tvalid = valid[LATENCY-1];

  wire [PE*IN_BITS-1:0] values = s_tdata ^ {PE{IN_BITS'(SIGNED) << (IN_BITS - 1)}};

  // The fold of the values in each stage; the first bits of each fold.
  logic [FOLD_BITS-1:0] folds[LATENCY];
  assign folds[0] = fold;
  for (genvar i = 1; i < LATENCY; i++) begin : g_folds
    always_ff @(posedge clk) if (en) folds[i] <= folds[i-1];
  end
  // Synthesis reads small ROMs as constants that an address selects. As memories they would get registers of their own, and
  // it could not merge them with the logic behind. Simulation reads the same words from memories, which is faster.
`ifdef SYNTHESIS
  logic [FOLDS-1:0][LANES-1:0] first;
`else
  logic [LANES-1:0] first[FOLDS];
`endif
  if (WAY != "table") begin : g_first
`ifdef SYNTHESIS
    logic [LANES-1:0] rom[FOLDS];
    initial $readmemh({PREFIX, "first.mem"}, rom);
    for (genvar i = 0; i < FOLDS; i++) assign first[i] = rom[i];
`else
    initial $readmemh({PREFIX, "first.mem"}, first);
`endif
  end

  for (genvar lane = 0; lane < LANES; lane++) begin : g_lane
    wire [IN_BITS-1:0] value = values[lane/BITS*IN_BITS+:IN_BITS];
    if (WAY == "table") begin : g_table
      if (lane % 2 == 0) begin : g_pair
        (* ram_style = ROM_STYLE, rom_style = RAM_STYLE *)
        logic table_bits[2 << (FOLD_BITS + IN_BITS)];
        initial $readmemh($sformatf("%stable_%0d.mem", PREFIX, lane / 2), table_bits);
        wire [FOLD_BITS+IN_BITS-1:0] place = {fold, value};
        always_ff @(posedge clk) if (en) m_tdata[lane] <= table_bits[{1'b0, place}];
        if (lane + 1 < LANES) begin : g_second
          wire [FOLD_BITS+IN_BITS-1:0] other = {fold, values[(lane+1)/BITS*IN_BITS+:IN_BITS]};
          always_ff @(posedge clk) if (en) m_tdata[lane+1] <= table_bits[{1'b1, other}];
        end
      end
    end else if (WAY == "search") begin : g_search
      // Stage i receives the upper i bits of the count and finds the next bit.
      logic [IN_BITS-1:0] held[STAGES];
      logic [STAGES-1:0] counts[STAGES];
      assign held[0] = value;
      assign counts[0] = '0;
      for (genvar stage = 0; stage < STAGES; stage++) begin : g_stage
        localparam int WORDS = FOLDS << stage;
`ifdef SYNTHESIS
        logic [IN_BITS-1:0] rom[WORDS];
        initial $readmemh($sformatf("%ssearch_%0d_%0d.mem", PREFIX, lane, stage), rom);
        logic [WORDS-1:0][IN_BITS-1:0] thresholds;
        for (genvar i = 0; i < WORDS; i++) assign thresholds[i] = rom[i];
`else
        logic [IN_BITS-1:0] thresholds[WORDS];
        initial $readmemh($sformatf("%ssearch_%0d_%0d.mem", PREFIX, lane, stage), thresholds);
`endif
        localparam int PLACE = FOLD_BITS + stage;
        wire [PLACE-1:0] place = (PLACE'(folds[stage]) << stage) | PLACE'(counts[stage]);
        wire passed = held[stage] >= thresholds[place];
        if (stage < STAGES - 1) begin : g_next
          always_ff @(posedge clk) begin
            if (en) begin
              held[stage+1]   <= held[stage];
              counts[stage+1] <= STAGES'({counts[stage], passed});
            end
          end
        end else begin : g_last
          // The last bit of the count is its parity.
          always_ff @(posedge clk) if (en) m_tdata[lane] <= passed ^ first[folds[stage]][lane];
        end
      end
    end else begin : g_comparators
`ifdef SYNTHESIS
      logic [LIMIT*IN_BITS-1:0] rom[FOLDS];
      initial $readmemh($sformatf("%sthresholds_%0d.mem", PREFIX, lane), rom);
      logic [FOLDS-1:0][LIMIT*IN_BITS-1:0] thresholds;
      for (genvar i = 0; i < FOLDS; i++) assign thresholds[i] = rom[i];
`else
      logic [LIMIT*IN_BITS-1:0] thresholds[FOLDS];
      initial $readmemh($sformatf("%sthresholds_%0d.mem", PREFIX, lane), thresholds);
`endif
      wire [LIMIT*IN_BITS-1:0] here = thresholds[fold];
      logic [LIMIT-1:0] passed;
      for (genvar i = 0; i < LIMIT; i++) begin : g_compare
        always_ff @(posedge clk) if (en) passed[i] <= value >= here[i*IN_BITS+:IN_BITS];
      end
      always_ff @(posedge clk) if (en) m_tdata[lane] <= ^passed ^ first[folds[1]][lane];
    end
  end
endmodule
