// Product of a vector of MW elements with MH x MW binary weights: PE rows and SIMD columns a cycle.
//
// Inputs of IN_BITS unsigned bits are taken a bit plane at a time; each plane is an XNOR-popcount, and planes
// are summed with their powers of two. With one bit this is the popcount of a binary product. With more it is
//     sum of (w = +1: x, w = -1: 2**IN_BITS - 1 - x),
// that is the product of x with -1 and +1 plus (2**IN_BITS - 1) times the row's number of -1; OFFSETS, if given, takes
// that constant off again. Crossings behind it can absorb the constant for nothing.
//
// The next vector is taken in while this one is replayed: a vector every MW/SIMD * MH/PE cycles, without gaps.
//
// WEIGHTS: hex file of words in the order they are used (columns fastest); bit pe*SIMD + i of a word is 1 for +1.
// OFFSETS: hex file of MH/PE words of PE * OUT_BITS bits, two's complement; "" for none.
module zc_xnor_mvau #(
    parameter int MW = 64,
    parameter int MH = 64,
    parameter int PE = 8,
    parameter int SIMD = 16,
    parameter int IN_BITS = 1,
    parameter int OUT_BITS = $clog2(MW * ((1 << IN_BITS) - 1) + 1),
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
  localparam int SF = MW / SIMD;
  localparam int NF = MH / PE;
  localparam int DEPTH = SF * NF;
  localparam int SF_BITS = SF > 1 ? $clog2(SF) : 1;
  localparam int DEPTH_BITS = DEPTH > 1 ? $clog2(DEPTH) : 1;
  localparam int WORD = SIMD * IN_BITS;

  // The whole pipeline moves together, unless a finished word waits to be taken.
  wire en = m_tready || !m_tvalid;

  // Where the current vector is being read: word column, and weight word address.
  logic issue;
  logic [SF_BITS-1:0] column;
  logic [DEPTH_BITS-1:0] address;
  wire column_last = column == SF_BITS'(SF - 1);
  wire vector_last = address == DEPTH_BITS'(DEPTH - 1);
  always_ff @(posedge clk) begin
    if (!rst_n) begin
      column  <= '0;
      address <= '0;
    end else if (issue) begin
      column  <= column_last ? '0 : column + 1'b1;
      address <= vector_last ? '0 : address + 1'b1;
    end
  end

  // Inputs: straight in where they are used once, else through a double buffer.
  logic [WORD-1:0] x;
  if (NF == 1) begin : g_straight
    assign issue = s_tvalid && en;
    assign s_tready = en;
    always_ff @(posedge clk) if (en) x <= s_tdata;
  end else begin : g_buffer
    (* ram_style = BUFFER_STYLE *)
    logic [WORD-1:0] buffer[2 << SF_BITS];
    logic [SF_BITS-1:0] write_column;
    logic write_bank, read_bank;
    logic [1:0] full;  // banks that hold a whole vector
    wire write = s_tvalid && s_tready;
    wire filled = write && write_column == SF_BITS'(SF - 1);
    wire freed = issue && vector_last;
    assign s_tready = !full[1];
    // A vector's first pass may follow close behind its writing.
    assign issue = en && (full != 0 || write_column > column);
    always_ff @(posedge clk) begin
      if (!rst_n) begin
        write_column <= '0;
        write_bank <= 1'b0;
        read_bank <= 1'b0;
        full <= '0;
      end else begin
        if (write) write_column <= filled ? '0 : write_column + 1'b1;
        write_bank <= write_bank ^ filled;
        read_bank <= read_bank ^ freed;
        full <= full + 2'(filled) - 2'(freed);
      end
    end
    always_ff @(posedge clk) begin
      if (write) buffer[{write_bank, write_column}] <= s_tdata;
      if (en) x <= buffer[{read_bank, column}];
    end
  end

  logic [PE*SIMD-1:0] weights;
  if (DEPTH == 1) begin : g_constants
    logic [PE*SIMD-1:0] rom[1];
    initial $readmemh(WEIGHTS, rom);
    assign weights = rom[0];
  end else begin : g_weights
    // Yosys knows a ROM in LUTs as a RAM in registers; Vivado reads rom_style.
    localparam string ROM_STYLE = RAM_STYLE == "distributed" ? "registers" : RAM_STYLE;
    (* ram_style = ROM_STYLE, rom_style = RAM_STYLE *)
    logic [PE*SIMD-1:0] rom[DEPTH];
    initial $readmemh(WEIGHTS, rom);
    always_ff @(posedge clk) if (en) weights <= rom[address];
  end

  // Popcount of each lane and bit plane; sums of planes.
  localparam int COUNT = $clog2(SIMD + 1);
  localparam int SUM = COUNT + $clog2(IN_BITS) + (1 << $clog2(IN_BITS)) - 1;
  localparam int LATENCY = 4 + $clog2((SIMD + 17) / 18) + $clog2(IN_BITS);  // from issue to sum
  logic [PE*SUM-1:0] sums;
  for (genvar pe = 0; pe < PE; pe++) begin : g_lane
    logic [IN_BITS*COUNT-1:0] counts;
    for (genvar plane = 0; plane < IN_BITS; plane++) begin : g_plane
      logic [SIMD-1:0] bits;
      for (genvar i = 0; i < SIMD; i++) begin : g_bit
        assign bits[i] = x[i*IN_BITS+plane];
      end
      zc_xnor_popcount #(
          .N(SIMD)
      ) popcount (
          .clk,
          .en,
          .x(bits),
          .w(weights[pe*SIMD+:SIMD]),
          .count(counts[plane*COUNT+:COUNT])
      );
    end
    zc_sum #(
        .N(IN_BITS),
        .W(COUNT),
        .SHIFT(1)
    ) planes (
        .clk,
        .en,
        .terms(counts),
        .sum  (sums[pe*SUM+:SUM])
    );
  end

  // What travels beside the sums: is it one, and is it its row's last.
  logic [LATENCY-1:0] valid, last;
  always_ff @(posedge clk) begin
    if (!rst_n) valid <= '0;
    else if (en) valid <= LATENCY'({valid, issue});
    if (en) last <= LATENCY'({last, column_last});
  end
  wire sum_valid = valid[LATENCY-1];
  wire sum_last = last[LATENCY-1];

  // Accumulators, which are the output registers too: nothing moves while they wait.
  logic [PE*OUT_BITS-1:0] start;
  if (OFFSETS == "") begin : g_no_offsets
    assign start = '0;
  end else begin : g_offsets
    (* ram_style = "registers", rom_style = "distributed" *)
    logic [PE*OUT_BITS-1:0] rom[NF];
    initial $readmemh(OFFSETS, rom);
    localparam int NF_BITS = NF > 1 ? $clog2(NF) : 1;
    logic [NF_BITS-1:0] fold;
    always_ff @(posedge clk) begin
      if (!rst_n) fold <= '0;
      else if (en && sum_valid && sum_last) fold <= fold == NF_BITS'(NF - 1) ? '0 : fold + 1'b1;
    end
    assign start = rom[fold];
  end

  logic begins;
  if (SF == 1) begin : g_one_word
    assign begins = 1'b1;
  end else begin : g_words
    always_ff @(posedge clk) begin
      if (!rst_n) begins <= 1'b1;
      else if (en && sum_valid) begins <= sum_last;
    end
  end
  for (genvar pe = 0; pe < PE; pe++) begin : g_accumulate
    wire [OUT_BITS-1:0] previous = begins ? start[pe*OUT_BITS+:OUT_BITS] : m_tdata[pe*OUT_BITS+:OUT_BITS];
    always_ff @(posedge clk) begin
      if (en && sum_valid) m_tdata[pe*OUT_BITS+:OUT_BITS] <= OUT_BITS'(sums[pe*SUM+:SUM]) + previous;
    end
  end
  always_ff @(posedge clk) begin
    if (!rst_n) m_tvalid <= 1'b0;
    else if (en) m_tvalid <= sum_valid && sum_last;
  end
endmodule
