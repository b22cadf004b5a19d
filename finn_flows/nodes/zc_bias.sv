// A line of accumulators per channel: (factor * accumulator << SHIFT) + bias, two's complement.
//
// BIASES: hex file of CHANNELS / PE words of PE biases, added in turn. A bias has OUT_BITS bits; with factors, one more at the
// top, which tells that the factor is negative.
// FACTOR_BITS: bits of a factor's magnitude; 0 for no factors.
// FACTORS: hex file of CHANNELS / PE words of PE * FACTOR_BITS bits.
//
// With factors, a signed accumulator is read as the unsigned number that is 2**(IN_BITS-1) higher; the biases account for it.
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
  localparam int BIAS_BITS = OUT_BITS + (FACTOR_BITS > 0 ? 1 : 0);
  (* ram_style = "registers", rom_style = "distributed" *)
  logic [PE*BIAS_BITS-1:0] rom[FOLDS];
  initial $readmemh(BIASES, rom);

  wire en = m_tready || !m_tvalid;
  assign s_tready = en;

  // Accumulators in the output's width: multiplied by the tree of digits, or as they arrive.
  logic [PE*OUT_BITS-1:0] values;
  logic valid;
  if (FACTOR_BITS > 0) begin : g_factors
    localparam int LEVELS = $clog2(FACTOR_BITS);
    (* ram_style = "registers", rom_style = "distributed" *)
    logic [PE*FACTOR_BITS-1:0] factor_rom[FOLDS];
    initial $readmemh(FACTORS, factor_rom);
    logic [FOLD_BITS-1:0] ahead;
    wire [PE*FACTOR_BITS-1:0] factors = factor_rom[ahead];
    always_ff @(posedge clk) begin
      if (!rst_n) ahead <= '0;
      else if (en && s_tvalid) ahead <= ahead == FOLD_BITS'(FOLDS - 1) ? '0 : ahead + 1'b1;
    end
    if (LEVELS == 0) begin : g_now
      assign valid = s_tvalid;
    end else begin : g_later
      logic [LEVELS-1:0] stages;
      assign valid = stages[LEVELS-1];
      always_ff @(posedge clk) begin
        if (!rst_n) stages <= '0;
        else if (en) stages <= LEVELS'({stages, s_tvalid});
      end
    end
    for (genvar lane = 0; lane < PE; lane++) begin : g_lane
      wire [IN_BITS-1:0] value = s_tdata[lane*IN_BITS+:IN_BITS] ^ (IN_BITS'(SIGNED) << (IN_BITS - 1));
      logic [FACTOR_BITS*IN_BITS-1:0] terms;
      for (genvar digit = 0; digit < FACTOR_BITS; digit++) begin : g_digit
        assign terms[digit*IN_BITS+:IN_BITS] = value & {IN_BITS{factors[lane*FACTOR_BITS+digit]}};
      end
      localparam int PRODUCT = IN_BITS + LEVELS + (1 << LEVELS) - 1;
      wire [PRODUCT-1:0] product;
      zc_sum #(
          .N(FACTOR_BITS),
          .W(IN_BITS),
          .SHIFT(1)
      ) digits (
          .clk,
          .en,
          .terms,
          .sum(product)
      );
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
  wire [PE*BIAS_BITS-1:0] biases = rom[fold];
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
    wire [OUT_BITS-1:0] shifted = values[lane*OUT_BITS+:OUT_BITS] << SHIFT;
    wire [OUT_BITS-1:0] bias = biases[lane*BIAS_BITS+:OUT_BITS];
    wire negative = FACTOR_BITS > 0 && biases[lane*BIAS_BITS+BIAS_BITS-1];
    always_ff @(posedge clk) begin
      if (take) m_tdata[lane*OUT_BITS+:OUT_BITS] <= negative ? bias - shifted : bias + shifted;
    end
  end
endmodule
