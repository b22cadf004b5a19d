// Second and third elements of triples. N elements of BITS bits are the first elements of all triples, then their second
// and third ones; only the last triple may be short, and missing elements are 0.
module zc_slices #(
    parameter  int N    = 16,
    parameter  int BITS = 1,
    localparam int T    = (N + 2) / 3
) (
    input  logic [N*BITS-1:0] bits,
    output logic [T*BITS-1:0] second,
    output logic [T*BITS-1:0] third
);
  localparam int SECOND = (N - T + 1) / 2;
  localparam int THIRD = N - T - SECOND;
  if (SECOND > 0) assign second = (T * BITS)'(bits[T*BITS+:SECOND*BITS]);
  else assign second = '0;
  if (THIRD > 0) assign third = (T * BITS)'(bits[(T+SECOND)*BITS+:THIRD*BITS]);
  else assign third = '0;
endmodule
