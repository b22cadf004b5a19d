// Copies a stream to two readers. Each takes a word when it is ready; the next word follows once both have taken it.
module zc_duplicate #(
    parameter int WIDTH = 8
) (
    input  logic             clk,
    input  logic             rst_n,
    input  logic [WIDTH-1:0] s_tdata,
    input  logic             s_tvalid,
    output logic             s_tready,
    output logic [WIDTH-1:0] a_tdata,
    output logic             a_tvalid,
    input  logic             a_tready,
    output logic [WIDTH-1:0] b_tdata,
    output logic             b_tvalid,
    input  logic             b_tready
);
  logic a_taken, b_taken;  // whether each reader has already taken the current word
  assign a_tdata  = s_tdata;
  assign b_tdata  = s_tdata;
  assign a_tvalid = s_tvalid && !a_taken;
  assign b_tvalid = s_tvalid && !b_taken;
  assign s_tready = (a_taken || a_tready) && (b_taken || b_tready);
  always_ff @(posedge clk) begin
    if (!rst_n) {a_taken, b_taken} <= '0;
    else if (s_tvalid) begin
      a_taken <= !s_tready && (a_taken || a_tready);
      b_taken <= !s_tready && (b_taken || b_tready);
    end
  end
endmodule
