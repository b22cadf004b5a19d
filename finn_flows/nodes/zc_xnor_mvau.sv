// Product of a vector of MW elements with MH x MW binary weights: PE rows and SIMD columns per cycle.
//
// Inputs are unsigned numbers of IN_BITS bits. Each bit plane has its own XNOR-popcount; the counts are summed with their
// powers of two. With one bit the result is the popcount of a binary product. With more it is
//     sum of (w = +1: x, w = -1: 2**IN_BITS - 1 - x),
// which is the product of x with the weights -1 and +1, plus (2**IN_BITS - 1) times the number of -1 in the row. OFFSETS, if
// given, removes that constant; crossings behind the product can absorb it at no cost.
//
// The next vector arrives while this one is replayed: one vector every MW/SIMD * MH/PE cycles, without gaps. If a result
// needs several input words, it waits in a separate register, and s_tready does not depend on m_tready.
//
// WEIGHTS: hex file of words in order of use (columns fastest); bit pe*SIMD + i of a word is 1 for +1. If there are several
// words, the first bit of each triple is the parity of the three instead (see zc_xnor_popcount).
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

  // The whole pipeline advances together; it stops if a result is complete and the previous one has not been taken.
  logic en, sum_valid, sum_last;
  assign en = SF > 1 ? !(m_tvalid && sum_valid && sum_last) : m_tready || !m_tvalid;

  // As in the weights, each triple's first element becomes the parity of the triple, in each plane.
  logic [WORD-1:0] word;
  if (DEPTH > 1) begin : g_recode
    localparam int FIRST = (SIMD + 2) / 3 * IN_BITS;
    wire [FIRST-1:0] second, third;
    zc_slices #(.N(SIMD), .BITS(IN_BITS)) triples (.bits(s_tdata), .second, .third);
    always_comb begin
      word = s_tdata;
      word[FIRST-1:0] = s_tdata[FIRST-1:0] ^ second ^ third;
    end
  end else begin : g_same
    assign word = s_tdata;
  end

  // Read position in the current vector: word column and weight word address.
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

  // Inputs that are used once go straight in; others go through a double buffer.
  logic [WORD-1:0] x_read;
  if (NF == 1) begin : g_straight
    assign issue = s_tvalid && en;
    assign s_tready = en;
    always_ff @(posedge clk) if (en) x_read <= word;
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
    // The first pass over a vector may follow right behind its writing.
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
      if (write) buffer[{write_bank, write_column}] <= word;
      if (en) x_read <= buffer[{read_bank, column}];
    end
  end

  // A block RAM has a slow output: a register holds its words before they are used.
  localparam bit REST = DEPTH > 1 && RAM_STYLE != "distributed";
  logic [PE*SIMD-1:0] weights_read, weights;
  logic [WORD-1:0] x;
  if (DEPTH == 1) begin : g_constants
    logic [PE*SIMD-1:0] rom[1];
    initial $readmemh(WEIGHTS, rom);
    assign weights_read = rom[0];
  end else begin : g_weights
    // Yosys builds a ROM in LUTs if ram_style is "registers"; Vivado reads rom_style.
    localparam string ROM_STYLE = RAM_STYLE == "distributed" ? "registers" : RAM_STYLE;
    (* ram_style = ROM_STYLE, rom_style = RAM_STYLE *)
    logic [PE*SIMD-1:0] rom[DEPTH];
    initial $readmemh(WEIGHTS, rom);
    always_ff @(posedge clk) if (en) weights_read <= rom[address];
  end
  if (REST) begin : g_rest
    always_ff @(posedge clk) if (en) {weights, x} <= {weights_read, x_read};
  end else begin : g_no_rest
    assign {weights, x} = {weights_read, x_read};
  end

  // Popcount of each lane and bit plane; sums of planes.
  localparam int COUNT = $clog2(SIMD + 1);
  localparam int SUM = COUNT + $clog2(IN_BITS) + (1 << $clog2(IN_BITS)) - 1;
  localparam int COUNTING = (DEPTH > 1 ? 3 : 2) + $clog2((majorities() + 5) / 6);
  localparam int LATENCY = 1 + REST + COUNTING + $clog2(IN_BITS);  // cycles from issue to sum
  // Majorities in a popcount of SIMD bits: one per triple at each level. Constant weights use all levels, others two.
  function automatic int majorities();
    int total = 0;
    int n = SIMD;
    for (int level = 0; DEPTH > 1 ? level < 2 : n > 1; level++) begin
      n = (n + 2) / 3;
      total += n;
    end
    return total;
  endfunction
  logic [PE*SUM-1:0] sums;
  for (genvar pe = 0; pe < PE; pe++) begin : g_lane
    logic [IN_BITS*COUNT-1:0] counts;
    for (genvar plane = 0; plane < IN_BITS; plane++) begin : g_plane
      logic [SIMD-1:0] bits;
      for (genvar i = 0; i < SIMD; i++) begin : g_bit
        assign bits[i] = x[i*IN_BITS+plane];
      end
      if (DEPTH == 1) begin : g_constants
        zc_constant_popcount #(
            .N(SIMD)
        ) popcount (
            .clk,
            .en,
            .x(bits),
            .w(weights[pe*SIMD+:SIMD]),
            .count(counts[plane*COUNT+:COUNT])
        );
      end else begin : g_weights
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

  // Flags that travel with the sums: whether a sum is valid, and whether it is the last of its row.
  logic [LATENCY-1:0] valid, last;
  always_ff @(posedge clk) begin
    if (!rst_n) valid <= '0;
    else if (en) valid <= LATENCY'({valid, issue});
    if (en) last <= LATENCY'({last, column_last});
  end
  assign sum_valid = valid[LATENCY-1];
  assign sum_last  = last[LATENCY-1];

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

  // Accumulators, restarted for each row; complete ones move to the output.
  logic begins;
  always_ff @(posedge clk) begin
    if (!rst_n) begins <= 1'b1;
    else if (en && sum_valid) begins <= sum_last;
  end
  for (genvar pe = 0; pe < PE; pe++) begin : g_accumulate
    logic [OUT_BITS-1:0] partial;
    wire [OUT_BITS-1:0] previous = begins || SF == 1 ? start[pe*OUT_BITS+:OUT_BITS] : partial;
    wire [OUT_BITS-1:0] total = OUT_BITS'(sums[pe*SUM+:SUM]) + previous;
    always_ff @(posedge clk) begin
      if (en && sum_valid) partial <= total;
      if (en && sum_valid && sum_last) m_tdata[pe*OUT_BITS+:OUT_BITS] <= total;
    end
  end
  always_ff @(posedge clk) begin
    if (!rst_n) m_tvalid <= 1'b0;
    else if (en && sum_valid && sum_last) m_tvalid <= 1'b1;
    else if (m_tready) m_tvalid <= 1'b0;
  end
endmodule
