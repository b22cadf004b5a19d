// A FIFO of DEPTH words, at least two. A word is offered the cycle after it is taken, ready is high while there is room for
// one more, and no combinational path connects the two sides. All styles behave the same, cycle by cycle.
//
// STYLE "registers": two registers, for the word offered and for the word waiting behind it. "distributed": LUT memory,
// read directly. "block": block RAM, whose output register holds the word offered; the first word bypasses the RAM.
//
// With PROBE, a simulation ends by printing "FIFO <instance> <high water>": the largest number of words in the FIFO when a
// word was taken, that word included. A FIFO of that depth is ready whenever a word arrives.
module zc_fifo #(
    parameter int WIDTH = 8,
    parameter int DEPTH = 2,
    parameter STYLE = "distributed",
    parameter bit PROBE = 0
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
  localparam int WORDS = STYLE == "distributed" ? DEPTH : DEPTH - 1;  // in memory
  localparam int ADDRESS_BITS = WORDS > 1 ? $clog2(WORDS) : 1;

  wire take = s_tvalid && s_tready;
  wire give = m_tvalid && m_tready;

  if (STYLE == "registers") begin : g_registers
    logic [WIDTH-1:0] waiting;
    always_ff @(posedge clk) begin
      if (s_tready) waiting <= s_tdata;
      if (m_tready || !m_tvalid) m_tdata <= s_tready ? s_tdata : waiting;
      if (!rst_n) begin
        s_tready <= 1'b1;
        m_tvalid <= 1'b0;
      end else begin
        // A word waits only behind one that is offered but not taken.
        s_tready <= m_tready || !m_tvalid || (s_tready && !s_tvalid);
        m_tvalid <= m_tvalid && !m_tready || s_tvalid || !s_tready;
      end
    end
  end else begin : g_memory
    logic [ADDRESS_BITS-1:0] write_address, read_address;
    logic some, room;  // whether the memory holds words, and whether it has space
    wire write, read;
    (* ram_style = STYLE, no_rw_check *)
    logic [WIDTH-1:0] memory[WORDS];

    function automatic logic [ADDRESS_BITS-1:0] next(logic [ADDRESS_BITS-1:0] address);
      return address == ADDRESS_BITS'(WORDS - 1) ? '0 : address + 1'b1;
    endfunction
    wire [ADDRESS_BITS-1:0] write_next = next(write_address);
    wire [ADDRESS_BITS-1:0] read_next = next(read_address);
    always_ff @(posedge clk) begin
      if (write) memory[write_address] <= s_tdata;
      if (!rst_n) begin
        write_address <= '0;
        read_address <= '0;
        some <= 1'b0;
        room <= 1'b1;
      end else begin
        if (write) write_address <= write_next;
        if (read) read_address <= read_next;
        if (write != read) begin
          some <= write || read_next != write_address;
          room <= read || write_next != read_address;
        end
      end
    end
    assign s_tready = room;

    if (STYLE == "distributed") begin : g_direct
      assign write = take;
      assign read = give;
      assign m_tvalid = some;
      assign m_tdata = memory[read_address];
    end else begin : g_registered
      logic [WIDTH-1:0] stored, passed;
      logic passes, full;
      wire load = m_tready || !full;
      assign read = load && some;
      assign write = take && !(load && !some);
      always_ff @(posedge clk) begin
        if (read) stored <= memory[read_address];
        if (load) passed <= s_tdata;
        if (load) passes <= !some;
        if (!rst_n) full <= 1'b0;
        else if (load) full <= some || s_tvalid;
      end
      assign m_tvalid = full;
      assign m_tdata = passes ? passed : stored;
    end
  end

`ifndef SYNTHESIS
  logic [31:0] held, high_water;
  if (PROBE) begin : g_probe
    always_ff @(posedge clk) begin
      if (!rst_n) {held, high_water} <= '0;
      else begin
        held <= held + 32'(take) - 32'(give);
        if (take && held + 1 > high_water) high_water <= held + 1;
      end
    end
  end else begin : g_no_probe
    assign {held, high_water} = '0;
  end
  final if (PROBE) $display("FIFO %m %0d", high_water);
`endif
endmodule
