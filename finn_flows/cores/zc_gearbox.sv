// Words of one size become words of another, frame by frame, lowest bits first. What a frame has too much is dropped, and what
// it lacks is 0. No cycle is lost between frames.
//
// New words enter at the top and push older ones down, so that the oldest bit is `filled` steps below the top. A step is the
// common divisor of the two sizes, so that few positions need a multiplexer: one position if words become multiples.
module zc_gearbox #(
    parameter int IN_WIDTH  = 8,
    parameter int IN_WORDS  = 1,  // per frame
    parameter int OUT_WIDTH = 8,
    parameter int OUT_WORDS = 1
) (
    input  logic                 clk,
    input  logic                 rst_n,
    input  logic [ IN_WIDTH-1:0] s_tdata,
    input  logic                 s_tvalid,
    output logic                 s_tready,
    output logic [OUT_WIDTH-1:0] m_tdata,
    output logic                 m_tlast,   // of a frame
    output logic                 m_tvalid,
    input  logic                 m_tready
);
  function automatic int divisor(int a, int b);
    while (b != 0) {a, b} = {b, a % b};
    return a;
  endfunction
  localparam int STEP = divisor(IN_WIDTH, OUT_WIDTH);
  localparam int IN_STEPS = IN_WIDTH / STEP, OUT_STEPS = OUT_WIDTH / STEP, HELD_STEPS = IN_STEPS + OUT_STEPS - 1;
  localparam int HELD = HELD_STEPS * STEP;
  localparam int FILLED_BITS = $clog2(HELD_STEPS + 1);
  localparam int TAKEN_BITS = $clog2(IN_WORDS + 1), GIVEN_BITS = $clog2(OUT_WORDS + 1);
  // Steps in the last word of a frame that are no padding.
  localparam int LAST_STEPS = IN_STEPS * IN_WORDS - OUT_STEPS * (OUT_WORDS - 1);

  logic [HELD-1:0] held;
  logic [FILLED_BITS-1:0] filled;  // in steps
  logic [TAKEN_BITS-1:0] taken;  // words of the frame
  logic [GIVEN_BITS-1:0] given;
  wire whole = taken == TAKEN_BITS'(IN_WORDS);
  assign m_tlast  = given == GIVEN_BITS'(OUT_WORDS - 1);
  assign m_tvalid = filled >= FILLED_BITS'(OUT_STEPS) || (whole && m_tlast);
  wire give = m_tvalid && m_tready;
  wire ends = give && m_tlast;
  wire [FILLED_BITS-1:0] left = filled - (give ? FILLED_BITS'(OUT_STEPS) : '0);
  assign s_tready = ends || (!whole && left < FILLED_BITS'(OUT_STEPS));
  wire take = s_tvalid && s_tready;

  always_comb begin
    m_tdata = held[HELD-OUT_WIDTH+:OUT_WIDTH];
    for (int i = 1; i < IN_STEPS; i++)
      if (filled == FILLED_BITS'(OUT_STEPS + i)) m_tdata = held[HELD-OUT_WIDTH-i*STEP+:OUT_WIDTH];
    if (LAST_STEPS < OUT_STEPS && m_tlast) m_tdata = OUT_WIDTH'(held >> (HELD - LAST_STEPS * STEP));
  end

  always_ff @(posedge clk) begin
    if (take) held <= HELD'({s_tdata, held} >> IN_WIDTH);
    if (!rst_n) begin
      filled <= '0;
      taken  <= '0;
      given  <= '0;
    end else begin
      if (ends) filled <= take ? FILLED_BITS'(IN_STEPS) : '0;
      else filled <= left + (take ? FILLED_BITS'(IN_STEPS) : '0);
      if (ends) taken <= TAKEN_BITS'(take);
      else if (take) taken <= taken + 1'b1;
      if (give) given <= m_tlast ? '0 : given + 1'b1;
    end
  end
endmodule
