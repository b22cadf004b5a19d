// A design behind a pair of AXI4-Streams of whole bytes, in packets of one or more samples.
//
// - A sample is the bits of its elements in the design's order, lowest bit first, padded to whole words; an element of an output
//   takes OUT_BYTES bytes, lowest first, with its sign.
// - The answer to a packet is a packet: TLAST ends both with the same sample. A sample that ends too early is completed by zeros,
//   so that the next packet begins with a new sample.
// - Registers separate the design from all ports: no path leads combinationally from one port to another.
module zc_axi_stream #(
    parameter int BYTES = 1,  // of a word of both streams
    parameter int SAMPLE_WORDS = 8,
    parameter int ANSWER_WORDS = 1,
    parameter int IN_WIDTH = 8,  // of the design's words
    parameter int IN_WORDS = 8,  // per sample
    parameter int OUT_LANES = 1,
    parameter int OUT_BITS = 4,  // of an element
    parameter bit OUT_SIGNED = 0,
    parameter int OUT_WORDS = 1,
    parameter int OUT_BYTES = 1,
    parameter int IN_FLIGHT = 64  // samples in the design whose TLAST is remembered; further ones wait
) (
    input  logic                          aclk,
    input  logic                          aresetn,
    input  logic [           8*BYTES-1:0] s_axis_tdata,
    input  logic                          s_axis_tlast,
    input  logic                          s_axis_tvalid,
    output logic                          s_axis_tready,
    output logic [           8*BYTES-1:0] m_axis_tdata,
    output logic                          m_axis_tlast,
    output logic                          m_axis_tvalid,
    input  logic                          m_axis_tready,
    // The design.
    output logic [          IN_WIDTH-1:0] core_s_tdata,
    output logic                          core_s_tvalid,
    input  logic                          core_s_tready,
    input  logic [OUT_LANES*OUT_BITS-1:0] core_m_tdata,
    input  logic                          core_m_tvalid,
    output logic                          core_m_tready
);
  // In: words, cut or completed to whole samples.
  logic [8*BYTES-1:0] word;
  logic word_last, word_valid, word_ready;
  zc_fifo #(
      .WIDTH(8 * BYTES + 1),
      .DEPTH(2),
      .STYLE("registers")
  ) arriving (
      .clk(aclk),
      .rst_n(aresetn),
      .s_tdata({s_axis_tlast, s_axis_tdata}),
      .s_tvalid(s_axis_tvalid),
      .s_tready(s_axis_tready),
      .m_tdata({word_last, word}),
      .m_tvalid(word_valid),
      .m_tready(word_ready)
  );
  localparam int PLACE_BITS = SAMPLE_WORDS > 1 ? $clog2(SAMPLE_WORDS) : 1;
  logic [PLACE_BITS-1:0] place;
  logic completing;  // the packet ended within the sample
  logic gear_valid, gear_ready, end_ready;
  wire sample_ends = place == PLACE_BITS'(SAMPLE_WORDS - 1);
  assign gear_valid = (word_valid || completing) && (!sample_ends || end_ready);
  assign word_ready = !completing && gear_ready && (!sample_ends || end_ready);
  wire accepted = gear_valid && gear_ready;
  always_ff @(posedge aclk) begin
    if (!aresetn) begin
      place <= '0;
      completing <= 1'b0;
    end else if (accepted) begin
      place <= sample_ends ? '0 : place + 1'b1;
      completing <= !sample_ends && (completing || word_last);
    end
  end
  logic unused_last;
  zc_gearbox #(
      .IN_WIDTH (8 * BYTES),
      .IN_WORDS (SAMPLE_WORDS),
      .OUT_WIDTH(IN_WIDTH),
      .OUT_WORDS(IN_WORDS)
  ) inward (
      .clk(aclk),
      .rst_n(aresetn),
      .s_tdata(completing ? '0 : word),
      .s_tvalid(gear_valid),
      .s_tready(gear_ready),
      .m_tdata(core_s_tdata),
      .m_tlast(unused_last),
      .m_tvalid(core_s_tvalid),
      .m_tready(core_s_tready)
  );

  // Whether a packet ends with a sample, from its last word to its answer.
  logic packet_ends, end_known, answered;
  zc_fifo #(
      .WIDTH(1),
      .DEPTH(IN_FLIGHT),
      .STYLE("distributed")
  ) ends (
      .clk(aclk),
      .rst_n(aresetn),
      .s_tdata(completing || word_last),
      .s_tvalid(accepted && sample_ends),
      .s_tready(end_ready),
      .m_tdata(packet_ends),
      .m_tvalid(end_known),
      .m_tready(answered)
  );

  // Out.
  logic [OUT_LANES*OUT_BYTES*8-1:0] widened;
  for (genvar i = 0; i < OUT_LANES; i++) begin : g_element
    wire [OUT_BITS-1:0] element = core_m_tdata[i*OUT_BITS+:OUT_BITS];
    if (OUT_SIGNED) begin : g_signed
      assign widened[8*OUT_BYTES*i+:8*OUT_BYTES] = (8 * OUT_BYTES)'($signed(element));
    end else begin : g_unsigned
      assign widened[8*OUT_BYTES*i+:8*OUT_BYTES] = (8 * OUT_BYTES)'(element);
    end
  end
  logic [8*BYTES-1:0] answer;
  logic answer_last, answer_offered, answer_ready;
  zc_gearbox #(
      .IN_WIDTH (8 * OUT_BYTES * OUT_LANES),
      .IN_WORDS (OUT_WORDS),
      .OUT_WIDTH(8 * BYTES),
      .OUT_WORDS(ANSWER_WORDS)
  ) outward (
      .clk(aclk),
      .rst_n(aresetn),
      .s_tdata(widened),
      .s_tvalid(core_m_tvalid),
      .s_tready(core_m_tready),
      .m_tdata(answer),
      .m_tlast(answer_last),
      .m_tvalid(answer_offered),
      .m_tready(answer_ready && (!answer_last || end_known))
  );
  wire answer_valid = answer_offered && (!answer_last || end_known);
  assign answered = answer_valid && answer_ready && answer_last;
  zc_fifo #(
      .WIDTH(8 * BYTES + 1),
      .DEPTH(2),
      .STYLE("registers")
  ) leaving (
      .clk(aclk),
      .rst_n(aresetn),
      .s_tdata({answer_last && packet_ends, answer}),
      .s_tvalid(answer_valid),
      .s_tready(answer_ready),
      .m_tdata({m_axis_tlast, m_axis_tdata}),
      .m_tvalid(m_axis_tvalid),
      .m_tready(m_axis_tready)
  );
endmodule
