// A stream to COUNT readers. Each takes a word when it can; the next word comes when all have.
module zc_duplicate #(
    parameter int WIDTH = 8,
    parameter int COUNT = 2
) (
    input  logic                   clk,
    input  logic                   rst_n,
    input  logic [      WIDTH-1:0] s_tdata,
    input  logic                   s_tvalid,
    output logic                   s_tready,
    output logic [COUNT*WIDTH-1:0] m_tdata,
    output logic [      COUNT-1:0] m_tvalid,
    input  logic [      COUNT-1:0] m_tready
);
  logic [COUNT-1:0] taken;  // by whom the word in front has been taken already
  assign m_tdata  = {COUNT{s_tdata}};
  assign m_tvalid = {COUNT{s_tvalid}} & ~taken;
  assign s_tready = &(taken | m_tready);
  always_ff @(posedge clk) begin
    if (!rst_n) taken <= '0;
    else if (s_tvalid) taken <= s_tready ? '0 : taken | m_tready;
  end
endmodule
