// Adds a constant per channel to accumulators: (accumulator << SHIFT) + bias, two's complement.
//
// BIASES: hex file of CHANNELS / PE words of PE * OUT_BITS bits, added in turn.
module zc_bias #(
    parameter int CHANNELS = 10,
    parameter int PE = 1,
    parameter int IN_BITS = 8,
    parameter bit SIGNED = 0,
    parameter int SHIFT = 0,
    parameter int OUT_BITS = 10,
    parameter BIASES = "biases.mem"
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
  wire take = en && s_tvalid;
  assign s_tready = en;
  logic [FOLD_BITS-1:0] fold;
  wire [PE*OUT_BITS-1:0] biases = rom[fold];
  always_ff @(posedge clk) begin
    if (!rst_n) begin
      m_tvalid <= 1'b0;
      fold <= '0;
    end else if (en) begin
      m_tvalid <= s_tvalid;
      if (take) fold <= fold == FOLD_BITS'(FOLDS - 1) ? '0 : fold + 1'b1;
    end
  end
  for (genvar lane = 0; lane < PE; lane++) begin : g_lane
    wire [IN_BITS-1:0] value = s_tdata[lane*IN_BITS+:IN_BITS];
    wire [OUT_BITS-1:0] wide = SIGNED ? OUT_BITS'($signed(value)) : OUT_BITS'(value);
    always_ff @(posedge clk) begin
      if (take) m_tdata[lane*OUT_BITS+:OUT_BITS] <= (wide << SHIFT) + biases[lane*OUT_BITS+:OUT_BITS];
    end
  end
endmodule
