// SPDX-License-Identifier: BSD-3-Clause
//
// Self-checking testbench of @name@. It sends @samples@ samples, in packets of 1, 2, 3, ... samples: once at full speed,
// and once while both sides stall at random. It compares every answer with that of the integer network (answers.hex) and
// ends with a line that begins with PASS or FAIL; after FAIL it calls $stop.
//
// +dump=FILE writes the switching activity of @name@ (VCD, or SAIF with Verilator's --trace-saif).
`timescale 1ns / 1ps
module @name@_tb;
  localparam SAMPLES = @samples@, WIDTH = @width@;
  localparam IN_WORDS = @in_words@, OUT_WORDS = @out_words@;  // of a sample, of its answer
  localparam PATIENCE = @patience@;  // cycles without a word

  reg clk, resetn;
  reg [WIDTH-1:0] s_tdata;
  reg s_tlast, s_tvalid;
  wire s_tready;
  wire [WIDTH-1:0] m_tdata;
  wire m_tlast, m_tvalid;
  reg m_tready;
  @name@ dut (
      .aclk(clk),
      .aresetn(resetn),
      .s_axis_tdata(s_tdata),
      .s_axis_tlast(s_tlast),
      .s_axis_tvalid(s_tvalid),
      .s_axis_tready(s_tready),
      .m_axis_tdata(m_tdata),
      .m_axis_tlast(m_tlast),
      .m_axis_tvalid(m_tvalid),
      .m_axis_tready(m_tready)
  );

  reg [WIDTH-1:0] samples[0:SAMPLES*IN_WORDS-1];
  reg [WIDTH-1:0] answers[0:SAMPLES*OUT_WORDS-1];
  reg ends[0:SAMPLES-1];  // whether a packet ends with the sample
  integer sent, seen, cycle, quiet, seed, first, last, wrong, i, size, left;
  reg waiting, waiting_last;
  reg [WIDTH-1:0] waiting_word;
  reg [8*256-1:0] file;

  initial begin
    $readmemh("samples.hex", samples);
    $readmemh("answers.hex", answers);
    size = 1;
    left = 1;
    for (i = 0; i < SAMPLES; i = i + 1) begin
      left = left - 1;
      ends[i] = left == 0 || i == SAMPLES - 1;
      if (left == 0) begin
        size = size + 1;
        left = size;
      end
    end
    if ($value$plusargs("dump=%s", file)) begin
      $dumpfile(file);
      $dumpvars(0, dut);
    end
    clk = 0;
    resetn = 0;
    sent = 0;
    seen = 0;
    cycle = 0;
    quiet = 0;
    seed = 1;
    wrong = 0;
    first = 0;
    last = 0;
    s_tvalid = 0;
    m_tready = 0;
    waiting = 0;
    repeat (16) @(posedge clk);
    @(negedge clk) resetn = 1;
  end
  always #5 clk = !clk;

  wire stalls = sent >= SAMPLES * IN_WORDS;
  always @(posedge clk) begin
    if (resetn) begin
      cycle <= cycle + 1;
      quiet <= (s_tvalid && s_tready) || (m_tvalid && m_tready) ? 0 : quiet + 1;
      if (!s_tvalid || s_tready) begin
        if (sent < 2 * SAMPLES * IN_WORDS && !(stalls && ($random(seed) & 3) == 0)) begin
          s_tdata <= samples[sent%(SAMPLES*IN_WORDS)];
          s_tlast <= ends[(sent/IN_WORDS)%SAMPLES] && sent % IN_WORDS == IN_WORDS - 1;
          s_tvalid <= 1;
          sent <= sent + 1;
        end else s_tvalid <= 0;
      end
      m_tready <= !(stalls && ($random(seed) & 3) == 0);

      if (waiting && (!m_tvalid || m_tdata !== waiting_word || m_tlast !== waiting_last)) begin
        $display("cycle %0d: a word changed before it was accepted", cycle);
        wrong <= wrong + 1;
      end
      waiting <= m_tvalid && !m_tready;
      waiting_word <= m_tdata;
      waiting_last <= m_tlast;
      if (m_tvalid === 1'b1 && m_tready) begin
        if (seen >= 2 * SAMPLES * OUT_WORDS) begin
          $display("cycle %0d: a word too many", cycle);
          wrong <= wrong + 1;
        end else if (m_tdata !== answers[seen%(SAMPLES*OUT_WORDS)]
            || m_tlast !== (ends[(seen/OUT_WORDS)%SAMPLES] && seen % OUT_WORDS == OUT_WORDS - 1)) begin
          $display("sample %0d, word %0d: %h, last %b; expected %h, last %b", seen / OUT_WORDS, seen % OUT_WORDS,
                   m_tdata, m_tlast, answers[seen%(SAMPLES*OUT_WORDS)],
                   ends[(seen/OUT_WORDS)%SAMPLES] && seen % OUT_WORDS == OUT_WORDS - 1);
          wrong <= wrong + 1;
        end
        if (seen == OUT_WORDS - 1) first <= cycle;
        if (seen == SAMPLES * OUT_WORDS - 1) last <= cycle;
        seen <= seen + 1;
      end
      if (seen >= 2 * SAMPLES * OUT_WORDS && quiet > 100) begin
        if (wrong == 0) begin
          if (SAMPLES > 1)
            $display("full speed: %0d cycles a sample, the first answer after %0d", (last - first) / (SAMPLES - 1), first);
          $display("PASS: %0d samples, 0 differences", 2 * SAMPLES);
          $finish;
        end else begin
          $display("FAIL: %0d differences", wrong);
          $stop;
        end
      end
      if (quiet > PATIENCE) begin
        $display("FAIL: stuck after %0d of %0d words of answers", seen, 2 * SAMPLES * OUT_WORDS);
        $stop;
      end
    end
  end
endmodule
