// SPDX-License-Identifier: BSD-3-Clause
module @name@ (
    input  logic aclk,
    input  logic aresetn,
    input  logic [@msb@:0] s_axis_tdata,
    input  logic s_axis_tlast,
    input  logic s_axis_tvalid,
    output logic s_axis_tready,
    output logic [@msb@:0] m_axis_tdata,
    output logic m_axis_tlast,
    output logic m_axis_tvalid,
    input  logic m_axis_tready
);
  logic [@in_width@-1:0] s_tdata;
  logic [@out_width@-1:0] m_tdata;
  logic s_tvalid, s_tready, m_tvalid, m_tready;
  zc_axi_stream #(
      .BYTES(@bytes@), .SAMPLE_WORDS(@sample_words@), .ANSWER_WORDS(@answer_words@),
      .IN_WIDTH(@in_width@), .IN_WORDS(@in_words@),
      .OUT_LANES(@out_lanes@), .OUT_BITS(@out_bits@), .OUT_SIGNED(@out_signed@), .OUT_WORDS(@out_words@), .OUT_BYTES(@out_bytes@)
  ) streams (
      .aclk, .aresetn,
      .s_axis_tdata, .s_axis_tlast, .s_axis_tvalid, .s_axis_tready,
      .m_axis_tdata, .m_axis_tlast, .m_axis_tvalid, .m_axis_tready,
      .core_s_tdata(s_tdata), .core_s_tvalid(s_tvalid), .core_s_tready(s_tready),
      .core_m_tdata(m_tdata), .core_m_tvalid(m_tvalid), .core_m_tready(m_tready)
  );
  @design@ accelerator (.clk(aclk), .rst_n(aresetn), .s_tdata, .s_tvalid, .s_tready, .m_tdata, .m_tvalid, .m_tready);
endmodule
