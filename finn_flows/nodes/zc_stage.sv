// Passes words on: through a register, or through wires if REGISTERED is 0.
module zc_stage #(
    parameter int WIDTH = 8,
    parameter bit REGISTERED = 1
) (
    input  logic             clk,
    input  logic             rst_n,
    input  logic [WIDTH-1:0] s_tdata,
    input  logic             s_tvalid,
    output logic             s_tready,
    output logic [WIDTH-1:0] m_tdata,
    output logic             m_tvalid,
    input  logic             m_tready
);
  if (REGISTERED) begin : g_register
    wire en = m_tready || !m_tvalid;
    assign s_tready = en;
    always_ff @(posedge clk) begin
      if (!rst_n) m_tvalid <= 1'b0;
      else if (en) m_tvalid <= s_tvalid;
      if (en) m_tdata <= s_tdata;
    end
  end else begin : g_wires
    assign m_tdata  = s_tdata;
    assign m_tvalid = s_tvalid;
    assign s_tready = m_tready;
  end
endmodule
