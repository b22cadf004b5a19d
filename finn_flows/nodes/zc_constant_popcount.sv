// Counts the bits of x that equal their constant weights. Latency 2 + $clog2(ceil(M / 6)) for M majorities.
//
// The count is its parity plus twice the number of majorities that are 1: the majority of each three bits, then of each
// three of their parities, and so on. A parity is that of x up to a constant, and a majority of three is one of four
// functions or its inverse. Rows that read the same x therefore share all of these; each row only counts its own.
module zc_constant_popcount #(
    parameter  int N   = 16,
    localparam int OUT = $clog2(N + 1)
) (
    input  logic           clk,
    input  logic           en,
    input  logic [  N-1:0] x,
    input  logic [  N-1:0] w,
    output logic [OUT-1:0] count
);
  // Level l has size(l) bits. Level 0 is x; the next level is the parities of its triples. The levels are concatenated.
  function automatic int size(input int level);
    int n = N;
    for (int l = 0; l < level; l++) n = (n + 2) / 3;
    return n;
  endfunction
  function automatic int start(input int level);
    int sum = 0;
    for (int l = 0; l < level; l++) sum += size(l);
    return sum;
  endfunction
  function automatic int levels();
    int l = 0;
    while (size(l) > 1) l++;
    return l;
  endfunction
  localparam int LEVELS = levels();
  localparam int BITS = start(LEVELS) + 1;
  localparam int TWOS = BITS - N > 0 ? BITS - N : 1;

  logic [BITS-1:0] xs, flips;  // a bit of x, or a parity, counts if it differs from its flip
  logic [TWOS-1:0] twos;
  assign xs[N-1:0] = x;
  assign flips[N-1:0] = ~w;
  if (LEVELS == 0) begin : g_none
    assign twos = '0;
  end
  for (genvar l = 0; l < LEVELS; l++) begin : g_level
    for (genvar i = 0; i < size(l + 1); i++) begin : g_triple
      localparam int FROM = start(l) + 3 * i;
      localparam int HAVE = size(l) - 3 * i < 3 ? size(l) - 3 * i : 3;
      localparam int TO = start(l + 1) + i;
      assign xs[TO] = ^xs[FROM+:HAVE];
      assign flips[TO] = ^flips[FROM+:HAVE];
      // All three are inverted if the first one is, so at most four functions remain.
      wire flip = flips[FROM];
      wire [2:0] b = 3'(xs[FROM+:HAVE]) ^ 3'(flips[FROM+:HAVE]) ^ {3{flip}};
      logic majority;
      always_ff @(posedge clk) if (en) majority <= (b[0] & b[1]) | (b[0] & b[2]) | (b[1] & b[2]);
      assign twos[TO-N] = majority ^ flip;
    end
  end

  localparam int DELAY = 2 + $clog2((TWOS + 5) / 6);
  logic [3+$clog2((TWOS+5)/6)-1:0] half;
  logic [DELAY-1:0] parity;
  zc_popcount #(
      .N(TWOS)
  ) count_twos (
      .clk,
      .en,
      .bits (twos),
      .count(half)
  );
  always_ff @(posedge clk) if (en) parity <= DELAY'({parity, xs[BITS-1]});
  assign count = OUT'({half, parity[DELAY-1] ^ flips[BITS-1]});
endmodule
