// A line of accumulators per channel: (factor * accumulator << SHIFT) + bias, two's complement.
//
// BIASES: hex file of CHANNELS / PE words of PE * OUT_BITS bits, added in turn.
// FACTOR_BITS: bits of a factor, two's complement; 0 for no multiplication.
// FACTORS: hex file of CHANNELS / PE words of PE * FACTOR_BITS bits.
module zc_bias #(
    parameter int CHANNELS = 10,
    parameter int PE = 1,
    parameter int IN_BITS = 8,
    parameter bit SIGNED = 0,
    parameter int SHIFT = 0,
    parameter int OUT_BITS = 10,
    parameter BIASES = "biases.mem",
    parameter int FACTOR_BITS = 0,
    parameter FACTORS = ""
) (
    input  logic                   clk,
    input  logic                   rst_n,
    input  logic [ PE*IN_BITS-1:0] s_tdata,
    input  logic                   s_tvalid,
    output logic                   s_tready,
    output logic [PE*OUT_BITS-1:0] m_tdata,
    output logic                   m_tvalid,
    input  logic                   m_tready
);
  localparam int FOLDS = CHANNELS / PE;
  localparam int FOLD_BITS = FOLDS > 1 ? $clog2(FOLDS) : 1;
  (* ram_style = "registers", rom_style = "distributed" *)
  logic [PE*OUT_BITS-1:0] rom[FOLDS];
  initial $readmemh(BIASES, rom);

  wire en = m_tready || !m_tvalid;
  assign s_tready = en;

  // Accumulators, extended to the output's width; multiplied, which takes a cycle, or as they arrive.
  logic [PE*OUT_BITS-1:0] values;
  logic valid;
  if (FACTOR_BITS > 0) begin : g_factors
    (* ram_style = "registers", rom_style = "distributed" *)
    logic [PE*FACTOR_BITS-1:0] factor_rom[FOLDS];
    initial $readmemh(FACTORS, factor_rom);
    logic [FOLD_BITS-1:0] ahead;
    wire [PE*FACTOR_BITS-1:0] factors = factor_rom[ahead];
    always_ff @(posedge clk) begin
      if (!rst_n) begin
        valid <= 1'b0;
        ahead <= '0;
      end else if (en) begin
        valid <= s_tvalid;
        if (s_tvalid) ahead <= ahead == FOLD_BITS'(FOLDS - 1) ? '0 : ahead + 1'b1;
      end
    end
    for (genvar lane = 0; lane < PE; lane++) begin : g_lane
      wire [IN_BITS-1:0] value = s_tdata[lane*IN_BITS+:IN_BITS];
      wire signed [IN_BITS:0] wide = {SIGNED & value[IN_BITS-1], value};
      wire signed [FACTOR_BITS-1:0] factor = factors[lane*FACTOR_BITS+:FACTOR_BITS];
      logic signed [IN_BITS+FACTOR_BITS:0] product;
      always_ff @(posedge clk) if (en && s_tvalid) product <= wide * factor;
      assign values[lane*OUT_BITS+:OUT_BITS] = OUT_BITS'(product);
    end
  end else begin : g_plain
    assign valid = s_tvalid;
    for (genvar lane = 0; lane < PE; lane++) begin : g_lane
      wire [IN_BITS-1:0] value = s_tdata[lane*IN_BITS+:IN_BITS];
      assign values[lane*OUT_BITS+:OUT_BITS] = SIGNED ? OUT_BITS'($signed(value)) : OUT_BITS'(value);
    end
  end

  wire take = en && valid;
  logic [FOLD_BITS-1:0] fold;
  wire [PE*OUT_BITS-1:0] biases = rom[fold];
  always_ff @(posedge clk) begin
    if (!rst_n) begin
      m_tvalid <= 1'b0;
      fold <= '0;
    end else if (en) begin
      m_tvalid <= valid;
      if (take) fold <= fold == FOLD_BITS'(FOLDS - 1) ? '0 : fold + 1'b1;
    end
  end
  for (genvar lane = 0; lane < PE; lane++) begin : g_sum
    wire [OUT_BITS-1:0] value = values[lane*OUT_BITS+:OUT_BITS];
    always_ff @(posedge clk) begin
      if (take) m_tdata[lane*OUT_BITS+:OUT_BITS] <= (value << SHIFT) + biases[lane*OUT_BITS+:OUT_BITS];
    end
  end
endmodule
