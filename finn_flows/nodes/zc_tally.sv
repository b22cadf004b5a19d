// Counts the ones of each channel: CHANNELS groups of N bits, all at once. Latency 1 for up to 7 bits, else
// 2 + $clog2(ceil(N / 13)).
//
// LOWEST: with PLACE = 1, a count is doubled, and bit c of LOWEST is the lowest bit of channel c.
module zc_tally #(
    parameter int CHANNELS = 10,
    parameter int N = 100,
    parameter int OUT_BITS = 7,
    parameter bit PLACE = 0,
    parameter bit [CHANNELS-1:0] LOWEST = '0
) (
    input  logic                         clk,
    input  logic                         rst_n,
    input  logic [       CHANNELS*N-1:0] s_tdata,
    input  logic                         s_tvalid,
    output logic                         s_tready,
    output logic [CHANNELS*OUT_BITS-1:0] m_tdata,
    output logic                         m_tvalid,
    input  logic                         m_tready
);
  localparam int LATENCY = N <= 7 ? 1 : 2 + $clog2((N + 12) / 13);
  wire en = m_tready || !m_tvalid;
  assign s_tready = en;

  logic [LATENCY-1:0] valid;
  always_ff @(posedge clk) begin
    if (!rst_n) valid <= '0;
    else if (en) valid <= LATENCY'({valid, s_tvalid});
  end
  assign m_tvalid = valid[LATENCY-1];

  for (genvar c = 0; c < CHANNELS; c++) begin : g_channel
    logic [LATENCY+1:0] count;
    zc_chain_popcount #(
        .N(N)
    ) ones (
        .clk,
        .en,
        .bits (s_tdata[c*N+:N]),
        .count(count)
    );
    if (PLACE) assign m_tdata[c*OUT_BITS+:OUT_BITS] = OUT_BITS'({count, LOWEST[c]});
    else assign m_tdata[c*OUT_BITS+:OUT_BITS] = OUT_BITS'(count);
  end
endmodule
