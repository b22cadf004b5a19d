// Constants that an address selects, from a hex file of WORDS words.
//
// For synthesis they are no memory: it would get registers of its own, and could not be merged with the logic behind it.
module zc_constants #(
    parameter int WORDS = 2,
    parameter int BITS = 8,
    parameter FILE = "",
    localparam int ADDRESS_BITS = WORDS > 1 ? $clog2(WORDS) : 1
) (
    input  logic [ADDRESS_BITS-1:0] address,
    output logic [        BITS-1:0] word
);
  logic [BITS-1:0] rom[WORDS];
  initial $readmemh(FILE, rom);
`ifdef SYNTHESIS
  logic [WORDS-1:0][BITS-1:0] constants;
  for (genvar i = 0; i < WORDS; i++) assign constants[i] = rom[i];
  assign word = constants[address];
`else
  assign word = rom[address];
`endif
endmodule
